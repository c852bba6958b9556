"""Scenes: pure, balanced, possible to draw, and with compositions kept for the test split."""

import collections
import itertools
import math

import pytest

from mla_jax.data.demo import scene as scenes


@pytest.fixture(scope="module")
def train() -> list[scenes.Scene]:
  return list(scenes.sample_scenes("train", 900, seed=0))


@pytest.fixture(scope="module")
def test() -> list[scenes.Scene]:
  return list(scenes.sample_scenes("test", 300, seed=0))


def triples(scene: scenes.Scene) -> set[tuple[str, str, str]]:
  actors = [scene.things[event.actor] for event in scene.events]
  return {
      (thing.colour, thing.shape, event.action)
      for thing, event in zip(actors, scene.events, strict=True)
  }


def test_a_scene_is_a_function_of_seed_split_and_index() -> None:
  assert scenes.sample_scene("train", 7, 3) == scenes.sample_scene("train", 7, 3)
  others = [("train", 8, 3), ("train", 7, 4), ("test", 7, 3)]
  assert all(
      scenes.sample_scene(*other) != scenes.sample_scene("train", 7, 3) for other in others
  )


def test_more_scenes_keep_the_first_ones() -> None:
  few = list(scenes.sample_scenes("test", 10, seed=1))
  assert list(scenes.sample_scenes("test", 20, seed=1))[:10] == few


def test_stories_are_distinct(train: list[scenes.Scene], test: list[scenes.Scene]) -> None:
  for split in (train, test):
    assert len({scene.story() for scene in split}) == len(split)


def test_held_out_compositions_are_seen_in_test_clips_alone(
    train: list[scenes.Scene], test: list[scenes.Scene]
) -> None:
  seen = set().union(*map(triples, train))
  assert not any(scenes.is_held_out(*triple) for triple in seen)
  assert all(any(scenes.is_held_out(*triple) for triple in triples(scene)) for scene in test)
  kept = [
      triple
      for triple in itertools.product(scenes.COLOURS, scenes.SHAPES, scenes.ACTIONS)
      if scenes.is_held_out(*triple)
  ]
  assert len(kept) == 24  # Of 120.
  assert set().union(*map(triples, test)) >= set(kept)


def test_train_has_every_pair_and_every_triple_that_is_not_held_out(
    train: list[scenes.Scene],
) -> None:
  seen = set().union(*map(triples, train))
  every = set(itertools.product(scenes.COLOURS, scenes.SHAPES, scenes.ACTIONS))
  assert len(seen) >= 0.97 * sum(not scenes.is_held_out(*triple) for triple in every)
  for a, b in ((0, 1), (0, 2), (1, 2)):
    pairs = {(triple[a], triple[b]) for triple in every}
    assert {(triple[a], triple[b]) for triple in seen} == pairs


def test_actions_colours_and_lengths_are_about_equally_frequent(
    train: list[scenes.Scene],
) -> None:
  actions = collections.Counter(event.action for scene in train for event in scene.events)
  assert set(actions) == set(scenes.ACTIONS)
  assert max(actions.values()) < 1.5 * min(actions.values())
  colours = collections.Counter(thing.colour for scene in train for thing in scene.things)
  assert max(colours.values()) < 1.3 * min(colours.values())
  lengths = collections.Counter(len(scene.events) for scene in train)
  assert set(lengths) == {2, 3, 4}
  assert max(lengths.values()) < 1.4 * min(lengths.values())


def test_no_two_things_share_a_colour_or_a_shape(train: list[scenes.Scene]) -> None:
  for scene in train:
    assert len({thing.colour for thing in scene.things}) == len(scene.things) >= 2
    assert len({thing.shape for thing in scene.things}) == len(scene.things)


def test_things_stay_in_the_frame_and_touch_only_after_a_meeting(
    train: list[scenes.Scene],
) -> None:
  for scene in train:
    assert len(scene.states) == len(scene.events) + 1
    met: set[frozenset[int]] = set()
    for k, states in enumerate(scene.states):
      if k and scene.events[k - 1].action == "meet":
        met.add(frozenset((scene.events[k - 1].actor, scene.events[k - 1].target)))
      for state in states:
        assert {state.x, state.y} <= {8.0, 24.0, 40.0, 56.0}
        edge = 3.0 * (state.radius > 8.0)  # Grown beside the border it is cut a little.
        assert min(state.x, state.y) - state.radius >= -edge
        assert max(state.x, state.y) + state.radius <= scenes.SIZE + edge
      for i, j in itertools.combinations(range(len(states)), 2):
        a, b = states[i], states[j]
        gap = math.hypot(a.x - b.x, a.y - b.y) - a.radius - b.radius
        assert gap >= (-6.0 if frozenset((i, j)) in met else 0.0)
        if k == 0:
          assert max(abs(a.x - b.x), abs(a.y - b.y)) >= 32  # No neighbours before they meet.


def test_an_event_changes_its_actor_alone_and_as_it_says(train: list[scenes.Scene]) -> None:
  for scene in train:
    for event, before, after in zip(scene.events, scene.states, scene.states[1:], strict=False):
      for i, (old, new) in enumerate(zip(before, after, strict=True)):
        if i != event.actor or event.action == "blink":
          assert old == new
      old, new = before[event.actor], after[event.actor]
      dx, dy = new.x - old.x, new.y - old.y
      expected = {
          "left": dx < -20 and dy == 0,
          "right": dx > 20 and dy == 0,
          "up": dy < -20 and dx == 0,
          "down": dy > 20 and dx == 0,
          "grow": new.radius > 1.3 * old.radius,
          "shrink": old.radius > 1.3 * new.radius,
          "blink": old.visible,
          "appear": new.visible and not old.visible,
          "disappear": old.visible and not new.visible,
          "meet": math.hypot(dx, dy) >= 16,
      }
      assert expected[event.action]
      if event.action not in ("appear", "disappear"):
        assert old.visible
        assert new.visible
      if event.action == "meet":
        other = after[event.target]
        assert math.hypot(new.x - other.x, new.y - other.y) == 16.0  # Next to each other.
        assert other.visible
