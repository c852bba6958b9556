"""Windows against a plain loop over the frames of one clip."""

from hypothesis import given
from hypothesis import strategies as st
import jax.numpy as jnp
import numpy as np
import pytest

from mla_jax.tasks import windows


def clip(frames: int, taken: int):
  """Spans of uneven frames, and the mask."""
  edges = np.cumsum([0.0, *(1 + np.arange(taken) % 3)])
  span = np.zeros((1, frames, 2), np.float32)
  span[0, :taken] = np.stack([edges[:-1], edges[1:]], axis=1)
  return span, np.arange(frames)[None] < taken


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 16, 75])
def test_every_scale_covers_the_clip(frames):
  places = windows.sliding_places(frames)
  assert len({tuple(place) for place in places.tolist()}) == len(places)
  assert tuple(places[-1]) == (0, frames)
  for length in {int(end - start) for start, end in places}:
    chosen = [place for place in places.tolist() if place[1] - place[0] == length]
    assert set().union(*(range(*place) for place in chosen)) == set(range(frames))


@given(st.integers(1, 12), st.data())
def test_windows_are_the_seconds_of_their_frames(frames, data):
  taken = data.draw(st.integers(1, frames))
  span, mask = clip(frames, taken)
  found, real = map(np.asarray, windows.sliding_windows(jnp.asarray(span), jnp.asarray(mask)))
  inside = np.asarray(windows.members(found, jnp.asarray(span), jnp.asarray(mask)))
  places = windows.sliding_places(frames).tolist()
  for w, (start, end) in enumerate(places):
    if w == len(places) - 1:
      end = taken
    assert real[0, w] == (end <= taken)
    if real[0, w]:
      assert found[0, w].tolist() == [span[0, start, 0], span[0, end - 1, 1]]
      assert np.flatnonzero(inside[0, w]).tolist() == list(range(start, end))


def test_a_window_between_the_frames_has_the_nearest():
  span = np.array([[[0, 4], [4, 8], [8, 12], [0, 0]]], np.float32)
  mask = np.array([[True, True, True, False]])
  asked = np.array([[[0, 1], [6.5, 7.5], [5, 11], [30, 32]]], np.float32)
  found = np.asarray(windows.members(jnp.asarray(asked), jnp.asarray(span), jnp.asarray(mask)))[0]
  assert [np.flatnonzero(row).tolist() for row in found] == [[0], [1], [1, 2], [2]]
