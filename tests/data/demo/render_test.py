"""Frames show what the scene says, and the file holds the frames."""

import io

import av
import numpy as np
import pytest

from mla_jax.data.demo import render
from mla_jax.data.demo import scene as scenes


def still(shape: str = "square", action: str = "blink") -> scenes.Scene:
  """One red shape in the middle, in one event that leaves it where it is."""
  before = scenes.State(32.0, 32.0, 9.0, action != "appear")
  after = scenes.State(32.0, 32.0, 9.0, action != "disappear")
  thing = scenes.Thing("red", shape)
  return scenes.Scene((thing,), (scenes.Event(0, action),), ((before,), (after,)))


def centre_of(mask: np.ndarray) -> tuple[float, float]:
  y, x = np.nonzero(mask)
  return x.mean() + 0.5, y.mean() + 0.5


@pytest.mark.parametrize("number", range(6))
def test_things_are_where_the_states_say(number: int) -> None:
  scene = scenes.sample_scene("train", number, 5)
  frames = render.draw(scene).astype(int)
  assert frames.shape == (round(scene.duration * render.FRAME_RATE), 64, 64, 3)
  for k in range(len(scene.events)):
    last = frames[(k + 1) * int(scenes.EVENT_SECONDS * render.FRAME_RATE) - 1]
    for thing, state in zip(scene.things, scene.states[k + 1], strict=True):
      found = last[int(state.y), int(state.x)]
      wanted = {"red": 0, "green": 1, "blue": 2}.get(thing.colour)
      if not state.visible:
        assert found.min() > 200  # The ground.
      elif wanted is not None:
        assert found.argmax() == wanted
        assert found[wanted] > 150
        assert np.median(found) < 100


@pytest.mark.parametrize(("shape", "area"), [("square", 251), ("triangle", 146), ("cross", 207)])
def test_the_shapes_have_their_areas_and_a_dark_outline(shape: str, area: int) -> None:
  frame = render.draw(still(shape))[0].astype(int)
  drawn = frame.min(-1) < 150
  assert drawn.sum() == pytest.approx(area, rel=0.12)
  outline = frame.max(-1) < 90
  assert 0.15 < outline.sum() / drawn.sum() < 0.6
  for other in {"square", "triangle", "cross"} - {shape}:
    different = np.abs(render.draw(still(other))[0].astype(int) - frame).max(-1) > 80
    assert different.sum() > 30


def test_a_blinking_thing_goes_once_and_is_back_at_the_end() -> None:
  there = render.draw(still(action="blink"))[:, 32, 32, 1] < 100
  assert there[0]
  assert there[-1]
  assert np.sum(np.diff(there.astype(int)) == -1) == 1


def test_fading_is_gradual() -> None:
  middle = render.draw(still(action="appear"))[:, 32, 32, 1].astype(int)
  assert middle[0] > 200
  assert middle[-1] < 50
  assert np.all(np.diff(middle) <= 0)
  assert np.any((middle > 80) & (middle < 200))
  leaving = render.draw(still(action="disappear"))[:, 32, 32, 1].astype(int)
  assert np.abs(middle + leaving - middle[0] - middle[-1]).max() <= 1


def test_a_move_is_steady_and_level() -> None:
  before, after = scenes.State(16.0, 20.0, 9.0, True), scenes.State(40.0, 20.0, 9.0, True)
  scene = scenes.Scene(
      (scenes.Thing("red", "square"),), (scenes.Event(0, "right"),), ((before,), (after,))
  )
  centres = [centre_of(frame[..., 1] < 150) for frame in render.draw(scene)]
  x, y = np.array(centres).T
  assert np.all(np.diff(x) >= -0.05)
  assert x[0] == pytest.approx(16, abs=0.7)
  assert x[-1] == pytest.approx(40, abs=0.7)
  assert y == pytest.approx(20, abs=0.3)


def test_the_backgrounds_differ_and_stay_light() -> None:
  corners = {tuple(render.draw(still(), b)[0, 0, 0].tolist()) for b in range(render.BACKGROUNDS)}
  assert len(corners) == render.BACKGROUNDS
  assert min(min(corner) for corner in corners) > 200


def test_the_video_file_holds_the_frames_and_its_bytes_are_reproducible() -> None:
  scene = scenes.sample_scene("train", 1, 0)
  frames = render.draw(scene, 1)
  data = render.encode(frames)
  assert render.encode(frames) == data
  with av.open(io.BytesIO(data), "r") as container:
    stream = container.streams.video[0]
    assert stream.duration is not None
    assert stream.time_base is not None
    assert float(stream.duration * stream.time_base) == pytest.approx(scene.duration)
    decoded = list(container.decode(stream))
  times = [frame.time for frame in decoded]
  assert times == pytest.approx([i / render.FRAME_RATE for i in range(len(frames))])
  pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in decoded])
  error = np.abs(pictures.astype(int) - frames.astype(int))
  assert error.mean() < 3  # Compressed, and colour at half the resolution.
