"""What happens in a demo clip: coloured shapes and the events they take part in.

A clip is `Scene`, a pure function of (seed, split, index). It lasts 2 to 4 events of
`EVENT_SECONDS` each; in each event one shape (the actor) does one thing and the others rest.

Held-out compositions: some (colour, shape, action) triples (`is_held_out`) never happen in a train
clip, while every pair of the three does; every test clip has at least one of them.
"""

from collections.abc import Iterator
import dataclasses
import itertools
import math

import numpy as np

COLOURS = ("red", "green", "blue", "yellow")
SHAPES = ("square", "triangle", "cross")
MOVES = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}
ACTIONS = (*MOVES, "grow", "shrink", "blink", "appear", "disappear", "meet")
SPLITS = ("train", "test")
# What needs room or an order fails more often: drawn more often it comes out as frequent.
_WEIGHTS = np.array([1.2, 1.2, 1.2, 1.2, 0.75, 0.69, 0.66, 1.15, 1.15, 1.03])

SIZE = 64  # Pixels of a frame's side; all lengths below are in pixels.
EVENT_SECONDS = 2.0
MIN_EVENTS, MAX_EVENTS = 2, 4

_CELLS = 4  # Things rest on a grid of places, which are the patches of a ViT with 4 x 4 of them.
_PITCH = SIZE / _CELLS
_FIRST = _PITCH / 2  # Of the places along an axis.
_RADIUS = 7.5  # Neighbours all but touch.
_GROWTH = 1.4
_MOVE = 2 * _PITCH
_GAP = 8.0  # Shapes that have not met stay this far apart: never on neighbouring places.
_OVERLAP = 6.0  # So much a shape may grow over one it has met.
_PLACEMENTS = 40


@dataclasses.dataclass(frozen=True)
class Thing:
  """A coloured shape; no two in a clip share the colour or the shape."""

  colour: str
  shape: str


@dataclasses.dataclass(frozen=True)
class Event:
  """The actor, and in a meeting the target, as indices into the scene's things."""

  actor: int
  action: str
  target: int = -1


@dataclasses.dataclass(frozen=True)
class State:
  """Where a thing is between two events, in pixels; y grows downwards."""

  x: float
  y: float
  radius: float
  visible: bool


@dataclasses.dataclass(frozen=True)
class Scene:
  """A clip.

  Attributes:
    things: the shapes, some of which may do nothing.
    events: in order; event k lasts from k * EVENT_SECONDS to (k + 1) * EVENT_SECONDS.
    states: for each of len(events) + 1 moments, the state of every thing.
  """

  things: tuple[Thing, ...]
  events: tuple[Event, ...]
  states: tuple[tuple[State, ...], ...]

  @property
  def duration(self) -> float:
    return len(self.events) * EVENT_SECONDS

  def story(self) -> tuple[tuple[str, ...], ...]:
    """What a caption can tell of the scene: equal stories cannot be told apart by words."""
    return tuple(
        (event.action, *self._words(event.actor), *self._words(event.target))
        for event in self.events
    )

  def _words(self, thing: int) -> tuple[str, ...]:
    return (self.things[thing].colour, self.things[thing].shape) if thing >= 0 else ()


def is_held_out(colour: str, shape: str, action: str) -> bool:
  """Whether a shape of this colour does this in test clips only: one triple in five.

  The triples make a Latin square: any two of colour, shape and action are seen together in train.
  """
  place = COLOURS.index(colour) + 2 * SHAPES.index(shape) + ACTIONS.index(action)
  return place % 5 == 0


def sample_scenes(split: str, count: int, seed: int) -> Iterator[Scene]:
  """The first `count` scenes of a split, no two with the same story."""
  told: set[tuple[tuple[str, ...], ...]] = set()
  index = 0
  while len(told) < count:
    scene = sample_scene(split, index, seed)
    index += 1
    if scene.story() not in told:
      told.add(scene.story())
      yield scene


def sample_scene(split: str, index: int, seed: int) -> Scene:
  """Draws a scene: things, then a plan of events, then places where the plan works out."""
  rng = np.random.default_rng((seed, SPLITS.index(split), index))
  events = int(rng.integers(MIN_EVENTS, MAX_EVENTS + 1))
  while True:
    things = _draw_things(rng, 2 if events == 2 else int(rng.integers(2, 4)))
    plan = _draw_plan(rng, len(things), events)
    if plan is None or not _belongs(split, things, plan):
      continue
    for _ in range(_PLACEMENTS):
      states = _play(plan, _place(rng, plan, len(things)))
      if states is not None:
        return Scene(things, plan, states)


def _draw_things(rng: np.random.Generator, count: int) -> tuple[Thing, ...]:
  colours = rng.permutation(COLOURS)[:count]
  shapes = rng.permutation(SHAPES)[:count]
  return tuple(Thing(str(c), str(s)) for c, s in zip(colours, shapes, strict=True))


def _draw_plan(rng: np.random.Generator, things: int, events: int) -> tuple[Event, ...] | None:
  """Random events; None if they make no sense in this order."""
  plan: list[Event] = []
  for _ in range(events):
    actor = int(rng.integers(things))
    action = str(rng.choice(ACTIONS, p=_WEIGHTS / _WEIGHTS.sum()))
    target = (actor + int(rng.integers(1, things))) % things if action == "meet" else -1
    plan.append(Event(actor, action, target))
  if len({(event.actor, event.action) for event in plan}) < events:
    return None  # "After it grows" must be one moment.
  for thing in range(things):
    parts = [event for event in plan if thing in (event.actor, event.target)]
    own = [event.action if event.actor == thing else "met" for event in parts]
    if "appear" in own[1:] or "disappear" in own[:-1]:
      return None
  return tuple(plan)


def _belongs(split: str, things: tuple[Thing, ...], plan: tuple[Event, ...]) -> bool:
  held_out = any(
      is_held_out(things[event.actor].colour, things[event.actor].shape, event.action)
      for event in plan
  )
  return held_out == (split == "test")


def _place(rng: np.random.Generator, plan: tuple[Event, ...], things: int) -> tuple[State, ...]:
  hidden = {event.actor for event in plan if event.action == "appear"}
  cells = rng.choice(_CELLS * _CELLS, things, replace=False)
  places = [(_FIRST + _PITCH * (c % _CELLS), _FIRST + _PITCH * (c // _CELLS)) for c in cells]
  return tuple(
      State(float(x), float(y), _RADIUS, i not in hidden) for i, (x, y) in enumerate(places)
  )


def _play(
    plan: tuple[Event, ...], start: tuple[State, ...]
) -> tuple[tuple[State, ...], ...] | None:
  """The states after each event, or None if a shape would leave the frame or run into another."""
  if any(_gap(one, other) < _GAP for one, other in itertools.combinations(start, 2)):
    return None
  moments = [start]
  for event in plan:
    after = _act(moments[-1], event)
    if after is None:
      return None
    moments.append(after)
  return tuple(moments)


def _act(before: tuple[State, ...], event: Event) -> tuple[State, ...] | None:
  """The states after an event, or None if there is no room for it."""
  old = before[event.actor]
  new = old
  if event.action in MOVES:
    dx, dy = MOVES[event.action]
    new = dataclasses.replace(old, x=old.x + _MOVE * dx, y=old.y + _MOVE * dy)
  elif event.action == "meet":
    target = before[event.target]
    beside = [(target.x + _PITCH * dx, target.y + _PITCH * dy) for dx, dy in MOVES.values()]
    x, y = min(beside, key=lambda place: math.hypot(place[0] - old.x, place[1] - old.y))
    if (x, y) == (old.x, old.y):
      return None
    new = dataclasses.replace(old, x=x, y=y)
  elif event.action == "grow":
    new = dataclasses.replace(old, radius=old.radius * _GROWTH)
  elif event.action == "shrink":
    new = dataclasses.replace(old, radius=old.radius / _GROWTH)
  elif event.action != "blink":
    new = dataclasses.replace(old, visible=event.action == "appear")
  after = tuple(new if i == event.actor else state for i, state in enumerate(before))
  return after if _inside(new) and _room(before, new, event) else None


def _inside(state: State) -> bool:
  last = _FIRST + _PITCH * (_CELLS - 1)
  return min(state.x, state.y) >= _FIRST and max(state.x, state.y) <= last


def _room(before: tuple[State, ...], new: State, event: Event) -> bool:
  """Whether the actor keeps its distance from all others, on its straight way and at its end.

  One it has met it does not come nearer to, but it may grow over a little of it.
  """
  old = before[event.actor]
  for i, other in enumerate(before):
    if i in (event.actor, event.target):
      continue
    if new.radius > old.radius:
      if _gap(new, other) < -_OVERLAP:
        return False
    elif (new.x, new.y) != (old.x, old.y):
      least = min(_gap(old, other), _GAP) - 1e-6
      for share in (0.25, 0.5, 0.75, 1.0):
        x, y = _between(old, new, share)
        if _gap(dataclasses.replace(old, x=x, y=y), other) < least:
          return False
  return True


def _gap(one: State, other: State) -> float:
  return math.hypot(one.x - other.x, one.y - other.y) - one.radius - other.radius


def _between(start: State, end: State, share: float) -> tuple[float, float]:
  return start.x + share * (end.x - start.x), start.y + share * (end.y - start.y)
