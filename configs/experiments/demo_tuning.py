"""Questions on the demo: does each level have the settings that suit it?

`configs/demo.py` was tuned with both levels on. Here the task alone, each level and both have other
rates and more steps; `task_global_wholes` aligns whole paragraphs, no single sentences. Chosen on
clips kept out of training; `...:debug` is tiny.
"""

from configs import demo
from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment

_CONFIG = "configs/demo.py"
_WHOLES = {"data.sources.questions.beside.sentences.sentences": 0}


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, debug=False)
  chosen = grids.chosen(args)
  config = demo.get_config(chosen)
  rate, steps = config.optimizer.learning_rate, config.train.steps
  _, task, level_global, level_segment, both = grids.question_levels(_CONFIG, args)
  half, more = {"optimizer.learning_rate": rate / 2}, {"train.steps": steps * 2}
  return Experiment(
      title="Settings of each level, question answering on the demo",
      config=f"{_CONFIG}:{chosen}",
      cells=(
          *(
              Cell(f"{level.name}{name}", {**level.overrides, **changed})
              for level in (task, level_global, level_segment, both)
              for name, changed in (
                  ("", {}),
                  ("_half_the_rate", half),
                  ("_twice_the_rate", {"optimizer.learning_rate": rate * 2}),
                  ("_twice_the_steps", more),
                  ("_half_the_rate_twice_the_steps", half | more),
              )
          ),
          Cell(
              "task_quarter_the_rate", {**task.overrides, "optimizer.learning_rate": rate / 4}
          ),
          Cell("task_four_times_the_steps", {**task.overrides, "train.steps": steps * 4}),
          Cell("task_global_wholes", {**level_global.overrides, **_WHOLES}),
      ),
      seeds=grids.seeds(args),
      metrics=("accuracy",),
      baseline="task_global",
      overrides={"data.eval_split": "dev"},
  )
