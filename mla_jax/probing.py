"""Runs the probes of a model: the same evaluation on spoilt inputs, and priors that see nothing."""

import dataclasses
import json
import pathlib
from typing import Any

from ml_collections import ConfigDict
import numpy as np

from mla_jax import config_lib, eval_lib, whole_files
from mla_jax import run as run_lib
from mla_jax.data import probes, sources
from mla_jax.data.sources import Texts
from mla_jax.errors import UserError
from mla_jax.log import logger
from mla_jax.run import Run
from mla_jax.tasks.base import Evaluation, numbers

_RECALL = "text_to_video/recall_at_1"
_SCORES = ("accuracy", _RECALL)
_SELECTS = "selection score"
# Percent of texts told from themselves in another order: no number to subtract.
_OTHER_UNIT = ("order_told",)


def probe(config: ConfigDict, workdir: pathlib.Path, step: str) -> dict[str, Any]:
  """Evaluates a checkpoint as it is and under every probe that fits its task.

  Args:
    config: of the run, with what differs for this evaluation (`eval_lib.load_config`).
    workdir: of the run.
    step: "best", "latest" or a number, as typed.

  Returns:
    A JSON-able dict: "dataset", "split", "step", "score" (name of the number shown), and "probes"
    {name: number}, "none" being the plain evaluation; written to the workdir's `eval/` too.

  Raises:
    UserError: a model without video, no such checkpoint or split.
  """
  if not config.model.use_video:
    raise UserError(f"{workdir}: its model has no video to be probed: probe its twin with video")
  run = run_lib.open_run(config, workdir)
  texts = run_lib.open_evaluated(run)
  params, chosen = eval_lib.restore_params(run, step)
  plain = _evaluated(run, "none", params, texts)
  name = _score_name(plain)
  found = {"none": _score(plain, name)}
  for kind in probes.FRAME_PROBES:
    spoilt = dataclasses.replace(run, reader=dataclasses.replace(run.reader, probe=kind))
    found[kind] = _score(_evaluated(_again(spoilt), kind, params, texts), name)
  for label, frames in _frame_numbers(config).items():
    other = config_lib.apply_overrides(config, {"data.num_frames": frames})
    again = run_lib.open_run(other, workdir)
    found[label] = _score(_evaluated(again, label, params, texts), name)
  if run.task.needs_answers:
    found |= _priors(run, texts)
  if name == _RECALL:
    found |= _swapped(run, params, texts, plain)
  data = config.data
  result = {
      "dataset": f"{data.family}_{data.eval_texts}",
      "split": data.eval_split,
      "step": chosen,
      "score": name.replace("/", " "),
      "probes": found,
  }
  path = workdir / "eval" / f"probes_{result['dataset']}_{result['split']}.json"
  path.parent.mkdir(exist_ok=True)
  whole_files.write_text(path, json.dumps(result, indent=2) + "\n")
  return result


def table(result: dict[str, Any]) -> str:
  """The numbers and what each lost against the plain evaluation."""
  plain = result["probes"]["none"]
  width = max(map(len, result["probes"]))
  lines = [f"{result['dataset']} {result['split']}, step {result['step']}: {result['score']}"]
  for name, value in result["probes"].items():
    change = "" if name == "none" or name in _OTHER_UNIT else f"{value - plain:+8.1f}"
    lines.append(f"{name.ljust(width)} {value:8.1f}{change}")
  return "\n".join(lines)


def _again(run: Run) -> Run:
  """The run with an evaluation that reads its reader."""
  return dataclasses.replace(run, evaluate=run.task.evaluator(run.model, run.mesh, run.reader))


def _evaluated(run: Run, name: str, params: Any, texts: Texts) -> Evaluation:
  logger.info("probe %s", name)
  return run.evaluate(params, texts)


def _score_name(evaluation: Evaluation) -> str:
  """The number that is shown: the first of `_SCORES` that there is, or what selects checkpoints."""
  found = numbers(evaluation.metrics)
  return next((name for name in _SCORES if name in found), _SELECTS)


def _score(evaluation: Evaluation, name: str) -> float:
  return evaluation.main if name == _SELECTS else numbers(evaluation.metrics)[name]


def _frame_numbers(config: ConfigDict) -> dict[str, int]:
  """Half and twice the frames, as far as the model goes."""
  frames = config.data.num_frames
  numbers = {"half_the_frames": max(1, frames // 2), "twice_the_frames": 2 * frames}
  fits = {name: n for name, n in numbers.items() if n <= config.model.video.max_frames}
  return {name: number for name, number in fits.items() if number != frames}


def _priors(run: Run, texts: Texts) -> dict[str, float]:
  """What the answers of training alone give."""
  data = run.config.data
  training = [source for source in data.sources.values() if source.texts == data.eval_texts]
  if not training:
    return {}
  known = sources.open_texts(data, training[0].texts, training[0].split, with_video=False)
  known, _ = sources.split_off_dev(known, data.dev_fraction)
  records = known.store.read(known.split, known.items)
  asked = texts.store.read(texts.split, texts.items)
  return {"answer_prior": probes.answer_prior(records, asked)}


def _swapped(run: Run, params: Any, texts: Texts, plain: Evaluation) -> dict[str, float]:
  """Captions whose first and last phrase are exchanged: as queries, and against themselves."""
  reader = dataclasses.replace(run.reader, probe=probes.SWAPPED)
  found = _evaluated(
      _again(dataclasses.replace(run, reader=reader)), probes.SWAPPED, params, texts
  )
  records = texts.store.read(texts.split, texts.items)
  changed = np.array([probes.swap_phrases(record).text != record.text for record in records])
  result = {probes.SWAPPED: _score(found, _RECALL)}
  if changed.any():
    ours, theirs = (
        np.array([row["score"] for row in evaluation.rows])[changed]
        for evaluation in (plain, found)
    )
    # A tie is a guess.
    result["order_told"] = 100.0 * float(np.mean((ours > theirs) + 0.5 * (ours == theirs)))
  return result
