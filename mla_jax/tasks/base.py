"""What the train loop and the evaluation know of a task."""

from collections.abc import Callable
import dataclasses
from typing import Any, Protocol, TypeAlias

import jax
from ml_collections import ConfigDict
import numpy as np

from mla_jax.data.reader import Reader
from mla_jax.data.sources import Texts
from mla_jax.data.subtitles import check_subtitles
from mla_jax.data.task_fields import TaskFields
from mla_jax.errors import UserError, check_choice, check_numbers
from mla_jax.evals.rescoring import METHODS
from mla_jax.models.mla import MLA

Batch: TypeAlias = dict[str, jax.Array]
Metrics: TypeAlias = dict[str, tuple[jax.Array, jax.Array]]
Params: TypeAlias = Any
Embeddings: TypeAlias = Any  # What a task's loss reads of the rows of a batch: a pytree.
SCORINGS = ("head", "contrastive")
_EVAL_NUMBERS = {
    "at least 1": ("batch_size", "bootstrap"),
    "0 or more": ("examples", "global_score", "segment_score", "regression_score"),
}


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """What an evaluation found.

  Attributes:
    metrics: JSON-able, in percent where a share; the task's own layout.
    main: the number that selects the best checkpoint, higher is better.
    rows: one JSON-able dict an example, for the dump and the report. Each has "id" (its own: dumps
      are joined by it), "video", "text", "place" (in `Texts.items`), "correct" (a bool), and "rank"
      or else "predicted" and "answer". The report leaves out those with "video_missing"; of a wrong
      one with "first", a video's id, and "first_place", of a text of it, it shows that video too.
    similarity: `[Q, V]` scores of the first texts and videos, for the report; None without.
  """

  metrics: dict[str, Any]
  main: float
  rows: list[dict[str, Any]]
  similarity: np.ndarray | None = None


Evaluate: TypeAlias = Callable[[Params, Texts], Evaluation]


@dataclasses.dataclass(frozen=True)
class Sizes:
  """What every task takes from the config beside its losses.

  Attributes:
    captions: own texts of a training row's source, its first slots.
    video_segments: N.
    text_segments: M.
    batch: rows of an evaluation batch.
    resamples: of the bootstrap.
    global_score: of retrieval, the weight of the global cosine in the mean of scores that ranks.
    segment_score: likewise of the segments' score.
    regression_score: likewise of the cosine of the regressor's guess and a text.
    rescoring: of retrieval, what gets rows of its own, see `evals.rescoring`.
    candidates: K, room for a question's.
    subtitles: of multiple choice, which are read (`data.subtitles`).
    scoring: "head" or "contrastive": what chooses among candidates and moments.
    moments: protocol of localisation.
    nms: of localisation, the IoU above which the worse of two windows is dropped.
  """

  captions: int
  video_segments: int
  text_segments: int
  batch: int
  resamples: int
  global_score: float
  segment_score: float
  regression_score: float
  rescoring: tuple[str, ...]
  candidates: int
  subtitles: str
  scoring: str
  moments: str
  nms: float

  @classmethod
  def from_config(cls, config: ConfigDict) -> "Sizes":
    """Raises UserError on a weight or a number that is none, and on an unknown name."""
    check_choice("eval.scoring", config.eval.scoring, SCORINGS)
    if not 0 <= config.eval.nms <= 1:
      raise UserError(f"eval.nms={config.eval.nms}: must be an IoU in [0, 1]")
    check_numbers("data", config.data, {"at least 1": ("candidates",)})
    check_numbers("eval", config.eval, _EVAL_NUMBERS)
    check_subtitles(config.data.subtitles, config.task)
    for name in config.eval.rescoring:
      check_choice("eval.rescoring", name, METHODS)
    return cls(
        captions=config.data.captions,
        video_segments=config.data.video_segments,
        text_segments=config.data.text_segments,
        batch=config.eval.batch_size,
        resamples=config.eval.bootstrap,
        global_score=config.eval.global_score,
        segment_score=config.eval.segment_score,
        regression_score=config.eval.regression_score,
        rescoring=tuple(config.eval.rescoring),
        candidates=config.data.candidates,
        subtitles=config.data.subtitles,
        scoring=config.eval.scoring,
        moments=config.eval.moments,
        nms=config.eval.nms,
    )


class Task(Protocol):
  """A task: its loss in the train step, and its evaluation. It holds no state.

  A task is a subclass, for it has `loss` from here.
  """

  needs_answers: bool = False  # The vocabulary of open-ended questions.

  @property
  def wanted(self) -> TaskFields:
    """What it reads of a text beside the text itself."""

  def embed(self, model: MLA, params: Params, batch: Batch, rng: jax.Array) -> Embeddings:
    """What the loss reads of rows of a batch: each leaf has as many entries for every row.

    No row's entries depend on another row, so that a batch may be embedded in parts.
    """

  def loss_of(
      self,
      model: MLA,
      params: Params,
      embeddings: Embeddings,
      batch: Batch,
      mesh: jax.sharding.Mesh,
  ) -> tuple[jax.Array, Metrics]:
    """The training loss of a global batch from the embeddings of all its rows.

    Its rows are split over the mesh. With it goes what to log of it as (sum, weight) pairs.
    """

  def loss(
      self, model: MLA, params: Params, batch: Batch, rng: jax.Array, mesh: jax.sharding.Mesh
  ) -> tuple[jax.Array, Metrics]:
    """`loss_of` of the whole batch embedded at once."""
    embeddings = self.embed(model, params, batch, rng)
    return self.loss_of(model, params, embeddings, batch, mesh)

  def evaluator(self, model: MLA, mesh: jax.sharding.Mesh, reader: Reader) -> Evaluate:
    """A function that evaluates parameters on texts; compiled once for all its calls."""


def with_video_only(texts: Texts, what: str) -> dict[str, Any]:
  """How many texts of a split have no video, where the numbers beside are over the others alone."""
  found: dict[str, Any] = {f"{what}_without_video": texts.missing}
  return found | ({"reduced_to": f"{what} with a video"} if texts.missing else {})


def numbers(metrics: dict[str, Any], prefix: str = "") -> dict[str, float]:
  """The plain numbers of an evaluation under "a/b/c" names, for the logs."""
  flat: dict[str, float] = {}
  for name, value in metrics.items():
    if isinstance(value, dict):
      flat |= numbers(value, f"{prefix}{name}/")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
      flat[f"{prefix}{name}"] = float(value)
  return flat
