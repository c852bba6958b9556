"""What a probe leaves of an input, and what it must not touch."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np

from mla_jax.data import probes
from mla_jax.data.annotations.schema import Segment
from mla_jax.data.frames import choose_frames
from mla_jax.data.record_format import TextRecord


def choice(stored, frames, segments=3):
  times = np.arange(stored, dtype=np.float64)
  jitter = np.full(frames, 0.5)
  return choose_frames(times, float(stored), frames=frames, segments=segments, jitter=jitter)


def record(text, segments, **changes):
  return TextRecord("id", "video", 0, text, tuple(segments), **changes)


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 10**6))
def test_shuffled_and_reversed_frames_are_the_same_frames_at_the_same_times(stored, frames, key):
  plain = choice(stored, frames)
  for probe in (probes.SHUFFLED, probes.REVERSED):
    spoilt = probes.spoil_frames(probe, plain, key)
    real = plain.mask
    assert sorted(spoilt.index[real]) == sorted(plain.index[real])
    for name in ("mask", "segment", "bounds"):
      np.testing.assert_array_equal(getattr(spoilt, name), getattr(plain, name))
    if real.sum() > 1:
      assert (spoilt.index[real] != plain.index[real]).any()
  backwards = probes.spoil_frames(probes.REVERSED, plain, key)
  np.testing.assert_array_equal(backwards.index[real], plain.index[real][::-1])


def test_a_shuffle_is_the_videos_own_and_always_the_same():
  plain = choice(40, 10)
  orders = [tuple(probes.spoil_frames(probes.SHUFFLED, plain, key).index) for key in range(20)]
  assert len(set(orders)) > 15
  assert orders[3] == tuple(probes.spoil_frames(probes.SHUFFLED, plain, 3).index)


@given(st.integers(1, 30), st.integers(1, 12))
def test_one_frame_is_the_middle_one_in_the_first_segment(stored, frames):
  plain = choice(stored, frames)
  spoilt = probes.spoil_frames(probes.ONE, plain, 0)
  assert spoilt.mask.sum() == 1
  (place,) = np.flatnonzero(spoilt.mask)
  assert place == plain.mask.sum() // 2
  assert spoilt.index[place] == plain.index[place]
  assert spoilt.segment.tolist() == spoilt.mask.astype(int).tolist()


def test_phrases_change_places():
  text = "a man sings, then a dog, barks!"
  parts = [Segment(0, 11), Segment(18, 23), Segment(25, 30)]
  assert [text[s.start : s.end] for s in parts] == ["a man sings", "a dog", "barks"]
  swapped = probes.swap_phrases(record(text, parts))
  assert swapped.text == "barks, then a dog, a man sings!"
  found = [swapped.text[s.start : s.end] for s in swapped.segments]
  assert found == ["barks", "a dog", "a man sings"]


@st.composite
def texts(draw):
  words = draw(st.lists(st.text("ab é", min_size=1, max_size=5), min_size=1, max_size=6))
  parts, text = [], draw(st.text(" ,", max_size=2))
  for word in words:
    parts.append(Segment(len(text), len(text) + len(word)))
    text += word + draw(st.text(" ,.", max_size=2))
  return record(text, parts)


@given(texts())
def test_swapping_twice_gives_the_text_back(one):
  swapped = probes.swap_phrases(one)
  cut = [one.text[s.start : s.end] for s in one.segments]
  expected = [cut[-1], *cut[1:-1], cut[0]] if len(cut) > 1 else cut
  assert [swapped.text[s.start : s.end] for s in swapped.segments] == expected
  again = probes.swap_phrases(swapped)
  assert again.text == one.text
  assert [(s.start, s.end) for s in again.segments] == [(s.start, s.end) for s in one.segments]


def test_texts_that_a_swap_changes():
  two = record("a dog, a cat", [Segment(0, 5), Segment(7, 12)])
  same = record("a dog, a dog", [Segment(0, 5), Segment(7, 12)])
  one = record("a dog", [Segment(0, 5)])
  assert probes.changed_by_swap([two, same, one]).tolist() == [True, False, False]
