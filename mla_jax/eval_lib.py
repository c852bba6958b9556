"""Evaluation of a trained run: restore, evaluate, write."""

from collections.abc import Mapping
import hashlib
import json
import pathlib
import re
from typing import Any

from ml_collections import ConfigDict

from mla_jax import agreement, config_lib, processes, trained_on, watchdog, whole_files
from mla_jax import run as run_lib
from mla_jax.config_values import canonical, flatten, to_plain
from mla_jax.data import selection
from mla_jax.data.sources import DEV, Texts
from mla_jax.errors import UserError
from mla_jax.log import logger
from mla_jax.report.build import write_report
from mla_jax.run import Run
from mla_jax.tasks.base import Evaluation
from mla_jax.tasks.multiple_choice_qa import check_cosine
from mla_jax.train_step import abstract_state, make_optimizer

# Settings that change no number of an evaluation, and those that the name of its files tells.
_NOT_TOLD = re.compile(
    r"(mesh|sharding|train)\..+|name|loss\.impl|model\.remat|data\.(workers|tokenizer)"
    r"|eval\.(batch_size|examples)|task|data\.(family|eval_texts|eval_split)|"
    + "|".join(map(re.escape, config_lib.PLACES))
)


def load_config(
    workdir: pathlib.Path, config_file: str | None, overrides: Mapping[str, Any]
) -> ConfigDict:
  """The config the workdir was trained with, changed by the explicit overrides alone.

  Args:
    workdir: of the run.
    config_file: `--config`, not needed; if given, its model must be the workdir's.
    overrides: dotted key -> value.

  Raises:
    UserError: no run in the workdir, one of another model than the config file's, or one that did
      not train what is to be scored by.
  """
  if not (workdir / "config.json").exists():
    raise UserError(f"{workdir}: holds no run (no config.json); train it first or mend --workdir")
  saved = config_lib.read_config(workdir / "config.json")
  config = config_lib.apply_overrides(saved, overrides)
  _check_trained(saved, config)
  if config_file:
    asked = config_lib.load_config(config_file, overrides)
    different = config_lib.diff_configs(config.model, asked.model)
    if config.task != asked.task or different:
      different = different or [f"task: {config.task} -> {asked.task}"]
      raise UserError(
          f"{workdir}: was trained with another model than {config_file} "
          f"({'; '.join(different[:3])}); leave --config out, or name the run's own"
      )
  return config


def _check_trained(saved: ConfigDict, config: ConfigDict) -> None:
  """Tasks see by the weights of the losses what was trained: they stay as they were."""
  for key in ("global_weight", "segment_weight"):
    if config.loss[key] != saved.loss[key]:
      raise UserError(
          f"loss.{key}={config.loss[key]}: the run was trained with {saved.loss[key]}, which no"
          " evaluation changes: leave it out"
      )
  if (config.task, config.eval.scoring) == ("multiple_choice_qa", "contrastive"):
    check_cosine(saved)


def evaluate(run: Run, step: str = "best") -> dict[str, Any]:
  """Evaluates a checkpoint on `data.eval_split`; needs the workdir and that split, nothing else.

  Args:
    run: of the workdir's own config (`load_config`), with what differs for this evaluation.
    step: "best", "latest" or a number, as typed.

  Returns:
    The metrics, as written to `WORKDIR/eval/<result_name>.json`; beside it are a dump of every
    example (`.jsonl`) and the report. "changed" is there where settings differ from the run's,
    "other_data" where the texts do (`trained_on.other_texts`).

  Raises:
    UserError: no such checkpoint or split, or the data does not fit the model.
  """
  data = run.config.data
  watchdog.limit(run.config.train.hang_seconds)
  watchdog.alive("the evaluation: reading the split and the checkpoint")
  trained = config_lib.read_config(run.workdir / "config.json")
  texts = run_lib.open_evaluated(run)
  seen, other = _trained_on(run, trained, texts), trained_on.other_texts(run, trained)
  params, chosen = restore_params(run, step)
  watchdog.alive(f"the evaluation of step {chosen}")
  evaluation = run.evaluate(params, texts)
  watchdog.alive(f"the evaluation of step {chosen}: writing")
  name, changed = result_name(run.config, trained, other), _changed(run.config, trained)
  if changed:
    logger.info("%s: evaluated with %s", name, "; ".join(changed))
  metrics = evaluation.metrics | {
      "dataset": f"{data.family}_{data.eval_texts}",
      "split": data.eval_split,
      "step": chosen,
  } | seen | (_selection(run, trained, other) if step == "best" else {})
  metrics |= {"changed": changed} if changed else {}
  metrics |= {"other_data": other} if other else {}
  if processes.is_first():
    _write(run.workdir / "eval", name, metrics, evaluation)
  write_report(run, params, texts, evaluation, name)
  return metrics


def restore_params(run: Run, step: str) -> tuple[Any, int]:
  """The parameters of a checkpoint to evaluate, and its step; errors as of `evaluate`."""
  with run_lib.open_checkpoints(run, read_only=True) as saved:
    chosen = saved.find(int(step) if step.isdecimal() else step)
    agreement.check_checkpoints(run.workdir, [chosen], where="the evaluated checkpoint")
    tx, _ = make_optimizer(run.model, run.config)
    abstract = abstract_state(run.model, run.config, run.mesh, tx)
    state = saved.restore(abstract, chosen, config=to_plain(run.config))
  return state.eval_params, chosen


def result_name(config: ConfigDict, trained: ConfigDict, other: str = "") -> str:
  """The name of an evaluation's files: none replaces those of one with other settings or texts.

  `<dataset>_<split>`, then `data_` and `other` if there is one, then the task if it is not the
  run's, then 8 hexadecimal digits of the other settings that differ from the run's: of their values
  here alone, so that two runs that are evaluated alike have files of one name.

  Args:
    config: of the evaluation.
    trained: of the run.
    other: `trained_on.other_texts`.
  """
  data = config.data
  parts = [data.family, data.eval_texts, data.eval_split]
  parts += [f"data_{other}"] if other else []
  parts += [config.task] if config.task != trained.task else []
  keys = [change.partition(":")[0] for change in _changed(config, trained)]
  if keys:
    values = flatten(config)
    settings = canonical({key: values[key] for key in keys})
    parts.append(hashlib.sha256(settings.encode()).hexdigest()[:8])
  return "_".join(parts)


def _changed(config: ConfigDict, trained: ConfigDict) -> list[str]:
  changes = config_lib.diff_configs(trained, config)
  return [change for change in changes if not _NOT_TOLD.fullmatch(change.partition(":")[0])]


def _trained_on(run: Run, trained: ConfigDict, texts: Texts) -> dict[str, int]:
  """Says and logs how many of the evaluated videos were in training; empty if none is known."""
  count = trained_on.count_videos(run, trained, texts)
  if not count:
    return {}
  logger.warning("data.eval_split=%r: %d of its %d videos were trained on",
                 run.config.data.eval_split, count, len(set(texts.video_ids().tolist())))
  return {"videos_trained_on": count}


def _selection(run: Run, trained: ConfigDict, other: str) -> dict[str, Any]:
  """What the best step was chosen on, and whether that is what it is now evaluated on."""
  data, before = run.config.data, trained.data
  selected = selection.selected_on(before)
  if selected is None:
    return {}
  same = [(d.family, d.eval_texts) for d in (before, data)]
  is_evaluated = same[0] == same[1] and data.eval_split in (selected, DEV) and not other
  return {
      "selected_on": f"{before.family}_{before.eval_texts}_{selected}",
      "selected_on_this_split": is_evaluated,
  }


def _write(
    directory: pathlib.Path, name: str, metrics: dict[str, Any], evaluation: Evaluation
) -> None:
  try:
    directory.mkdir(parents=True, exist_ok=True)
    # No number of a task is NaN, which is no JSON.
    dump = "".join(json.dumps(row, allow_nan=False) + "\n" for row in evaluation.rows)
    for path, content in (
        (directory / f"{name}.jsonl", dump),
        (directory / f"{name}.json", json.dumps(metrics, indent=2, allow_nan=False) + "\n"),
    ):
      whole_files.write_text(path, content)
  except OSError as error:
    raise UserError(f"{directory}: cannot be written ({error.strerror}); free space") from error
