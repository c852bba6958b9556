"""Which runs an experiment is made of, and what is wrong with one before anything runs."""

import pathlib
import textwrap

import pytest

from mla_jax.errors import UserError
from mla_jax.experiments import plan

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[2] / "configs" / "experiments"
CONFIG = "configs/msrvtt_mini_retrieval.py:debug"


def experiment_file(tmp_path, **changes):
  fields = {
      "title": "'t'",
      "config": f"'{CONFIG}'",
      "cells": "(Cell('a'), Cell('b', {'loss.segment_weight': 0.0}))",
      "seeds": "(3, 4)",
      "metrics": "('recall_at_1',)",
      "baseline": "'a'",
  } | changes
  text = ", ".join(f"{name}={value}" for name, value in fields.items())
  path = tmp_path / "e.py"
  path.write_text(textwrap.dedent(f"""
      from mla_jax.experiments.plan import Cell, Experiment
      def get_experiment(arg=None):
        return Experiment({text})
      """))
  return str(path)


def test_all_cells_of_a_seed_come_before_the_next_seed(tmp_path):
  runs = plan.plan_runs(plan.load_experiment(experiment_file(tmp_path)))
  assert [run.name for run in runs] == ["a/seed_3", "b/seed_3", "a/seed_4", "b/seed_4"]
  assert runs[1].overrides == {"loss.segment_weight": 0.0, "seed": 3}
  assert len({run.config_hash for run in runs}) == 4


def test_some_cells_alone_and_the_baseline_among_them(tmp_path):
  path = experiment_file(tmp_path, cells="(Cell('a'), Cell('b'), Cell('c'))")
  runs = plan.plan_runs(plan.load_experiment(path, ["c", "a"]))
  assert [run.name for run in runs] == ["a/seed_3", "c/seed_3", "a/seed_4", "c/seed_4"]
  later = {run.name: run.config_hash for run in plan.plan_runs(plan.load_experiment(path))}
  assert all(later[run.name] == run.config_hash for run in runs)  # They count as done then.
  with pytest.raises(UserError, match="baseline 'a' is no cell: b, c"):
    plan.load_experiment(path, ["b", "c"])
  with pytest.raises(UserError, match="--cells='d': unknown"):
    plan.load_experiment(path, ["a", "d"])


def test_other_seeds_than_its_own(tmp_path):
  path = experiment_file(tmp_path)
  runs = plan.plan_runs(plan.load_experiment(path, seeds=["4", "7"]))
  assert [run.name for run in runs] == ["a/seed_4", "b/seed_4", "a/seed_7", "b/seed_7"]
  own = {run.name: run.config_hash for run in plan.plan_runs(plan.load_experiment(path))}
  assert own["b/seed_4"] == runs[1].config_hash  # A part of the whole grid.
  with pytest.raises(UserError, match=r"--seeds=1,x: give whole numbers"):
    plan.load_experiment(path, seeds=["1", "x"])
  with pytest.raises(UserError, match=r"seeds \(1, 1\): give at least one, each once"):
    plan.load_experiment(path, seeds=["1", "1"])
  with pytest.raises(UserError, match=r"seeds \(-1,\): whole numbers from 0"):
    plan.load_experiment(path, seeds=["-1"])


def test_another_cell_may_be_the_baseline(tmp_path: pathlib.Path) -> None:
  path = experiment_file(tmp_path, cells="(Cell('a'), Cell('b'), Cell('c'))")
  changed = plan.load_experiment(path, ["b", "c"], baseline="c")
  assert changed.baseline == "c" and [cell.name for cell in changed.cells] == ["b", "c"]
  with pytest.raises(UserError, match="--baseline='d'"):
    plan.load_experiment(path, baseline="d")
  with pytest.raises(UserError, match="baseline 'a' is no cell"):
    plan.load_experiment(path, ["b"], baseline="a")


def test_a_seed_that_is_not_the_grids(tmp_path):
  experiment = plan.load_experiment(experiment_file(tmp_path))
  with pytest.raises(UserError, match=r"--config\.seed: sets the seed.*use --seeds"):
    plan.plan_runs(experiment, {"seed": "7"})
  path = experiment_file(tmp_path, cells="(Cell('a'), Cell('b', {'seed': 7}))")
  with pytest.raises(UserError, match="cell 'b': sets the seed"):
    plan.plan_runs(plan.load_experiment(path))


def test_one_hash_on_every_machine(tmp_path):
  experiment = plan.load_experiment(experiment_file(tmp_path))
  here = plan.plan_runs(experiment, {"data.dir": "/here", "model.text.cache": "/cache"})
  there = plan.plan_runs(experiment, {"data.dir": "/there"})
  assert [run.config_hash for run in here] == [run.config_hash for run in there]
  assert plan.config_of(here[0]).data.dir == "/here"


def test_the_command_line_and_a_cell_win_over_the_experiment(tmp_path):
  path = experiment_file(tmp_path, overrides="{'loss.segment_weight': 2.0, 'train.steps': 7}")
  first, second = plan.plan_runs(plan.load_experiment(path), {"train.steps": "9"})[:2]
  assert (first.overrides["loss.segment_weight"], first.overrides["train.steps"]) == (2.0, "9")
  assert second.overrides["loss.segment_weight"] == 0.0


def test_what_a_cell_is_about_is_not_the_command_lines(tmp_path):
  experiment = plan.load_experiment(experiment_file(tmp_path))
  with pytest.raises(UserError, match=r"--config.loss.segment_weight: cell 'b' sets it itself"):
    plan.plan_runs(experiment, {"loss.segment_weight": "1.0"})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"cells": "(Cell('a'), Cell('a'))"}, "two cells of one name"),
        ({"cells": "(Cell('a'), Cell('../b'))"}, "name it with letters"),
        ({"baseline": "'none'"}, "is no cell: a, b"),
        ({"seeds": "()"}, "at least one"),
        ({"seeds": "(1, 1)"}, "each once"),
        ({"metrics": "()"}, "no metric"),
    ],
)
def test_an_experiment_that_is_none(tmp_path, changes, says):
  with pytest.raises(UserError, match=says):
    plan.load_experiment(experiment_file(tmp_path, **changes))


def test_a_file_that_gives_something_else(tmp_path):
  path = tmp_path / "e.py"
  path.write_text("def get_experiment(arg=None):\n  return 3\n")
  with pytest.raises(UserError, match="returns a int"):
    plan.load_experiment(str(path))
  path.write_text("")
  with pytest.raises(UserError, match="has no get_experiment"):
    plan.load_experiment(str(path))


def test_a_key_no_config_has_is_found_before_any_run(tmp_path):
  path = experiment_file(tmp_path, cells="(Cell('a'), Cell('b', {'loss.segmnt_weight': 0.0}))")
  with pytest.raises(UserError, match=r"did you mean --config\.loss\.segment_weight"):
    plan.plan_runs(plan.load_experiment(path))


ARGUMENTS = {
    "demo": ("", "debug"),
    "demo_retrieval": ("", "debug"),
    "demo_tuning": ("", "debug"),
    "msrvtt_mini_ablation": ("", "minilm", "minilm,debug"),
    "msrvtt_mini_composed": ("", "debug"),
    "msrvtt_mini_composed_tuning": ("", "debug"),
    "msrvtt_mini_moments": ("", "span", "span,debug"),
    "msrvtt_mini_negatives": ("", "minilm", "minilm,debug"),
    "msrvtt_mini_qa": ("", "minilm", "pixels", "minilm,debug"),
    "msrvtt_mini_qa_alignment": ("", "debug"),
    "msrvtt_mini_qa_tuning": ("", "debug"),
    "msrvtt_mini_regression": ("", "debug"),
    "msrvtt_mini_retrieval": ("", "minilm", "pixels", "minilm,debug"),
    "msrvtt_mini_segments": ("", "minilm", "minilm,debug"),
}


def test_every_experiment_is_planned_here():
  assert {path.stem for path in EXPERIMENTS.glob("*.py")} - {"grids"} == set(ARGUMENTS)


@pytest.mark.parametrize(
    ("name", "argument"), [(name, given) for name, all_of in ARGUMENTS.items() for given in all_of]
)
def test_every_experiment_plans_runs_that_differ(name, argument):
  runs = plan.plan_runs(plan.load_experiment(f"{EXPERIMENTS / name}.py:{argument}"))
  assert len({run.config_hash for run in runs}) == len(runs)
  splits = {run.overrides["data.eval_split"] for run in runs}
  assert splits == {"dev"}
