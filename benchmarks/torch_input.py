"""What `benchmarks.input` is compared with: a PyTorch DataLoader over the same videos and captions.

It reads the files that `prepare` read: folders of JPEG frames by Pillow, or `.npy` features. An
example is a caption with its video: up to T frames spread evenly and drawn at random within their
run, one random crop for all of them, the caption's tokens; padded, with masks. It knows of no times
and no segments, which mla_jax's examples have too.
"""

from collections.abc import Sequence
import dataclasses
import json
import pathlib

import numpy as np
from PIL import Image
import sentencepiece
import torch

# ImageNet's, as CLIP4Clip and open_clip normalise by CLIP's.
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)


@dataclasses.dataclass(frozen=True)
class Sizes:
  """Of an example: frames T, text length L, side of a picture, smallest share of a crop."""

  frames: int
  text_length: int
  image_size: int
  crop_scale: float


class Captions(torch.utils.data.Dataset[dict[str, np.ndarray]]):
  """Every training caption of an MSR-VTT folder with its video."""

  def __init__(
      self,
      source: pathlib.Path,
      kind: str,
      sizes: Sizes,
      tokenizer: pathlib.Path,
      *,
      normalise: bool,
  ) -> None:
    """Lists the files once, as a loader does that looks nothing up while it runs.

    Args:
      source: folder with MSRVTT_data.json, `frames/VIDEO/*.jpg` and `features/VIDEO.npy`.
      kind: "pixels" or "features".
      sizes: of an example.
      tokenizer: SentencePiece model.
      normalise: what is stored becomes float32 here, pixels normalised, instead of staying uint8
        or float16.
    """
    data = json.loads((source / "MSRVTT_data.json").read_text())
    train = {video["video_id"] for video in data["videos"] if video["split"] == "train"}
    self._texts = [
        (line["video_id"], line["caption"])
        for line in data["sentences"] if line["video_id"] in train
    ]
    self._sizes, self._kind, self._normalise = sizes, kind, normalise
    self._processor = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
    if kind == "features":
      self._files = {video: [source / "features" / f"{video}.npy"] for video in train}
    else:
      self._files = {video: sorted((source / "frames" / video).glob("*.jpg")) for video in train}

  def __len__(self) -> int:
    return len(self._texts)

  def __getitem__(self, item: int) -> dict[str, np.ndarray]:
    video, caption = self._texts[item]
    rng = np.random.default_rng(item)
    read = self._features if self._kind == "features" else self._pixels
    clip = read(self._files[video], rng)
    padding = [(0, self._sizes.frames - len(clip))] + [(0, 0)] * (clip.ndim - 1)
    ids = np.array(self._processor.Encode(caption)[: self._sizes.text_length], np.int32)
    rest = self._sizes.text_length - len(ids)
    return {
        "video": np.pad(clip, padding),
        "frame_mask": np.arange(self._sizes.frames) < len(clip),
        "text": np.pad(ids, (0, rest)),
        "text_mask": np.arange(self._sizes.text_length) < len(ids),
    }

  def _chosen(self, stored: int, rng: np.random.Generator) -> np.ndarray:
    taken = min(stored, self._sizes.frames)
    starts = np.arange(taken + 1) * stored // taken
    return starts[:-1] + (rng.random(taken) * np.diff(starts)).astype(int)

  def _features(self, files: Sequence[pathlib.Path], rng: np.random.Generator) -> np.ndarray:
    features = np.load(files[0])
    clip = features[self._chosen(len(features), rng)]
    return clip.astype(np.float32) if self._normalise else clip

  def _pixels(self, files: Sequence[pathlib.Path], rng: np.random.Generator) -> np.ndarray:
    side, across, down = rng.random(3)
    size, box = self._sizes.image_size, None
    clip = []
    for place in self._chosen(len(files), rng):
      with Image.open(files[place]) as image:
        if box is None:
          edge = int(min(image.size) * (1 - (1 - self._sizes.crop_scale) * side))
          left, top = int((image.width - edge) * across), int((image.height - edge) * down)
          box = (left, top, left + edge, top + edge)
        picture = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box)
      pixels = np.asarray(picture)
      clip.append((pixels.astype(np.float32) / 255 - _MEAN) / _STD if self._normalise else pixels)
    return np.stack(clip)
