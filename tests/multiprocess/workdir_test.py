"""Processes that see different workdirs or checkpoints stop at once, and say what differs."""

import json
import shutil

import pytest

from tests.multiprocess.jobs import STEPS, arguments, finish, start, succeed

pytestmark = pytest.mark.slow
LATE = "tests.late_listing_child"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, features):
  """A workdir with the checkpoints of steps 2 and 4."""
  workdir = tmp_path_factory.mktemp("trained")
  succeed(start([arguments(features, workdir, *STEPS, "--config.train.keep_last=2")]))
  return workdir


@pytest.fixture
def workdirs(trained, tmp_path):
  """Two copies of it: of the second the last checkpoint is gone."""
  found = [shutil.copytree(trained, tmp_path / f"host{number}") for number in (0, 1)]
  shutil.rmtree(found[1] / "checkpoints" / "4")
  return found


def refused(started):
  found = finish(started, timeout=120)
  assert [code for code, *_ in found] == [1, 1], found
  assert not any("Traceback" in error for *_, error in found)
  return [error for *_, error in found]


def files(folder):
  return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("checkpoints", [True, False])
def test_a_training_whose_workdirs_are_not_one(features, workdirs, checkpoints):
  if not checkpoints:
    shutil.rmtree(workdirs[1])
    workdirs[1].mkdir()
  before = files(workdirs[0])
  each = [arguments(features, w, *STEPS, "--config.train.keep_last=2") for w in workdirs]
  for error in refused(start(each)):
    assert (
        "process 1 and process 0 differ: sees what process 0 writes to its --workdir: 'yes' in 0, "
        f"'not in {workdirs[1]}': use a --workdir on a file system that all hosts share"
    ) in error
  assert files(workdirs[0]) == before


def test_one_workdir_of_two_names(features, trained, tmp_path):
  """As hosts mount one file system in different places."""
  workdir = shutil.copytree(trained, tmp_path / "run")
  (tmp_path / "mount").symlink_to(tmp_path)
  names = [workdir, tmp_path / "mount" / "run"]
  more = (*STEPS, "--config.train.keep_last=2")
  found = succeed(start([arguments(features, name, *more) for name in names]))
  assert ": from step 4 to 4" in found[0][2]


def test_a_training_of_which_one_process_does_not_see_the_newest_checkpoint(
    features, trained, tmp_path
):
  workdir = shutil.copytree(trained, tmp_path / "run")
  words = arguments(features, workdir, *STEPS, "--config.train.keep_last=1")
  for error in refused(start([words] * 2, module=LATE)):
    assert (
        "process 1 and process 0 differ: checkpoints: '2, 4' in 0, '2': all must see the same in "
        f"{workdir}/checkpoints"
    ) in error
  assert {path.name for path in (workdir / "checkpoints").iterdir()} == {"2", "4"}


def test_an_evaluation_of_which_one_process_does_not_see_the_newest_checkpoint(workdirs):
  each = [["--mode=eval", f"--workdir={workdir}", "--step=latest"] for workdir in workdirs]
  for error, workdir in zip(refused(start(each)), workdirs, strict=True):
    assert (
        "process 1 and process 0 differ: checkpoints: '4' in 0, '2': all must see the same in "
        f"{workdir}: is --workdir on a file system that all hosts share?"
    ) in error


def test_an_evaluation_reads_copies_of_one_workdir(trained, tmp_path):
  """It writes nothing that another process reads."""
  copy = shutil.copytree(trained, tmp_path / "copy")
  each = [["--mode=eval", f"--workdir={workdir}"] for workdir in (trained, copy)]
  found = succeed(start(each))
  assert json.loads(found[0][1].splitlines()[-1])["step"] in (2, 4)
