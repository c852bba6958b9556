"""Sentences and questions, checked by a reader of English who knows the scene."""

import collections
import itertools
import re

import numpy as np
import pytest

from mla_jax.data.demo import language
from mla_jax.data.demo import scene as scenes
from mla_jax.data.demo.write import Clip, make_clip

VERBS = {
    "moves left": "left", "goes left": "left",
    "moves right": "right", "goes right": "right",
    "moves up": "up", "goes up": "up",
    "moves down": "down", "goes down": "down",
    "grows": "grow", "expands": "grow", "shrinks": "shrink", "contracts": "shrink",
    "blinks": "blink", "flashes": "blink", "appears": "appear", "emerges": "appear",
    "disappears": "disappear", "vanishes": "disappear",
    "meets": "meet", "touches": "meet",
}  # fmt: skip
VERB = "(" + "|".join(VERBS) + ")"
NAME = r"the (\w+(?: \w+)?)"
TARGET = r"(?: (?:the|a) ([\w ]+?))?"
ANSWER = {action: answer for answer, action in list(VERBS.items())[::-1]} | {
    "left": "moves left", "right": "moves right", "up": "moves up", "down": "moves down",
    "grow": "grows", "shrink": "shrinks", "blink": "blinks", "appear": "appears",
    "disappear": "disappears", "meet": "meets another shape",
}  # fmt: skip


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
  return make_clips("train", 700)


def make_clips(split: str, count: int) -> list[Clip]:
  drawn = enumerate(scenes.sample_scenes(split, count, seed=0))
  return [make_clip(split, number, scene, 0) for number, scene in drawn]


def find(scene: scenes.Scene, name: str) -> int:
  """The one thing that fits "red circle", "red shape" or "circle"."""
  words = set(name.split()) - {"shape"}
  fitting = [
      i for i, thing in enumerate(scene.things) if words <= {thing.colour, thing.shape}
  ]
  assert len(fitting) == 1, name
  return fitting[0]


def moment(scene: scenes.Scene, actor: int, verb: str, target: str | None) -> int:
  """The one event in which the actor does this."""
  fitting = [
      k
      for k, event in enumerate(scene.events)
      if event.actor == actor
      and event.action == VERBS[verb]
      and (target is None or event.target == find(scene, target))
  ]
  assert len(fitting) == 1
  return fitting[0]


def answer_action(scene: scenes.Scene, question: str) -> str:
  match = re.fullmatch(rf"what does {NAME} do( first| last)?\?", question)
  if match:
    own = [e for e in scene.events if e.actor == find(scene, match[1])]
    assert (len(own) > 1) == bool(match[2])
    return ANSWER[own[-1 if match[2] == " last" else 0].action]
  match = re.fullmatch(
      rf"what does {NAME} do (right )?(after|before) (?:it|{NAME}) {VERB}{TARGET}\?", question
  )
  assert match, question
  asked = find(scene, match[1])
  other = asked if match[4] is None else find(scene, match[4])
  place = moment(scene, other, match[5], match[6])
  step = 1 if match[3] == "after" else -1
  if match[2]:
    assert other != asked
    event = scene.events[place + step]
    assert event.actor == asked
    return ANSWER[event.action]
  later = range(place + step, len(scene.events) if step > 0 else -1, step)
  return ANSWER[next(scene.events[k].action for k in later if scene.events[k].actor == asked)]


def answer_who(scene: scenes.Scene, question: str) -> scenes.Thing:
  rest = re.sub(r"^(what colour is the shape that|which shape) ", "", question)
  assert rest != question
  match = re.fullmatch(r"does something (first|last)\?", rest)
  if match:
    return scene.things[scene.events[0 if match[1] == "first" else -1].actor]
  match = re.fullmatch(rf"{VERB}(?: another shape)?( first| last)?\?", rest)
  assert match, question
  fitting = [event for event in scene.events if event.action == VERBS[match[1]]]
  assert len(fitting) == 1 or match[2]
  return scene.things[fitting[-1 if match[2] == " last" else 0].actor]


def test_every_answer_is_the_right_one(clips: list[Clip]) -> None:
  for clip in clips:
    assert len(clip.questions) == 8
    assert len({question.text for question in clip.questions}) == 8
    for question in clip.questions:
      assert question.answer in language.ANSWERS
      if question.kind == "action":
        assert answer_action(clip.scene, question.text) == question.answer, question
      else:
        thing = answer_who(clip.scene, question.text)
        assert question.answer == {"colour": thing.colour, "shape": thing.shape}[question.kind]


def test_every_sentence_tells_its_event(clips: list[Clip]) -> None:
  for clip in clips:
    for sentences in clip.descriptions:
      assert len(sentences) == len(clip.scene.events)
      subject = -1
      for k, (sentence, event) in enumerate(zip(sentences, clip.scene.events, strict=True)):
        assert (sentence.start, sentence.end) == (2.0 * k, 2.0 * k + 2.0)
        match = re.fullmatch(
            rf"(?:first |then |next |finally )?(?:it|(?:a|the) (\w+ \w+)) {VERB}{TARGET}\.",
            sentence.text,
        )
        assert match, sentence.text
        if match[1]:
          subject = find(clip.scene, match[1])
        assert (subject, VERBS[match[2]]) == (event.actor, event.action)
        assert (find(clip.scene, match[3]) if match[3] else -1) == event.target


def test_wordings_vary(clips: list[Clip]) -> None:
  words = {sentence.text for clip in clips for part in clip.descriptions for sentence in part}
  assert all(any(verb in text for text in words) for verb in VERBS)
  two = [clip.descriptions for clip in clips]
  assert np.mean([one != other for one, other in two]) > 0.95


def test_the_kinds_of_question_are_balanced_and_answers_too(clips: list[Clip]) -> None:
  questions = [question for clip in clips for question in clip.questions]
  kinds = collections.Counter(question.kind for question in questions)
  assert kinds["action"] == 2 * kinds["colour"] == 2 * kinds["shape"]
  for kind in kinds:
    answers = collections.Counter(q.answer for q in questions if q.kind == kind)
    assert max(answers.values()) < 1.6 * min(answers.values())
  assert {question.answer for question in questions} == set(language.ANSWERS)


def test_the_question_alone_tells_little(clips: list[Clip]) -> None:
  """A naive Bayes classifier on words and pairs of words stays far below 50 %."""

  def features(text: str) -> list[str]:
    words = re.findall(r"\w+", text)
    return [*words, *(f"{a} {b}" for a, b in itertools.pairwise(words))]

  counts = {answer: collections.Counter[str]() for answer in language.ANSWERS}
  totals = collections.Counter[str]()
  for clip in clips:
    for question in clip.questions:
      counts[question.answer].update(set(features(question.text)))
      totals[question.answer] += 1

  def guess(text: str) -> str:
    def score(answer: str) -> float:
      n = totals[answer]
      shares = [(counts[answer][f] + 0.5) / (n + 1) for f in features(text)]
      return float(np.log(n) + np.log(shares).sum())

    return max(language.ANSWERS, key=score)

  asked = [question for clip in make_clips("test", 250) for question in clip.questions]
  accuracy = np.mean([guess(question.text) == question.answer for question in asked])
  assert 0.1 < accuracy < 0.35
