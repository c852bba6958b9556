"""What the pretraining configs need on v5e pods, by the planner; no TPU is needed.

    make bench-plans ARGS=--write  # Brings the TPU compiler.

Plans each config for 16, 64 and 256 chips, with the rows a chip that it has on 256. With --write
the tables of docs/scaling.md are made from them: what a step needs, and what the hardware's bound
on its time becomes with more chips. They are made from plans of one version of code and compilers
alone.
"""

from collections.abc import Sequence
import pathlib
from typing import Any

from absl import app, flags

from benchmarks import plan_tables
from mla_jax import config_lib

_WRITE = flags.DEFINE_boolean("write", False, "Put the tables into --page.")
_CONFIGS = flags.DEFINE_list("configs", ["pretrain_webvid", "pretrain_howto100m"], "What to plan.")
_CHIPS = flags.DEFINE_list("chips", ["256", "16", "64"], "For how many chips.")
_MISSING = flags.DEFINE_boolean("missing", False, "Plan only what --plans does not have.")
_PLANS = flags.DEFINE_string("plans", "runs/plans", "Folder of the plans.")
_PAGE = flags.DEFINE_string("page", "docs/scaling.md", "Page with the tables.")

TOPOLOGIES = {16: "v5e:4x4", 64: "v5e:8x8", 256: "v5e:16x16"}
_MOST = max(TOPOLOGIES)  # Chips that the configs are made for.


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f"unknown arguments: {argv[1:]}")
  folder = pathlib.Path(_PLANS.value)
  asked = {
      _file(folder, name, chips): (name, chips)
      for chips in map(int, _CHIPS.value)
      for name in _CONFIGS.value
  }
  todo = {k: v for k, v in asked.items() if not (_MISSING.value and k.exists())}
  needed = [_file(folder, name, chips) for name in _CONFIGS.value for chips in TOPOLOGIES]
  if _WRITE.value and todo:  # Minutes before the tables would be refused.
    kept = [file for file in needed if file not in todo and file.exists()]
    plan_tables.check_one_version(kept, _now())
  for file, (name, chips) in todo.items():
    _plan(name, chips, file.parent)
  if _WRITE.value:
    page = pathlib.Path(_PAGE.value)
    page.write_text(plan_tables.updated(page, needed))


def _plan(name: str, chips: int, workdir: pathlib.Path) -> None:
  from mla_jax.planner import run

  config = config_lib.load_config(f"configs/{name}.py")
  for source in config.data.sources.values():
    source.rows = source.rows * chips // _MOST
  run.plan(config, TOPOLOGIES[chips], find_batch=False, workdir=workdir)


def _file(folder: pathlib.Path, name: str, chips: int) -> pathlib.Path:
  return folder / f"{name}_{chips}" / "plan.json"


def _now() -> dict[str, Any]:
  """What would make a plan, as fields of it."""
  from mla_jax.planner import run

  return run.versions(TOPOLOGIES[_MOST])


if __name__ == "__main__":
  app.run(main)
