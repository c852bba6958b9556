"""Runs the probes of a model: the same evaluation on spoilt inputs, and priors that see nothing."""

import dataclasses
import json
import pathlib
from typing import Any

from ml_collections import ConfigDict
import numpy as np

from mla_jax import config_lib, eval_lib, priors, whole_files
from mla_jax import run as run_lib
from mla_jax.data import probes, sources
from mla_jax.data.sources import Texts
from mla_jax.errors import UserError
from mla_jax.log import logger
from mla_jax.run import Run
from mla_jax.tasks.base import Evaluation, numbers

_RECALL = "text_to_video/recall_at_1"
_TEXT_RECALL = "video_to_text/recall_at_1"
_ERROR = "mse_raw_labels"
# The number that is shown: the first of these that an evaluation has.
_SCORES = ("accuracy", _RECALL, "rank_at_1", "mean_iou", "brief/MR-full-mAP", _ERROR)
# Of other numbers than the first line: what they lost, if anything, they lost against this.
_AGAINST = {"video_to_text": "", "swapped_distractors": "video_to_text", "order_told": ""}


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
  found = {"none": numbers(plain.metrics)[name]}
  for kind in probes.FRAME_PROBES:
    spoilt = dataclasses.replace(run, reader=dataclasses.replace(run.reader, probe=kind))
    found[kind] = numbers(_evaluated(_again(spoilt), kind, params, texts).metrics)[name]
  for label, frames in _frame_numbers(config).items():
    other = config_lib.apply_overrides(config, {"data.num_frames": frames})
    again = run_lib.open_run(other, workdir)
    found[label] = numbers(_evaluated(again, label, params, texts).metrics)[name]
  found |= _priors(run, texts, plain, name)
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
  found = result["probes"]
  width = max(map(len, found))
  score = result["score"] + (" (lower is better)" if result["score"] == _ERROR else "")
  title = f"{result['dataset']} {result['split']}, step {result['step']}: {score}"
  lines = [f"{title}, and what changed"]
  for name, value in found.items():
    other = _AGAINST.get(name, "" if name == "none" else "none")
    change = f"{value - found[other]:+8.1f}" if other else ""
    lines.append(f"{name.ljust(width)} {value:8.1f}{change}")
  return "\n".join(lines)


def _again(run: Run) -> Run:
  """The run with an evaluation that reads its reader."""
  return dataclasses.replace(run, evaluate=run.task.evaluator(run.model, run.mesh, run.reader))


def _evaluated(run: Run, name: str, params: Any, texts: Texts) -> Evaluation:
  logger.info("probe %s", name)
  return run.evaluate(params, texts)


def _score_name(evaluation: Evaluation) -> str:
  found = numbers(evaluation.metrics)
  return next(name for name in _SCORES if name in found)


def _frame_numbers(config: ConfigDict) -> dict[str, int]:
  """Half and twice the frames, as far as the model goes."""
  frames = config.data.num_frames
  numbers = {"half_the_frames": max(1, frames // 2), "twice_the_frames": 2 * frames}
  fits = {name: n for name, n in numbers.items() if n <= config.model.video.max_frames}
  return {name: number for name, number in fits.items() if number != frames}


def _priors(run: Run, texts: Texts, plain: Evaluation, name: str) -> dict[str, float]:
  """What is right without a look: by the training texts alone, or by fixed windows."""
  data = run.config.data
  blind = plain.metrics.get("baselines", {})
  found = {kind: numbers(metrics)[name] for kind, metrics in blind.items()}
  training = [source for source in data.sources.values() if source.texts == data.eval_texts]
  if not training:
    return found
  usable = run.usable_texts() | {"with_video": False}
  known = sources.open_texts(data, training[0].texts, training[0].split, **usable)
  known, _ = sources.split_off_dev(known, data.dev_fraction)
  records = known.store.read(known.split, known.items)
  asked = texts.store.read(texts.split, texts.items)
  if run.config.task in ("open_ended_qa", "multiple_choice_qa"):
    asked = texts.read_all()  # What the accuracy of the plain evaluation is over.
  if run.config.task == "localisation":
    metrics = priors.moments(records, asked, run.config.eval.moments)
    return found | ({priors.MOMENT: numbers(metrics)[name]} if metrics else {})
  by_task = {
      "open_ended_qa": priors.answers,
      "multiple_choice_qa": priors.choices,
      "counting": priors.counts,
  }
  return found | (by_task[run.config.task](records, asked) if run.config.task in by_task else {})


def _swapped(run: Run, params: Any, texts: Texts, plain: Evaluation) -> dict[str, float]:
  """Captions whose first and last phrase are exchanged.

  As queries; as further texts a video may find instead of its own; and each against itself.
  """
  def spoilt(kind: str) -> Evaluation:
    reader = dataclasses.replace(run.reader, probe=kind)
    return _evaluated(_again(dataclasses.replace(run, reader=reader)), kind, params, texts)

  found = spoilt(probes.SWAPPED)
  result = {probes.SWAPPED: numbers(found.metrics)[_RECALL]}
  changed = probes.changed_by_swap(texts.store.read(texts.split, texts.items))
  if changed.any():
    result["video_to_text"] = numbers(plain.metrics)[_TEXT_RECALL]
    result[probes.DISTRACTORS] = numbers(spoilt(probes.DISTRACTORS).metrics)[_TEXT_RECALL]
    ours, theirs = (
        np.array([row["score"] for row in evaluation.rows])[changed]
        for evaluation in (plain, found)
    )
    # A tie is a guess.
    result["order_told"] = 100.0 * float(np.mean((ours > theirs) + 0.5 * (ours == theirs)))
  return result
