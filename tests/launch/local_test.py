"""launch/local.sh gives the program the devices, the flags and nothing else."""

import os
import pathlib
import signal
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


def test_dry_run_shows_every_process(tmp_path: pathlib.Path) -> None:
  done = _run("-n", "2", "--dry_run", "--", "--workdir=x", cwd=tmp_path, PYTHON="/no/python")
  assert (done.returncode, done.stderr) == (0, "")
  ends = [line.split("-m mla_jax.main ")[1].strip() for line in done.stdout.splitlines()]
  job = "--workdir=x --coordinator=localhost:PORT --num_processes=2 --process_id="
  assert ends == [f"{job}0", f"{job}1"]


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
      "sleep=0; [[ $* == *slow* ]] && sleep=1\n"
      f"trap 'sleep $sleep; echo > {tmp_path}/stopped.$id; exit 0' TERM\n"
      "[[ $* == *frozen* && $id == 0 ]] && kill -STOP $$\n"
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


def _start(*args: str, cwd: pathlib.Path, worker: str, stop_seconds: int) -> subprocess.Popen[str]:
  """The job when both its processes have set their traps."""
  env = {"PATH": os.environ["PATH"], "PYTHON": worker, "STOP_SECONDS": str(stop_seconds)}
  job = subprocess.Popen(
      [str(SCRIPT), "-n", "2", "--", *args], cwd=cwd, env=env, stderr=subprocess.PIPE, text=True,
      start_new_session=True,
  )
  deadline = time.monotonic() + 60
  while len(list(cwd.glob("started.*"))) < 2 and time.monotonic() < deadline:
    time.sleep(0.05)
  time.sleep(0.5)
  return job


def test_sigterm_reaches_all_processes(worker: str, tmp_path) -> None:
  job = _start("waiting", cwd=tmp_path, worker=worker, stop_seconds=300)
  job.terminate()
  _, said = job.communicate(timeout=60)  # Nothing is left that would hold standard error open.
  assert (job.returncode, said) == (0, "")
  assert len(list(tmp_path.glob("stopped.*"))) == 2


def test_a_stopped_process_is_killed_when_another_fails(worker: str, tmp_path) -> None:
  begun = time.monotonic()
  done = _run(
      "-n", "3", "--", "failing", "frozen", cwd=tmp_path, PYTHON=worker, STOP_SECONDS="2"
  )
  assert time.monotonic() - begun > 2
  assert done.returncode == 7
  assert done.stderr.startswith("error: killed what had not ended 2 s after SIGTERM")
  assert (tmp_path / "stopped.2").exists()
  assert not (tmp_path / "stopped.0").exists()


def test_processes_have_time_to_save_though_the_whole_group_is_told_twice(
    worker: str, tmp_path
) -> None:
  job = _start("waiting", "slow", cwd=tmp_path, worker=worker, stop_seconds=60)
  for _ in range(2):
    os.killpg(job.pid, signal.SIGTERM)
    time.sleep(0.3)
  _, said = job.communicate(timeout=60)
  assert "killed" not in said
  assert len(list(tmp_path.glob("stopped.*"))) == 2


def test_a_sigterm_that_a_stopped_process_does_not_hear(worker: str, tmp_path) -> None:
  job = _start("waiting", "frozen", cwd=tmp_path, worker=worker, stop_seconds=2)
  job.terminate()
  _, said = job.communicate(timeout=60)
  assert "error: killed what had not ended" in said
  assert job.returncode == 128 + signal.SIGKILL


def test_stop_seconds_must_be_a_number(tmp_path) -> None:
  done = _run("-n", "2", "--dry_run", "--", "x", cwd=tmp_path, STOP_SECONDS="soon")
  assert (done.returncode, done.stdout) == (2, "")
  assert done.stderr == "error: STOP_SECONDS=soon: give a whole number above 0\n"


@pytest.mark.parametrize("args", [["-n", "0"], ["-n", "x"], ["-n", "2", "--platform=gpu"]])
def test_a_number_of_processes_that_is_none(args: list[str], tmp_path) -> None:
  assert _run(*args, "--", "x", cwd=tmp_path).returncode == 2
