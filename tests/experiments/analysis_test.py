"""The table from dumps: means, paired differences, and what cannot be compared."""

import dataclasses
import json

import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.experiments import analysis, notes, table, write
from mla_jax.experiments.findings import Findings
from mla_jax.experiments.outcomes import Outcome
from mla_jax.experiments.plan import Cell, Experiment, PlannedRun


def experiment(**changes):
  fields = {
      "title": "t",
      "config": "c.py",
      "cells": (Cell("a"), Cell("b", {"x": 1})),
      "seeds": (0, 1),
      "metrics": ("accuracy",),
      "baseline": "a",
      "numbers": ("nested/extra",),
  }
  return Experiment(**(fields | changes))


def outcome(tmp_path, cell, seed, correct, *, ids=None, error=None):
  workdir = tmp_path / cell / str(seed)
  (workdir / "eval").mkdir(parents=True)
  ids = range(len(correct)) if ids is None else ids
  rows = [
      {"id": f"q{i}", "video": f"v{i}", "correct": bool(right)}
      for i, right in zip(ids, correct, strict=True)
  ]
  (workdir / "eval" / "d_s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
  metrics = {"dataset": "d", "split": "s", "nested": {"extra": 10.0 * seed}}
  run = PlannedRun(cell, seed, "c.py", {"y": 2, "seed": seed}, "0" * 16)
  return Outcome(run, workdir, metrics, "abc", 60.0, error)


def test_means_and_paired_differences(tmp_path):
  rng = np.random.default_rng(0)
  a = rng.random((5, 80)) < 0.4
  b = a | (rng.random((5, 80)) < 0.4)  # Never worse.
  outcomes = [
      outcome(tmp_path, cell, seed, values[seed])
      for cell, values in (("a", a), ("b", b))
      for seed in range(5)
  ]
  first, second = analysis.analyse(experiment(), outcomes)
  assert first.scores["accuracy"].by_seed == pytest.approx(dict(enumerate(100 * a.mean(axis=1))))
  assert first.scores["accuracy"].difference is None
  found = second.scores["accuracy"]
  assert found.mean == pytest.approx(100 * b.mean())
  assert found.difference.mean == pytest.approx(100 * (b.mean() - a.mean()))
  assert found.difference.interval[0] > 0
  assert found.difference.p_value < 0.01
  assert found.interval is not None
  low, high = found.interval
  assert low < found.mean < high
  assert second.scores["nested/extra"].mean == 20.0
  assert second.scores["nested/extra"].interval is None


def test_the_order_of_a_dump_does_not_matter(tmp_path):
  right = np.array([1, 0, 0, 1], bool)
  outcomes = [
      outcome(tmp_path, "a", 0, right),
      outcome(tmp_path, "b", 0, right[::-1], ids=[3, 2, 1, 0]),
  ]
  with pytest.raises(UserError, match="different examples"):
    # One cell's order is its first seed's; between cells it must be the same evaluation.
    analysis.analyse(experiment(seeds=(0,)), outcomes)
  one_cell = [outcomes[0], outcome(tmp_path, "a", 1, right[::-1], ids=[3, 2, 1, 0])]
  scores = analysis.analyse(experiment(), one_cell)[0].scores["accuracy"]
  assert scores.by_seed == {0: 50.0, 1: 50.0}


def test_only_seeds_that_both_have_are_compared(tmp_path):
  outcomes = [
      outcome(tmp_path, "a", 0, [1, 0]),
      outcome(tmp_path, "a", 1, [0, 0]),
      outcome(tmp_path, "b", 1, [1, 1]),
  ]
  rows = analysis.analyse(experiment(), outcomes)
  found = rows[1].scores["accuracy"]
  assert found.difference.mean == 100.0
  assert (found.compared, found.deviation) == (1, None)
  findings = Findings(experiment(), "cmd", outcomes, rows)
  text = table.markdown(findings, [])
  assert "| b (n=1) | 100.00 " in text
  assert "p<0.001 (n=1) |" in text
  below = notes.below(findings)
  assert "of n=1 the interval is over videos alone" in below[0]
  assert write.to_json(findings)["cells"]["b"]["accuracy"] == {
      "mean": 100.0, "deviation": None, "by_seed": {1: 100.0}, "interval": found.interval,
      "difference": dataclasses.asdict(found.difference), "seeds_compared": 1,
  }


def test_a_metric_of_some_examples_is_the_mean_of_those(tmp_path):
  outcomes = []
  for cell, values in (("a", (10.0, 20.0)), ("b", (40.0, 60.0))):
    for seed, value in enumerate(values):
      found = outcome(tmp_path, cell, seed, [1, 0, 1])
      lines = found.dump.read_text().splitlines()
      rows = [json.loads(line) | {"metrics": {"p": 1.0}} for line in lines]
      rows[1]["metrics"]["some"] = value
      found.dump.write_text("".join(json.dumps(row) + "\n" for row in rows))
      outcomes.append(found)
  first, second = analysis.analyse(experiment(metrics=("some",)), outcomes)
  assert first.scores["some"].by_seed == {0: 10.0, 1: 20.0}
  assert second.scores["some"].difference.mean == pytest.approx(35.0)
  rows[1]["metrics"].pop("some")
  rows[0]["metrics"]["some"] = 60.0
  outcomes[-1].dump.write_text("".join(json.dumps(row) + "\n" for row in rows))
  with pytest.raises(UserError, match="a metric of different examples"):
    analysis.analyse(experiment(metrics=("some",)), outcomes)


def test_a_failed_cell_is_a_row_without_numbers(tmp_path):
  outcomes = [
      outcome(tmp_path, "a", 0, [1, 0]),
      outcome(tmp_path, "b", 0, [1, 1], error="error: disk full"),
  ]
  rows = analysis.analyse(experiment(), outcomes)
  assert rows[1].scores == {}
  findings = Findings(experiment(), "cmd", outcomes, rows)
  text = table.markdown(findings, notes.below(findings))
  assert "| b | failed | " in text
  assert "No differences" not in text
  assert "Failed: b/seed_0: error: disk full" in text


def test_without_its_baseline_a_table_says_why_nothing_is_compared(tmp_path):
  outcomes = [
      outcome(tmp_path, "a", 0, [1, 0], error="error: disk full"),
      outcome(tmp_path, "b", 0, [1, 1]),
  ]
  rows = analysis.analyse(experiment(), outcomes)
  says = "No differences: no run of `a` ended well."
  assert says in notes.below(Findings(experiment(), "cmd", outcomes, rows))


def test_a_table_says_what_is_missing_and_which_config(tmp_path):
  outcomes = [
      outcome(tmp_path, "a", 0, [1, 0]),
      outcome(tmp_path, "a", 1, [1, 0]),
      outcome(tmp_path, "b", 0, [1, 1]),
      outcome(tmp_path, "b", 1, [1, 1], error="error: disk full"),
  ]
  rows = analysis.analyse(experiment(), outcomes)
  write.write(tmp_path, Findings(experiment(), "cmd", outcomes, rows, ["c/seed_0"]))
  text = (tmp_path / "results.md").read_text()
  assert "| a | " in text
  assert "| b (n=1) | " in text
  assert "| config, seed 0 |" in text
  assert text.count(f"| {'0' * 16} |") == 2
  assert "not in this table by --cells or --seeds: c/seed_0." in text
  assert json.loads((tmp_path / "results.json").read_text())["left_out"] == ["c/seed_0"]
  assert "b (n=1)" in (tmp_path / "report.html").read_text()


def test_unknown_names_are_said(tmp_path):
  outcomes = [outcome(tmp_path, "a", 0, [1, 0])]
  with pytest.raises(UserError, match="'recall_at_1': unknown: the runs have accuracy"):
    analysis.analyse(experiment(metrics=("recall_at_1",)), outcomes)
  with pytest.raises(UserError, match="'nested/none'"):
    analysis.analyse(experiment(numbers=("nested/none",)), outcomes)


def test_the_files_hold_every_number(tmp_path):
  outcomes = [outcome(tmp_path, cell, s, [s, 1]) for cell in ("a", "b") for s in (0, 1)]
  rows = analysis.analyse(experiment(), outcomes)
  write.write(tmp_path / "out", Findings(experiment(), "the command", outcomes, rows))
  result = json.loads((tmp_path / "out" / "results.json").read_text())
  assert result["cells"]["b"]["accuracy"]["mean"] == 75.0
  assert result["runs"][0]["config_hash"] == "0" * 16
  page = (tmp_path / "out" / "report.html").read_text()
  assert "the command" in page
  assert page.count("data:image/png") == 2  # Means and differences; no metrics.jsonl, no curve.
  assert "<td>b</td><td>c.py</td><td>x=1</td>" in page
  assert "All cells: y=2." in page
  assert "<td>b/seed_0</td><td>50.00</td>" in page and "<td>b/seed_1</td><td>100.00</td>" in page
  assert "75.00 ± 35.36" in (tmp_path / "out" / "results.md").read_text()


def test_one_seed_shows_no_deviation_of_seeds(tmp_path):
  outcomes = [outcome(tmp_path, cell, 0, [0, 1]) for cell in ("a", "b")]
  one = experiment(seeds=(0,))
  rows = analysis.analyse(one, outcomes)
  findings = Findings(one, "cmd", outcomes, rows)
  text = table.markdown(findings, [])
  assert "| a | 50.00 [" in text and "±" not in text
  said = "One seed, 0: mean and, in brackets, the 95 % interval over videos; of other seeds"
  assert said in notes.below(findings)[0]


@pytest.mark.parametrize(("logged", "pictures"), [({}, 3), ({"dev_score": 0.5}, 4)])
def test_curves_of_what_was_logged(tmp_path, logged, pictures):
  outcomes = [outcome(tmp_path, cell, 0, [0, 1]) for cell in ("a", "b")]
  for found in outcomes:
    lines = [{"step": step, "loss": 1.0 / step} | logged for step in (1, 2)]
    (found.workdir / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
  rows = analysis.analyse(experiment(), outcomes)
  write.write(tmp_path, Findings(experiment(), "cmd", outcomes, rows))
  page = (tmp_path / "report.html").read_text()
  assert page.count("data:image/png") == pictures  # Two of them are means and differences.


@pytest.mark.parametrize(("count", "said"), [(2, "p<0.05"), (3, "p<0.01"), (4, "p<0.001")])
def test_few_seeds_tell_of_no_small_p(tmp_path, count, said):
  right = np.array([1] * 30 + [0] * 30, bool)
  outcomes = [
      outcome(tmp_path, cell, seed, right | (cell == "b"))
      for cell in ("a", "b") for seed in range(count)
  ]
  grid = experiment(seeds=tuple(range(count)))
  findings = Findings(grid, "cmd", outcomes, analysis.analyse(grid, outcomes))
  assert f"{said} |" in table.markdown(findings, [])
  few = "So few: too short an interval" in notes.below(findings)[0]
  assert few == (count < 4)


def test_a_table_says_what_it_is_of(tmp_path):
  found = outcome(tmp_path, "a", 0, [1, 0])
  metrics = dict(found.metrics) | {"questions": 1200, "videos": 2, "selected_on_this_split": True}
  told = notes.evaluated([dataclasses.replace(found, metrics=metrics)])
  name = f"{found.metrics['dataset']}_{found.metrics['split']}"
  assert told[0] == f"Evaluated on {name} (1,200 questions, 2 videos)."
  assert "chosen on this split" in told[1]
  assert len(notes.evaluated([found])) == 1
  assert notes.evaluated([dataclasses.replace(found, error="error: disk full")]) == []
  fewer = dataclasses.replace(found, metrics=metrics | {"questions": 3})
  told = notes.evaluated([dataclasses.replace(found, metrics=metrics), fewer])
  sizes = "(1,200 questions, 2 videos)", "(3 questions, 2 videos)"
  assert told[0] == f"Evaluated on {name} {sizes[0]} and {name} {sizes[1]}."


def test_a_table_says_which_cells_change_nothing(tmp_path):
  right, other = np.array([1, 0, 0, 1, 1], bool), np.array([1, 1, 0, 1, 0], bool)
  cells = {"a": right, "b": right, "c": other}
  grid = experiment(cells=tuple(Cell(name, {"x": name}) for name in cells))
  outcomes = [
      outcome(tmp_path, name, seed, found) for name, found in cells.items() for seed in (0, 1)
  ]
  rows = analysis.analyse(grid, outcomes)
  below = notes.below(Findings(grid, "cmd", outcomes, rows))
  # "c" has the same mean, of other videos.
  assert [note for note in below if note.startswith("No video tells these from `a`: b. What they")]
  assert rows[2].scores["accuracy"].mean == rows[0].scores["accuracy"].mean


def test_a_table_says_how_many_comparisons_it_makes(tmp_path):
  cells = (Cell("a"), Cell("b"), Cell("c"))
  outcomes = [outcome(tmp_path, cell.name, s, [s, 1]) for cell in cells for s in (0, 1)]
  grid = experiment(cells=cells)
  write.write(tmp_path, Findings(grid, "cmd", outcomes, analysis.analyse(grid, outcomes)))
  for name in ("results.md", "report.html"):
    assert "2 comparisons: each p is of one alone" in (tmp_path / name).read_text()
  assert notes.comparisons(1) == []
