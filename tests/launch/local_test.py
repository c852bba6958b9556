"""launch/local.sh gives the program the devices, the flags and nothing else."""

import os
import pathlib
import subprocess
import sys

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
