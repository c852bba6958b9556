"""Clips put together of captioned videos, so that their segments differ and their times are known.

A caption of MSR-VTT is about all of its video. One behind the other, several videos with a caption
each make a clip and a paragraph whose every sentence is about a known stretch, as in ActivityNet
Captions, out of footage that is real.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import json
import pathlib
from typing import Any

import numpy as np

from mla_jax import whole_files
from mla_jax.data import annotations, media
from mla_jax.data.annotations.schema import TextItem
from mla_jax.data.sources import hashed_share
from mla_jax.errors import UserError

FEATURES = "features"  # Folder beside the annotations.
SPLITS = ("train", "val", "test")


@dataclasses.dataclass(frozen=True)
class Settings:
  """What decides every clip.

  Attributes:
    dataset: with captions, as `prepare` names it, e.g. "msrvtt_retrieval".
    annotations, media: its folders; the media are features, one file a video.
    test_split: its split whose videos make the clips of "test".
    dev_fraction: share of its training videos that make those of "val" and none of "train".
    parts: videos a clip.
    clips: of each of `SPLITS`.
    seed: of every choice.
  """

  dataset: str
  annotations: str
  media: str
  test_split: str = "test"
  dev_fraction: float = 0.1
  parts: int = 3
  clips: tuple[int, int, int] = (3000, 300, 300)
  seed: int = 0


@dataclasses.dataclass(frozen=True)
class Part:
  """A video of a clip with the caption that is told of it."""

  video: str
  caption: str


def write(out: pathlib.Path, settings: Settings) -> None:
  """Writes `{train,val,test}.json` in ActivityNet Captions' layout and `features/CLIP.npy`.

  The same settings give the same bytes. No video is in clips of two splits. The videos of a split
  are dealt out until fewer than a clip's are left, then all of them anew; a caption is drawn for
  each clip.

  Raises:
    UserError: annotations or features that cannot be read, too few videos, or a folder that cannot
      be written.
  """
  found = annotations.read(settings.dataset, pathlib.Path(settings.annotations))
  files = media.find_media(pathlib.Path(settings.media), found.videos)
  if files.source != media.FEATURES:
    raise UserError(f"{settings.media}: holds no features: give the folder of NAME.npy files")
  captions = _captions([item for item in found.items if item.video_id in files.files], settings)
  width = media.common_feature_width(files.files.values())
  reading = media.MediaSettings(frame_rate=1.0, feature_width=width)
  try:
    (out / FEATURES).mkdir(parents=True, exist_ok=True)
    for number, split in enumerate(SPLITS):
      rng = np.random.default_rng((settings.seed, number))
      clips = _clips(captions[split], settings.parts, settings.clips[number], rng)
      told = {
          f"{split}_{clip:05d}": _join(out / FEATURES / f"{split}_{clip:05d}.npy", parts, [
              _features(files.files[part.video], reading) for part in parts
          ])
          for clip, parts in enumerate(clips)
      }
      whole_files.write_text(out / f"{split}.json", json.dumps(told, indent=1) + "\n")
  except OSError as error:
    raise UserError(f"{out}: cannot be written ({error.strerror}): choose another folder") from None


def _captions(items: Sequence[TextItem], settings: Settings) -> dict[str, dict[str, list[str]]]:
  """Split -> video -> its captions."""
  captions: dict[str, dict[str, list[str]]] = {split: {} for split in SPLITS}
  for item in items:
    if item.split == settings.test_split:
      split = "test"
    elif item.split == "train":
      split = "val" if hashed_share(item.video_id) < settings.dev_fraction else "train"
    else:
      continue
    captions[split].setdefault(item.video_id, []).append(item.text)
  for split, videos in captions.items():
    if len(videos) < settings.parts:
      raise UserError(
          f"{split}: {len(videos)} videos with captions and features are too few for clips of "
          f"{settings.parts}: change --test_split, --dev_fraction or --parts"
      )
  return captions


def _clips(
    captions: Mapping[str, Sequence[str]], parts: int, count: int, rng: np.random.Generator
) -> Iterator[list[Part]]:
  """See `write`."""
  names = list(captions)
  dealt: list[str] = []
  for _ in range(count):
    if len(dealt) < parts:
      dealt = [names[i] for i in rng.permutation(len(names))]
    videos, dealt = dealt[:parts], dealt[parts:]
    told = [captions[video][int(rng.integers(len(captions[video])))] for video in videos]
    yield [Part(*pair) for pair in zip(videos, told, strict=True)]


def _features(file: media.MediaFile, settings: media.MediaSettings) -> np.ndarray:
  try:
    payload = media.read_media(file, settings).payload
  except media.BrokenMedia as error:
    raise UserError(f"{file.path}: {error}: get the file again, or take it out") from None
  assert isinstance(payload, np.ndarray)  # Features.
  return payload


def _join(path: pathlib.Path, parts: Sequence[Part], features: list[np.ndarray]) -> dict[str, Any]:
  """Writes a clip, a frame a second, and gives what is told of it."""
  np.save(path, np.concatenate(features))
  ends = np.cumsum([len(part) for part in features]).tolist()
  return {
      "duration": float(ends[-1]),
      "timestamps": [[float(s), float(e)] for s, e in zip([0, *ends], ends, strict=False)],
      "sentences": [part.caption for part in parts],
      "videos": [part.video for part in parts],
  }
