"""What can be said and asked about a scene: timed sentences, and questions about the order."""

from collections.abc import Iterator
import dataclasses
import itertools

import numpy as np

from mla_jax.data.demo.scene import ACTIONS, COLOURS, EVENT_SECONDS, SHAPES, Event, Scene, Thing

# The ways to say what a shape does; {} is the target of a meeting. The first is also the answer.
_VERBS = {
    "left": ("moves left", "goes left"),
    "right": ("moves right", "goes right"),
    "up": ("moves up", "goes up"),
    "down": ("moves down", "goes down"),
    "grow": ("grows", "expands"),
    "shrink": ("shrinks", "contracts"),
    "blink": ("blinks", "flashes"),
    "appear": ("appears", "emerges"),
    "disappear": ("disappears", "vanishes"),
    "meet": ("meets {}", "touches {}"),
}
_FIRST = ("", "first ")
_NEXT = ("", "then ", "next ")
_LAST = ("", "then ", "finally ")
MEETS = "meets another shape"
ANSWERS = (
    *(MEETS if action == "meet" else _VERBS[action][0] for action in ACTIONS),
    *COLOURS,
    *SHAPES,
)


@dataclasses.dataclass(frozen=True)
class Sentence:
  """A sentence and the seconds it speaks of."""

  text: str
  start: float
  end: float


@dataclasses.dataclass(frozen=True)
class Question:
  """A question; `kind` is what its answer is: "action", "colour" or "shape"."""

  kind: str
  text: str
  answer: str


def describe(scene: Scene, rng: np.random.Generator) -> tuple[Sentence, ...]:
  """One sentence an event, in one of many wordings."""
  known: set[int] = set()
  sentences = []
  previous = -1
  for k, event in enumerate(scene.events):
    starts = _FIRST if k == 0 else _LAST if k == len(scene.events) - 1 else _NEXT
    same = event.actor == previous and rng.random() < 0.6
    subject = "it" if same else _introduce(scene, event.actor, known)
    target = _introduce(scene, event.target, known) if event.target >= 0 else ""
    verb = _pick(rng, _VERBS[event.action]).format(target)
    text = f"{_pick(rng, starts)}{subject} {verb}."
    sentences.append(Sentence(text, k * EVENT_SECONDS, (k + 1) * EVENT_SECONDS))
    previous = event.actor
  return tuple(sentences)


def ask(scene: Scene, rng: np.random.Generator, most: int) -> tuple[Question, ...]:
  """Up to `most` different questions: half about actions, the others about colours and shapes.

  Each has one right answer. Most speak of an order (first, last, before, after); "which shape
  grows?" and "what does the red circle do?", where it does one thing, are the easy ones.
  """
  actions = list(_ask_actions(scene, rng))
  colours = list(_ask_who(scene, rng, "colour"))
  shapes = list(_ask_who(scene, rng, "shape"))
  for questions in (actions, colours, shapes):
    rng.shuffle(questions)
  chosen: list[Question] = []
  turns = (actions, colours, actions, shapes)
  for turn in range(len(turns) * most):
    left = [q for q in turns[turn % len(turns)] if q.text not in {c.text for c in chosen}]
    if left and len(chosen) < most:
      chosen.append(left[0])
  return tuple(chosen)


def _ask_actions(scene: Scene, rng: np.random.Generator) -> Iterator[Question]:
  for thing in range(len(scene.things)):
    name = _refer(rng, scene.things[thing])
    own = [event for event in scene.events if event.actor == thing]
    if len(own) > 1:
      yield Question("action", f"what does {name} do first?", _answer(own[0]))
      yield Question("action", f"what does {name} do last?", _answer(own[-1]))
    elif own:
      yield Question("action", f"what does {name} do?", _answer(own[0]))
    for one, other in itertools.pairwise(own):
      after, before = _does(scene, rng, one), _does(scene, rng, other)
      yield Question("action", f"what does {name} do after it {after}?", _answer(other))
      yield Question("action", f"what does {name} do before it {before}?", _answer(one))
  for one, other in itertools.pairwise(scene.events):
    if one.actor == other.actor:
      continue
    names = [_refer(rng, scene.things[event.actor]) for event in (one, other)]
    after, before = _does(scene, rng, one), _does(scene, rng, other)
    yield Question(
        "action", f"what does {names[1]} do right after {names[0]} {after}?", _answer(other)
    )
    yield Question(
        "action", f"what does {names[0]} do right before {names[1]} {before}?", _answer(one)
    )


def _ask_who(scene: Scene, rng: np.random.Generator, kind: str) -> Iterator[Question]:
  """Questions for the colour of the shape, or for the shape, that takes part in an event."""
  who = "what colour is the shape that" if kind == "colour" else "which shape"

  def answer(event: Event) -> str:
    thing = scene.things[event.actor]
    return thing.colour if kind == "colour" else thing.shape

  events = scene.events
  if events[0].actor != events[-1].actor:
    yield Question(kind, f"{who} does something first?", answer(events[0]))
    yield Question(kind, f"{who} does something last?", answer(events[-1]))
  for event in events:
    same = [other for other in events if other.action == event.action]
    verb = _VERBS[event.action][0].format("another shape")
    if len(same) == 1:
      yield Question(kind, f"{who} {verb}?", answer(event))
    elif event is same[0]:
      yield Question(kind, f"{who} {verb} first?", answer(same[0]))
      yield Question(kind, f"{who} {verb} last?", answer(same[-1]))


def _does(scene: Scene, rng: np.random.Generator, event: Event) -> str:
  target = _refer(rng, scene.things[event.target]) if event.target >= 0 else ""
  return _pick(rng, _VERBS[event.action]).format(target)


def _answer(event: Event) -> str:
  return ANSWERS[ACTIONS.index(event.action)]


def _introduce(scene: Scene, thing: int, known: set[int]) -> str:
  article = "the" if thing in known else "a"
  known.add(thing)
  return f"{article} {scene.things[thing].colour} {scene.things[thing].shape}"


def _refer(rng: np.random.Generator, thing: Thing) -> str:
  names = (f"the {thing.colour} {thing.shape}", f"the {thing.colour} shape", f"the {thing.shape}")
  return names[int(rng.choice(3, p=(0.5, 0.25, 0.25)))]


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
  return options[int(rng.integers(len(options)))]
