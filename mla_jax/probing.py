"""Runs the probes of a model: the same evaluation on spoilt inputs, and priors that see nothing."""

import dataclasses
import json
import pathlib
from typing import Any

from ml_collections import ConfigDict
import numpy as np

from mla_jax import config_lib, eval_lib, trained_on, whole_files
from mla_jax import run as run_lib
from mla_jax.data import probes
from mla_jax.data.sources import Texts
from mla_jax.log import logger
from mla_jax.prior_probes import prior_probes
from mla_jax.run import Run
from mla_jax.tasks.base import Evaluation, numbers

_RECALL = "text_to_video/recall_at_1"
_TEXT_RECALL = "video_to_text/recall_at_1"
_ERROR = "mse_raw_labels"
# The number that is shown: the first of these that an evaluation has.
_SCORES = ("accuracy", _RECALL, "rank_at_1", "mean_iou", "brief/MR-full-mAP", _ERROR)
_FRAMES = "frame_probes"  # All that spoil or count frames, for a model that sees none.
# Of other numbers than the first line: what they lost, if anything, they lost against this.
_AGAINST = {"video_to_text": "", "swapped_distractors": "video_to_text", "order_told": ""}


def probe(config: ConfigDict, workdir: pathlib.Path, step: str) -> dict[str, Any]:
  """Evaluates a checkpoint as it is and under every probe that fits its task and its model.

  Args:
    config: of the run, with what differs for this evaluation (`eval_lib.load_config`).
    workdir: of the run.
    step: "best", "latest" or a number, as typed.

  Returns:
    A JSON-able dict: "dataset", "split", "step", "score" (name of the number shown), and "probes"
    {name: number}, "none" being the plain evaluation; "notes" {name: text}, what was left out and
    what to know of a number. Written to the workdir's `eval/` too.

  Raises:
    UserError: no such checkpoint or split.
  """
  run = run_lib.open_run(config, workdir)
  trained = config_lib.read_config(workdir / "config.json")
  texts = run_lib.open_evaluated(run)
  params, chosen = eval_lib.restore_params(run, step)
  plain = _evaluated(run, "none", params, texts)
  name = _score_name(plain)
  found = {"none": numbers(plain.metrics)[name]}
  notes: dict[str, str] = {}
  if config.model.use_video:
    found |= _spoilt_frames(run, params, texts, name)
    frames, notes = _frame_numbers(config, trained.data.num_frames)
    found |= _other_frames(run, frames, params, texts, name)
  else:
    notes[_FRAMES] = "left out: the model has no video"
  blind = plain.metrics.get("baselines", {})
  found |= {kind: numbers(metrics)[name] for kind, metrics in blind.items()}
  known, missing = prior_probes(run, trained, texts, name)
  found, notes = found | known, notes | missing
  if name == _RECALL:
    found |= _swapped(run, params, texts, plain)
  data = config.data
  result = {
      "dataset": f"{data.family}_{data.eval_texts}",
      "split": data.eval_split,
      "step": chosen,
      "score": name.replace("/", " "),
      "probes": found,
      "notes": notes,
  }
  written = eval_lib.result_name(config, trained, trained_on.other_texts(run, trained))
  path = workdir / "eval" / f"probes_{written}.json"
  path.parent.mkdir(exist_ok=True)
  whole_files.write_text(path, json.dumps(result, indent=2, allow_nan=False) + "\n")
  return result


def table(result: dict[str, Any]) -> str:
  """The numbers and what each lost against the plain evaluation."""
  found, notes = result["probes"], result["notes"]
  width = max(map(len, (*found, *notes)))
  score = result["score"] + (" (lower is better)" if result["score"] == _ERROR else "")
  title = f"{result['dataset']} {result['split']}, step {result['step']}: {score}"
  lines = [f"{title}, and what changed"]
  for name, value in found.items():
    other = _AGAINST.get(name, "" if name == "none" else "none")
    change = f"{value - found[other]:+8.1f}" if other else ""
    note = f"  ({notes[name]})" if name in notes else ""
    lines.append(f"{name.ljust(width)} {value:8.1f}{change}{note}")
  left_out = [name for name in notes if name not in found]
  return "\n".join([*lines, *(f"{name.ljust(width)} {'-':>8}  {notes[name]}" for name in left_out)])


def _again(run: Run) -> Run:
  """The run with an evaluation that reads its reader."""
  return dataclasses.replace(run, evaluate=run.task.evaluator(run.model, run.mesh, run.reader))


def _evaluated(run: Run, name: str, params: Any, texts: Texts) -> Evaluation:
  logger.info("probe %s", name)
  return run.evaluate(params, texts)


def _score_name(evaluation: Evaluation) -> str:
  found = numbers(evaluation.metrics)
  return next(name for name in _SCORES if name in found)


def _spoilt_frames(run: Run, params: Any, texts: Texts, name: str) -> dict[str, float]:
  found = {}
  for kind in probes.FRAME_PROBES:
    spoilt = dataclasses.replace(run, reader=dataclasses.replace(run.reader, probe=kind))
    found[kind] = numbers(_evaluated(_again(spoilt), kind, params, texts).metrics)[name]
  return found


def _other_frames(
    run: Run, frames: dict[str, int], params: Any, texts: Texts, name: str
) -> dict[str, float]:
  found = {}
  for label, number in frames.items():
    other = config_lib.apply_overrides(run.config, {"data.num_frames": number})
    again = run_lib.open_run(other, run.workdir)
    found[label] = numbers(_evaluated(again, label, params, texts).metrics)[name]
  return found


def _frame_numbers(config: ConfigDict, trained: int) -> tuple[dict[str, int], dict[str, str]]:
  """Half and twice the frames, as far as the model goes.

  Args:
    config: of the evaluation.
    trained: frames of a clip in training.

  Returns:
    Name -> frames, and name -> what to say of it: why it is left out; which of the model's learned
    positions of frames have no training behind them.
  """
  frames, most = config.data.num_frames, config.model.video.max_frames
  asked = {"none": frames, "half_the_frames": frames // 2, "twice_the_frames": 2 * frames}
  notes = {}
  for name, number in asked.items():
    if number < 1:
      notes[name] = f"left out: a clip has {frames} frame"
    elif number > most:
      notes[name] = f"left out: {number} frames, and model.video.max_frames is {most}"
    elif number > trained:
      notes[name] = f"{number} frames: the positions of all after {trained} were never trained"
  kept = {name: number for name, number in asked.items() if name != "none" and 1 <= number <= most}
  return kept, notes


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
