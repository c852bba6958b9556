"""Folders of images: their order, times and sizes, and what is broken."""

import pathlib

from PIL import Image
import pytest

from mla_jax.data.media import BrokenMedia
from tests.data import video_files


def _write_images(folder: pathlib.Path, images: dict[str, bytes]) -> pathlib.Path:
  folder.mkdir()
  for name, content in images.items():
    (folder / name).write_bytes(content)
  return folder


def test_a_folder_of_images_is_read_in_the_order_of_their_numbers(tmp_path: pathlib.Path) -> None:
  order = ["f2.jpg", "f10.JPG", "f9.jpeg", "f1.jpg"]
  images = {name: video_files.jpeg(video_files.grey(i)) for i, name in enumerate(order)}
  folder = _write_images(tmp_path / "v", images | {"notes.txt": b"no image", ".f0.jpg": b"hidden"})
  media = video_files.read(folder, 0.5)
  assert video_files.greys(media.payload) == [3, 0, 2, 1]
  assert media.time.tolist() == [0, 2, 4, 6]
  assert media.duration == 8
  assert media.payload[0] == images["f1.jpg"]  # Small enough already: not encoded again.


def test_images_are_scaled_to_the_first_and_made_rgb(tmp_path: pathlib.Path) -> None:
  exif = Image.Exif()
  exif[0x0112] = 6  # Turned by a quarter.
  images = {
    "1.jpg": video_files.jpeg(99, (320, 256)),
    "2.jpg": video_files.jpeg(99, (64, 64)),
    "3.jpg": video_files.jpeg(99, (160, 128), "L"),
    "4.jpg": video_files.jpeg(99, (160, 128)),
    "5.jpg": video_files.jpeg(99, (160, 128), exif=exif),
  }
  media = video_files.read(_write_images(tmp_path / "v", images), 1.0, short_side=128)
  assert {video_files.decoded(frame).shape for frame in media.payload} == {(128, 160, 3)}
  assert all(abs(video_files.decoded(frame).mean() - 99) < 1 for frame in media.payload)
  assert media.payload[3] == images["4.jpg"]
  assert media.payload[4] != images["5.jpg"]


def test_broken_folders_say_which_image(tmp_path: pathlib.Path) -> None:
  with pytest.raises(BrokenMedia, match="no image in the folder"):
    video_files.read(_write_images(tmp_path / "empty", {"a.txt": b""}))
  whole = video_files.jpeg(99, (64, 48))
  for name, content in (("cut", whole[:400]), ("void", b""), ("text", b"no image")):
    with pytest.raises(BrokenMedia, match=r"2\.jpg: not a whole image"):
      video_files.read(_write_images(tmp_path / name, {"1.jpg": whole, "2.jpg": content}))
