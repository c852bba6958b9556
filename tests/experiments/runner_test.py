"""What becomes of the runs: kept, gone on with, refused; without training anything."""

import itertools
import json
import os
import shutil

import pytest

from mla_jax import code_version, config_lib
from mla_jax.errors import UserError
from mla_jax.experiments import notes, outcomes, plan, runner
from tests.data import media_folders
from tests.experiments import grid


@pytest.fixture(autouse=True)
def code(monkeypatch):
  """The code's version is "v1", or what a test puts there."""
  versions = ["v1"]
  monkeypatch.setattr(code_version, "current", lambda: versions[0])
  return versions


@pytest.fixture
def child(monkeypatch):
  """The arguments of the python that stands for `mla_jax.main`."""
  arguments = list(grid.PRINTS)
  monkeypatch.setattr(outcomes, "command", lambda run, workdir, split=None: arguments)
  return arguments


@pytest.fixture
def runs(tmp_path):
  grid.prepare(tmp_path)
  return grid.runs(tmp_path)


def checkpoint(workdir):
  (workdir / "checkpoints" / "10").mkdir(parents=True)


def test_what_is_kept_of_a_run_and_not_run_again(tmp_path, runs, child):
  first = runner.run_all(runs, tmp_path / "out", jobs=2)
  assert [outcome.metrics for outcome in first] == [grid.RESULT] * 2
  kept = json.loads((first[0].workdir / "result.json").read_text())
  assert kept["code_version"] == "v1"
  assert kept["data_fingerprint"] == {"t": "one"}
  child[:] = ["-c", "raise SystemExit(1)"]
  again = runner.run_all(runs, tmp_path / "out", jobs=1)
  assert again == first


@pytest.mark.parametrize("line", ["done", "[1]", "{}"])
def test_a_last_line_that_is_no_result_is_that_runs_error(tmp_path, runs, child, line):
  child[:] = ["-c", f"print({line!r})"]
  for outcome in runner.run_all(runs, tmp_path / "out", jobs=1):
    assert outcome.error == f"its last line is no result: {line!r}"
    assert not (outcome.workdir / "result.json").exists()


_SAYS_AND_DIES = """
import os, sys
print("step  50/600", file=sys.stderr, flush=True)
os.kill(os.getpid(), 9)
"""


def test_what_killed_a_run_and_what_it_said_last(tmp_path, runs, child):
  child[:] = ["-c", _SAYS_AND_DIES]
  (first, _) = runner.run_all(runs, tmp_path / "out", jobs=1)
  assert first.error == "killed by SIGKILL (no memory left?); last it said: step  50/600"
  child[:] = ["-c", "raise SystemExit(1)"]
  (again, _) = runner.run_all(runs, tmp_path / "out", jobs=1)
  assert again.error == "no output"  # Not what the earlier process said, nor the command.


def test_code_that_changes_while_a_run_goes_on(tmp_path, runs, child, monkeypatch):
  versions = itertools.chain(["v1", "v2"], itertools.repeat("v2"))
  monkeypatch.setattr(code_version, "current", lambda: next(versions))
  found = runner.run_all(runs, tmp_path / "out", jobs=1)
  assert [outcome.versions for outcome in found] == [("v1", "v2"), ("v2",)]
  assert notes.code(found) == [
      "Code v1, v2.",
      "Mixed code: runs 1 by v1, 1 by v2; results.json says which.",
      "Mixed code: a/seed_0: it changed on the way: v1, v2.",
  ]
  assert runner.run_all(runs, tmp_path / "out", jobs=1) == found


@pytest.mark.parametrize(("saved", "expected"), [(True, ("v1", "v2")), (False, ("v2",))])
def test_a_run_that_goes_on_with_other_code(tmp_path, runs, child, code, saved, expected):
  child[:] = ["-c", "raise SystemExit(1)"]
  failed = runner.run_all(runs[:1], tmp_path / "out", jobs=1)[0]
  if saved:
    checkpoint(failed.workdir)
  child[:], code[0] = grid.PRINTS, "v2"
  assert runner.run_all(runs[:1], tmp_path / "out", jobs=1)[0].versions == expected


def test_an_evaluation_says_who_trained(tmp_path, runs, child, code):
  runner.run_all(runs, tmp_path / "out", jobs=1)
  code[0] = "v2"
  found = runner.run_all(runs, tmp_path / "out", jobs=1, split="train")
  assert {(o.code_version, o.trained_by) for o in found} == {("v2", ("v1",))}
  assert notes.code(found) == ["Trained by code v1.", "Evaluated by code v2."]
  assert runner.run_all(runs, tmp_path / "out", jobs=1, split="train") == found


def test_what_was_trained_again_is_evaluated_again(tmp_path, runs, child, code):
  trained = runner.run_all(runs, tmp_path / "out", jobs=1)
  runner.run_all(runs, tmp_path / "out", jobs=1, split="train")
  code[0] = "v2"
  (trained[0].workdir / "result.json").unlink()
  runner.run_all(runs, tmp_path / "out", jobs=1)
  found = runner.run_all(runs, tmp_path / "out", jobs=1, split="train")
  assert [outcome.versions for outcome in found] == [("v2", "v2"), ("v1", "v1")]


def test_a_dump_that_another_evaluation_wrote(tmp_path, runs, child):
  (dump := outcomes.workdir_of(runs[0], tmp_path / "out") / "eval" / "f_t_test.jsonl").parent.mkdir(
      parents=True
  )
  dump.write_text("{}\n")
  runner.run_all(runs, tmp_path / "out", jobs=1)
  dump.write_text("{} \n")
  with pytest.raises(UserError, match=r"f_t_test.jsonl: is not what this run wrote: remove .*json"):
    runner.run_all(runs, tmp_path / "out", jobs=1)


def test_another_config_is_named(tmp_path, runs, child):
  first = runner.run_all(runs, tmp_path / "out", jobs=1)[0]
  config_lib.save_config(plan.config_of(first.run), first.workdir / "config.json")
  changed = grid.runs(tmp_path, more={"data.dev_fraction": 0.5})
  with pytest.raises(UserError, match=r"another config .* has \(data.dev_fraction: 0.0 -> 0.5\)"):
    runner.run_all(changed, tmp_path / "out", jobs=1)


def test_other_data_for_a_finished_run(tmp_path, runs, child):
  workdir = runner.run_all(runs, tmp_path / "out", jobs=1)[0].workdir
  grid.prepare(tmp_path, "two")
  with pytest.raises(UserError, match=r"a/seed_0: was run on other data .*\(t\): give another"):
    runner.run_all(runs, tmp_path / "out", jobs=1)
  # What is only looked at needs no data.
  (tmp_path / "data").rename(tmp_path / "gone")
  assert runner.run_all(runs, tmp_path / "out", jobs=1)[0].workdir == workdir


def test_media_that_only_grew_are_no_other_data(tmp_path, child):
  grid.prepare(tmp_path)
  folder, names = tmp_path / "data" / "f" / "media", [f"v{i:03d}" for i in range(6)]
  media_folders.write_features(tmp_path / "in", 6)
  media_folders.add(folder, tmp_path / "in", names[:4])
  runs = grid.runs(tmp_path, more={"model.use_video": True})
  found = runner.run_all(runs, tmp_path / "out", jobs=1)
  checkpoint(found[0].workdir)
  media_folders.add(folder, tmp_path / "in", names)
  assert runner.run_all(runs, tmp_path / "out", jobs=1) == found
  assert runner.run_all(runs, tmp_path / "out", jobs=1, split="train")[0].error is None
  shutil.rmtree(folder)
  media_folders.add(folder, tmp_path / "in", names[:3])
  media_folders.add(folder, tmp_path / "in", names)
  with pytest.raises(UserError, match=r"a/seed_0: was run on other data .*\(media\): give another"):
    runner.run_all(runs, tmp_path / "out", jobs=1)


def test_other_data_for_a_run_that_has_begun(tmp_path, runs, child):
  child[:] = ["-c", "raise SystemExit(1)"]
  workdir = runner.run_all(runs, tmp_path / "out", jobs=1)[0].workdir
  grid.prepare(tmp_path, "two")
  runner.run_all(runs, tmp_path / "out", jobs=1)  # Nothing was trained.
  checkpoint(workdir)
  grid.prepare(tmp_path, "three")
  with pytest.raises(UserError, match="a/seed_0: was run on other data"):
    runner.run_all(runs, tmp_path / "out", jobs=1)


def test_data_that_is_not_there_is_said_before_any_run(tmp_path, child):
  with pytest.raises(UserError, match=r"data/f: not there; prepare it"):
    runner.run_all(grid.runs(tmp_path), tmp_path / "out", jobs=1)


@pytest.mark.parametrize("content", ["{", "[]", "{}", "3"])
def test_a_damaged_result(tmp_path, runs, child, content):
  path = runner.run_all(runs, tmp_path / "out", jobs=1)[0].workdir / "result.json"
  path.write_text(content)
  with pytest.raises(UserError, match=r"seed_0/result.json: damaged .*: remove this file"):
    runner.run_all(runs, tmp_path / "out", jobs=1)


@pytest.mark.parametrize("split", ["../x", "nope", "dev", "all"])
def test_a_split_that_cannot_be_evaluated(tmp_path, runs, child, split):
  runner.run_all(runs, tmp_path / "out", jobs=1)
  before = sorted((tmp_path / "out").rglob("*"))
  with pytest.raises(UserError, match=f"--eval_split={split}: "):
    runner.run_all(runs, tmp_path / "out", jobs=1, split=split)
  assert sorted((tmp_path / "out").rglob("*")) == before


def test_the_evaluation_reads_where_the_data_is_now(tmp_path, runs):
  words = outcomes.command(runs[0], tmp_path, "test")
  assert f"--config.data.dir={tmp_path / 'data'}" in words
  assert words[-1] == "--config.data.eval_split=test"


@pytest.mark.parametrize("out", ["file/out", "/proc/y"])
def test_a_folder_that_cannot_be_written(tmp_path, runs, child, out):
  if not os.path.isdir("/proc") and out.startswith("/proc"):
    pytest.skip("no /proc")
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match=r"cannot be written .*choose another --out"):
    runner.run_all(runs, tmp_path / out, jobs=1)


def test_runs_of_an_earlier_and_larger_grid_are_named(tmp_path, runs, child):
  out = tmp_path / "out"
  runner.run_all(runs, out, jobs=1)
  assert outcomes.others(runs, out) == []
  assert outcomes.others(runs[1:], out) == ["a/seed_0"]
  assert outcomes.others(runs[1:], out, "test") == []


def test_weights_are_known_by_content(tmp_path, runs, child):
  weights = tmp_path / "bert" / "model.safetensors"
  weights.parent.mkdir()
  weights.write_bytes(b"one")
  changed = grid.runs(tmp_path, more={"model.text.pretrained": str(weights.parent)})
  runner.run_all(changed, tmp_path / "out", jobs=1)
  other = tmp_path / "other" / "model.safetensors"
  other.parent.mkdir()
  other.write_bytes(b"two")
  changed = grid.runs(tmp_path, more={"model.text.pretrained": str(other.parent)})
  with pytest.raises(UserError, match=r"other data than there is now \(pretrained\)"):
    runner.run_all(changed, tmp_path / "out", jobs=1)


def test_few_runs_that_are_left_have_all_cores(tmp_path, runs, child, monkeypatch):
  pinned = []
  monkeypatch.setattr(runner.cores, "available", lambda: [0, 1, 2, 3])
  monkeypatch.setattr(runner.cores, "pin", lambda share: pinned.append(share))
  runner.run_all(runs, tmp_path / "out", jobs=4)
  assert sorted(pinned) == [[0, 2], [1, 3]]


def test_more_processes_than_cores_share_them():
  assert runner._shares([4, 5], 3) == [[4], [5], [4]]
  assert runner._shares([4, 5, 6], 2) == [[4, 6], [5]]
