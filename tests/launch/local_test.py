"""launch/local.sh gives the program the devices, the flags and nothing else."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "launch" / "local.sh"


def _run(
    *args: str, cwd: pathlib.Path, **environment: str
) -> subprocess.CompletedProcess[str]:
  env = {"PATH": os.environ["PATH"], **environment}
  return subprocess.run(
      [str(SCRIPT), *args], cwd=cwd, env=env, capture_output=True, text=True, check=False
  )


@pytest.fixture
def python(tmp_path: pathlib.Path) -> str:
  """An interpreter that runs no module, but counts the devices and shows its arguments."""
  path = tmp_path / "python"
  path.write_text(
      f"#!/bin/sh\nexec {sys.executable} -c "
      "'import sys, jax, mla_jax; print(sys.argv[1:], jax.device_count())' \"$@\"\n"
  )
  path.chmod(0o755)
  return str(path)


def test_devices_and_arguments(python: str, tmp_path: pathlib.Path) -> None:
  done = _run("--devices=3", "--", "--config=a b", "--", "x", cwd=tmp_path, PYTHON=python)
  assert done.returncode == 0, done.stderr
  assert done.stdout == "['-m', 'mla_jax.main', '--config=a b', '--', 'x'] 3\n"


def test_dry_run_runs_nothing(tmp_path: pathlib.Path) -> None:
  done = _run(
      "--devices=4", "--dry_run", "--", "--workdir=a b",
      cwd=tmp_path, PYTHON="/no/python", XLA_FLAGS="--xla_x=1",
  )
  assert done.returncode == 0, done.stderr
  assert "/no/python -m mla_jax.main --workdir=a\\ b" in done.stdout
  assert r"--xla_x=1\ --xla_force_host_platform_device_count=4" in done.stdout


@pytest.mark.parametrize(
    ("args", "given", "expected"),
    [(["--devices=2"], None, r"=0\,1 "), (["--devices=2"], "5,3,1", r"=5\,3 "), ([], None, None)],
)
def test_gpus(
    args: list[str], given: str | None, expected: str | None, tmp_path: pathlib.Path
) -> None:
  chosen = {"CUDA_VISIBLE_DEVICES": given} if given else {}
  done = _run("--platform=gpu", *args, "--dry_run", cwd=tmp_path, **chosen)
  assert "JAX_PLATFORMS=cuda" in done.stdout
  if expected:
    assert "CUDA_VISIBLE_DEVICES" + expected in done.stdout
  else:
    assert "CUDA_VISIBLE_DEVICES" not in done.stdout


@pytest.mark.parametrize(
    "args", [["--devices=0"], ["--devices=two"], ["--platform=abacus"], ["--config=x"],
             ["--platform=tpu", "--devices=2"]]
)
def test_wrong(args: list[str], tmp_path: pathlib.Path) -> None:
  done = _run(*args, "--dry_run", cwd=tmp_path)
  assert done.returncode == 2
  assert done.stderr.startswith("error: ")
  assert done.stderr.count("\n") == 1
  assert not done.stdout


def test_help(tmp_path: pathlib.Path) -> None:
  done = _run("--help", cwd=tmp_path)
  assert "launch/local.sh [--devices=N]" in done.stdout


@pytest.fixture
def worker(tmp_path: pathlib.Path) -> str:
  """An interpreter that says which process it is, then waits, fails or ends as told."""
  path = tmp_path / "worker"
  path.write_text(
      "#!/usr/bin/env bash\n"
      f'[[ $1 == -c ]] && exec {sys.executable} "$@"\n'
      "id=$(printf '%s\\n' \"$@\" | sed -n 's/--process_id=//p')\n"
      f"echo \"$*\" > {tmp_path}/started.$id\n"
      f"trap 'echo > {tmp_path}/stopped.$id; exit 0' TERM\n"
      "[[ $* == *failing* && $id == 1 ]] && exit 7\n"
      "[[ $* == *waiting* || $* == *failing* ]] && for i in {1..300}; do sleep 0.1; done\n"
      "echo ended $id\n"
  )
  path.chmod(0o755)
  return str(path)


def test_processes_find_each_other_and_the_first_prints(worker: str, tmp_path) -> None:
  done = _run("-n", "3", "--", "--config=x", cwd=tmp_path, PYTHON=worker)
  assert done.returncode == 0, done.stderr
  assert done.stdout == "ended 0\n"
  said = [(tmp_path / f"started.{i}").read_text().split() for i in range(3)]
  assert {words[2] for words in said} == {"--config=x"}
  assert len({words[3] for words in said}) == 1  # One coordinator, on a port that was free.
  assert said[0][3].startswith("--coordinator=localhost:")
  assert [words[4:] for words in said] == [
      ["--num_processes=3", f"--process_id={i}"] for i in range(3)
  ]


def test_a_process_that_fails_ends_the_others(worker: str, tmp_path) -> None:
  done = _run("-n", "2", "--", "failing", cwd=tmp_path, PYTHON=worker)
  assert done.returncode == 7


def test_sigterm_reaches_all_processes(worker: str, tmp_path) -> None:
  env = {"PATH": os.environ["PATH"], "PYTHON": worker}
  job = subprocess.Popen([str(SCRIPT), "-n", "2", "--", "waiting"], cwd=tmp_path, env=env)
  deadline = time.monotonic() + 60
  while len(list(tmp_path.glob("started.*"))) < 2 and time.monotonic() < deadline:
    time.sleep(0.05)
  time.sleep(0.5)  # Until both have set their traps.
  job.terminate()
  assert job.wait(timeout=60) == 0
  assert len(list(tmp_path.glob("stopped.*"))) == 2


@pytest.mark.parametrize("args", [["-n", "0"], ["-n", "x"], ["-n", "2", "--platform=gpu"]])
def test_a_number_of_processes_that_is_none(args: list[str], tmp_path) -> None:
  assert _run(*args, "--", "x", cwd=tmp_path).returncode == 2
