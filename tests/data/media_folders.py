"""Folders of small media made for the tests, and their preparation."""

import hashlib
import pathlib

import numpy as np

from mla_jax.data import prepare_media
from mla_jax.data.annotations.schema import Video
from mla_jax.data.beam_tasks import Beam
from mla_jax.data.media import find_media
from mla_jax.data.prepare_media import MediaResult

WIDTH = 3


def write_features(directory: pathlib.Path, count: int, *, broken: tuple[int, ...] = ()) -> None:
  directory.mkdir(parents=True, exist_ok=True)
  for i in range(count):
    values = np.full((1 + i % 4, WIDTH), i, np.float16)
    if i in broken:
      values[0, 0] = np.nan
    np.save(directory / f"v{i:03d}.npy", values)


def add(
  out: pathlib.Path,
  media: pathlib.Path,
  names: list[str] | None = None,
  *,
  num_workers: int = 1,
  skip_broken: bool = True,
  shard_videos: int = 4,
  beam: Beam | None = None,
  **chosen: float,
) -> MediaResult:
  names = sorted(path.stem for path in media.iterdir()) if names is None else names
  found = find_media(media, [Video(name, (name,)) for name in names])
  options = {"frame_rate": None, "short_side": 128, "jpeg_quality": 90, "max_frames": 0} | chosen
  settings = prepare_media.media_settings(found, out, **options)
  return prepare_media.prepare_media(
    out,
    "test",
    found,
    settings,
    skip_broken=skip_broken,
    num_workers=num_workers,
    shard_videos=shard_videos,
    beam=beam,
  )


def digests(directory: pathlib.Path) -> dict[str, str]:
  return {
    str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(directory.rglob("*"))
    if path.is_file()
  }
