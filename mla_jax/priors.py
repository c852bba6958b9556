"""What training answers and moments alone say of the evaluated texts: nothing is looked at.

A model that is no better than these has learned how a set answers, and not what its videos show.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
import numpy as np

from mla_jax.data.records import TextRecord
from mla_jax.evals import counting, localisation, multiple_choice
from mla_jax.tasks.moment_protocols import PROTOCOLS, Proposals, fixed_windows

ANSWER, TEXT, MOMENT = "answer_prior", "text_prior", "moment_prior"
_GRID = 20  # Steps of the starts and ends of windows that are shares of their video.
_COMMON = 200  # Most frequent windows in whole seconds that are tried beside those.


def answers(training: Sequence[TextRecord], asked: Sequence[TextRecord]) -> dict[str, float]:
  """Percent right of open-ended questions.

  "answer_prior": always the most frequent training answer. "text_prior": the most frequent one to
  questions with the same first word; of a word that training does not know, the most frequent.
  """
  best = _most_frequent(record.answer for record in training)
  by_word: dict[str, Counter[str]] = defaultdict(Counter)
  for record in training:
    by_word[_first_word(record)][record.answer] += 1
  chosen = {word: _most_frequent(found.elements()) for word, found in by_word.items()}
  right = [
      (record.answer == best, record.answer == chosen.get(_first_word(record), best))
      for record in asked
  ]
  always, by_text = 100.0 * np.mean(np.array(right), axis=0)
  return {ANSWER: float(always), TEXT: float(by_text)}


def choices(training: Sequence[TextRecord], asked: Sequence[TextRecord]) -> dict[str, float]:
  """Percent right of multiple-choice questions; ties break at random.

  "answer_prior": the candidate that stands where the training answers stand most often.
  "text_prior": the candidate that was right most often of the times it was shown in training, which
  gives 40.1 % of TGIF-QA's actions where chance is 20 %.
  """
  places = Counter(record.answer_index for record in training)
  shown: Counter[str] = Counter()
  for record in training:
    shown.update(record.candidates)
  right = Counter(record.answer for record in training)

  def rate(candidate: str, candidates: int) -> float:
    return (right[candidate] + 1 / candidates) / (shown[candidate] + 1)

  most = max(len(record.candidates) for record in asked)
  by_place = np.tile([float(places[place]) for place in range(most)], (len(asked), 1))
  by_text = np.zeros((len(asked), most))
  for row, record in enumerate(asked):
    candidates = record.candidates
    by_text[row, : len(candidates)] = [rate(text, len(candidates)) for text in candidates]
  answer = np.array([record.answer_index for record in asked])
  mask = np.arange(most) < np.array([[len(record.candidates)] for record in asked])
  also = multiple_choice.also_right(
      [record.candidates for record in asked], [record.references for record in asked], most
  )
  found = {
      name: multiple_choice.points(scores, answer, mask, also)
      for name, scores in ((ANSWER, by_place), (TEXT, by_text))
  }
  return {name: 100.0 * float(np.mean(points)) for name, points in found.items()}


def counts(training: Sequence[TextRecord], asked: Sequence[TextRecord]) -> dict[str, float]:
  """Squared error, with raw labels, of the whole number with the least in training."""
  labels = np.array([record.count for record in training])
  always = np.arange(counting.LOW, counting.HIGH + 1)
  best = always[np.argmin(np.mean((always[:, None] - labels) ** 2, axis=1))]
  raw = np.array([record.count for record in asked])
  return {ANSWER: float(np.mean((best - raw) ** 2.0))}


def moments(
    training: Sequence[TextRecord], asked: Sequence[TextRecord], protocol: str
) -> dict[str, Any]:
  """Metrics of always the window that overlaps most with the training moments.

  Windows in seconds, and in shares of the video's length, are tried.

  Returns:
    What `PROTOCOLS[protocol]` says of it; empty where a video's length is not in the annotations.
  """
  if any(np.isnan(record.duration) for record in (*training, *asked)):
    return {}
  window = _best_window(training)
  windows = _in_seconds(window, _durations(asked))
  fixed = fixed_windows(protocol, asked)
  proposals = Proposals(
      windows=windows[:, None],
      scores=np.zeros((len(asked), 1)),
      real=np.ones((len(asked), 1), bool),
      end=_durations(asked),
      fixed=localisation.temporal_iou(windows[:, None], fixed[None]),
  )
  return PROTOCOLS[protocol](asked, proposals, 1.0, 2).metrics


def _best_window(training: Sequence[TextRecord]) -> tuple[str, float, float]:
  """("share" or "seconds", start, end)."""
  duration = _durations(training)
  edges = np.arange(_GRID + 1) / _GRID
  shares = [("share", start, end) for start in edges for end in edges if start < end]
  whole = Counter(
      (round(start), round(end)) for record in training for start, end in record.moments
  )
  seconds = [("seconds", *window) for window, _ in whole.most_common(_COMMON)]
  # Annotators and parts of a moment count alike: a window to each text, the one it meets best.
  most = max(len(record.moments) for record in training)
  truth = np.zeros((len(training), most, 2))
  for row, record in enumerate(training):
    truth[row, : len(record.moments)] = record.moments

  def overlap(window: tuple[str, float, float]) -> float:
    found = localisation.temporal_iou(_in_seconds(window, duration)[:, None], truth)
    return float(found.max(axis=1).mean())

  return max((*shares, *seconds), key=overlap)


def _in_seconds(
    window: tuple[str, float, float], duration: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n 2"]:
  """The window in each video; one that begins behind a video's end is all of that video."""
  kind, start, end = window
  scale = duration if kind == "share" else np.ones_like(duration)
  found = np.stack([start * scale, np.minimum(end * scale, duration)], axis=1)
  outside = found[:, 0] >= found[:, 1]
  found[outside] = np.stack([np.zeros_like(duration), duration], axis=1)[outside]
  return found


def _durations(records: Sequence[TextRecord]) -> Float[np.ndarray, " n"]:
  return np.array([record.duration for record in records])


def _first_word(record: TextRecord) -> str:
  return record.text.lower().split(maxsplit=1)[0]


def _most_frequent(found: Any) -> str:
  return Counter(found).most_common(1)[0][0]
