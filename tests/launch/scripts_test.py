"""The launchers of pods and clusters print what they would run, quoted as it must be."""

import os
import pathlib
import shlex
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAUNCH = ROOT / "launch"
SCRIPTS = sorted([*LAUNCH.glob("*.sh"), *LAUNCH.glob("*.sbatch"), ROOT / ".ci" / "run"])


def run(*words, **environment):
  env = {"PATH": os.environ["PATH"], **environment}
  return subprocess.run(words, env=env, capture_output=True, text=True, check=False)


def test_shellcheck_finds_nothing():
  shellcheck = pathlib.Path(sys.executable).with_name("shellcheck")
  found = run(str(shellcheck), *map(str, SCRIPTS))
  assert found.returncode == 0, found.stdout


def test_tpu_pod_quotes_the_flags_for_the_hosts_shell():
  done = run(
      str(LAUNCH / "tpu_pod.sh"), "--name=my-tpu", "--zone=us-central2-b", "--dry_run", "--",
      "--config=configs/msvd_qa.py", "--config.name=two words; $HOME",
  )
  assert done.returncode == 0, done.stderr
  (line,) = done.stdout.splitlines()
  words = shlex.split(line)
  assert words[:6] == ["gcloud", "compute", "tpus", "tpu-vm", "ssh", "my-tpu"]
  assert "--worker=all" in words
  remote = words[-1].removeprefix("--command=").partition(" && ")[2]
  assert shlex.split(remote) == [
      ".venv/bin/python", "-m", "mla_jax.main", "--distributed", "--config=configs/msvd_qa.py",
      "--config.name=two words; $HOME",
  ]


def test_tpu_pod_makes_the_checkout_first():
  done = run(
      str(LAUNCH / "tpu_pod.sh"), "--name=t", "--zone=z", "--project=p", "--repository=URL",
      "--revision=abc", "--dry_run", "--", "--config=c",
  )
  first, second = (shlex.split(line)[-1] for line in done.stdout.splitlines())
  assert "git clone -q URL mla_jax" in first
  assert ".[tpu]" in first
  assert second.endswith("--config=c")


def git(folder, *words):
  identity = ("-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main")
  done = run("git", "-C", str(folder), *identity, *words)
  assert done.returncode == 0, done.stderr
  return done.stdout.strip()


def commit(repository, content):
  (repository / "code").write_text(content)
  git(repository, "add", "code")
  git(repository, "commit", "-q", "-m", content)
  return git(repository, "rev-parse", "HEAD")


def program(folder, name, text):
  folder.mkdir(exist_ok=True)
  (folder / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
  (folder / name).chmod(0o755)


def test_tpu_pod_runs_what_the_revision_is_now(tmp_path):
  repository, home, programs = (tmp_path / name for name in ("its code", "home", "bin"))
  repository.mkdir()
  home.mkdir()
  git(repository, "init", "-q")
  environment = "mkdir -p .venv/bin; ln -sf /bin/true .venv/bin/python; ln -sf python .venv/bin/pip"
  program(programs, "python3", environment)
  program(programs, "gcloud", f'last=${{!#}}; cd {home} && exec bash -c "${{last#--command=}}"')

  def launch(revision):
    done = run(
        str(LAUNCH / "tpu_pod.sh"), "--name=t", "--zone=z", f"--repository={repository}",
        f"--revision={revision}", "--folder=the code", "--", "--config=c",
        PATH=f"{programs}:{os.environ['PATH']}",
    )
    assert (done.returncode, done.stderr) == (0, "")
    return git(home / "the code", "rev-parse", "HEAD")

  first = commit(repository, "first")
  git(repository, "tag", "v1")
  assert launch("main") == first
  second = commit(repository, "second")
  assert launch("main") == second
  assert launch("v1") == launch(first[:10]) == first
  git(repository, "checkout", "-q", "-b", "feature")
  third = commit(repository, "third")
  assert launch("feature") == third
  assert launch("main") == second


@pytest.mark.parametrize(
    ("words", "says"),
    [(["--zone=z", "--", "x"], "--name"), (["--name=t", "--", "x"], "--zone"),
     (["--name=t", "--zone=z"], "nothing behind --"), (["--nam=t"], "not known here")],
)
def test_tpu_pod_says_what_is_missing(words, says):
  done = run(str(LAUNCH / "tpu_pod.sh"), *words)
  assert done.returncode == 2
  assert says in done.stderr


def test_slurm_starts_one_process_a_gpu():
  script = LAUNCH / "slurm.sbatch"
  done = run("bash", str(script), "--config=a b", DRY_RUN="1", SLURM_SUBMIT_DIR="/my folder")
  assert shlex.split(done.stdout) == [
      "srun", "--kill-on-bad-exit=0", "--wait=60", "/my folder/.venv/bin/python", "-m",
      "mla_jax.main", "--distributed", "--stopped_exit_code=75", "--config=a b",
  ]
  lines = script.read_text().splitlines()
  options = dict(
      line.removeprefix("#SBATCH --").partition("=")[::2]
      for line in lines if line.startswith("#SBATCH")
  )
  assert options["ntasks-per-node"] == options["gpus-per-node"]
  assert options["signal"].startswith("TERM@")
  assert run("bash", str(script)).returncode == 2


@pytest.mark.parametrize(("code", "queued"), [(0, False), (1, False), (75, True), (137, False)])
def test_slurm_queues_a_job_again_that_was_stopped(code, queued, tmp_path):
  program(tmp_path, "srun", f"exit {code}")
  program(tmp_path, "scontrol", f'echo "$*" > {tmp_path}/said')
  done = run(
      "bash", str(LAUNCH / "slurm.sbatch"), "--config=c", SLURM_JOB_ID="12",
      SLURM_SUBMIT_DIR=str(tmp_path), PATH=f"{tmp_path}:{os.environ['PATH']}",
  )
  assert done.returncode == code
  said = tmp_path / "said"
  assert (said.read_text() if said.exists() else "") == ("requeue 12\n" if queued else "")


def test_the_jobset_is_one_and_runs_one_pod_a_host():
  found = yaml.safe_load((LAUNCH / "gke_jobset.yaml").read_text())
  assert (found["apiVersion"], found["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
  (job,) = found["spec"]["replicatedJobs"]
  spec = job["template"]["spec"]
  pod = spec["template"]["spec"]
  chips = 1
  for side in pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x"):
    chips *= int(side)
  (container,) = pod["containers"]
  hosts = chips // container["resources"]["limits"]["google.com/tpu"]
  assert spec["parallelism"] == spec["completions"] == hosts
  assert container["command"] == ["python", "-m", "mla_jax.main", "--distributed"]
  config = next(arg for arg in container["args"] if arg.startswith("--config="))
  assert (ROOT / config.removeprefix("--config=")).exists()
  (mount,) = container["volumeMounts"]
  (volume,) = pod["volumes"]
  assert mount["name"] == volume["name"]
  folders = [arg.partition("=")[2] for arg in container["args"] if "dir=" in arg]
  assert len(folders) == 2
  assert all(folder.startswith(f"{mount['mountPath']}/") for folder in folders)
  assert "--stopped_exit_code=75" in container["args"]  # With 0 it would count as finished.
  assert found["spec"]["failurePolicy"]["maxRestarts"] > 0
