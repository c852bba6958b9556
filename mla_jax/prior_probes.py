"""What a probed model's training texts alone would give, beside what it gives itself."""

import pathlib

from ml_collections import ConfigDict

from mla_jax import priors
from mla_jax.data import sources
from mla_jax.data.records import TextRecord
from mla_jax.data.sources import Texts
from mla_jax.errors import UserError
from mla_jax.run import Run
from mla_jax.tasks.base import numbers

_KINDS = {
    "open_ended_qa": (priors.ANSWER, priors.TEXT),
    "multiple_choice_qa": (priors.ANSWER, priors.TEXT),
    "counting": (priors.ANSWER,),
    "localisation": (priors.MOMENT,),
    "retrieval": (priors.TEXT,),
}
_ANSWERED = {
    "open_ended_qa": priors.answers,
    "multiple_choice_qa": priors.choices,
    "counting": priors.counts,
}


class _LeftOut(Exception):
  """Why a prior has no number. Damaged data are no such reason: their error ends the command."""


def prior_probes(
    run: Run, trained: ConfigDict, texts: Texts, name: str
) -> tuple[dict[str, float], dict[str, str]]:
  """The priors that fit the task, and why others are left out.

  Args:
    run: of the evaluation.
    trained: the config of the training, whose texts the priors are taken from.
    texts: what is evaluated.
    name: of the number that is shown, for moments.

  Returns:
    {prior: number}, {prior: what to say of it}.
  """
  task = run.config.task
  try:
    if task == "localisation":
      return {priors.MOMENT: _moment_prior(run, trained, texts, name)}, {}
    if task not in _ANSWERED:
      raise _LeftOut("what is ranked has no answers")
    if trained.task != task:
      raise _LeftOut(f"the run was trained for {trained.task}")
    # What the accuracy of the plain evaluation is over; of counts it is what has a video.
    asked = texts.store.read(texts.split, texts.items) if task == "counting" else texts.read_all()
    return _ANSWERED[task](_training_records(run, trained), asked), {}
  except _LeftOut as reason:
    return {}, dict.fromkeys(_KINDS[task], f"left out: {reason}")


def _moment_prior(run: Run, trained: ConfigDict, texts: Texts, name: str) -> float:
  timed = [record for record in _training_records(run, trained) if record.moments]
  if not timed:
    raise _LeftOut("no training text tells of a moment")
  asked = texts.store.read(texts.split, texts.items)
  metrics = priors.moments(timed, asked, run.config.eval.moments)
  if not metrics:
    raise _LeftOut("the annotations do not tell how long every video is")
  return numbers(metrics)[name]


def _training_records(run: Run, trained: ConfigDict) -> list[TextRecord]:
  """Those of the task the run was trained for, without what selected its best step."""
  data = trained.data.copy_and_resolve_references()
  if not pathlib.Path(data.dir).is_dir():  # Trained on another machine.
    data.dir = run.config.data.dir
  own = [source for source in data.sources.values() if source.texts == data.eval_texts]
  if not own:
    raise _LeftOut(f"the run was not trained on texts like {data.family}/{data.eval_texts}")
  try:
    known = sources.open_texts(data, own[0].texts, own[0].split, with_video=False)
  except UserError as error:
    raise _LeftOut(str(error)) from error
  known, _ = sources.split_off_dev(known, data.dev_fraction)
  return known.store.read(known.split, known.items)
