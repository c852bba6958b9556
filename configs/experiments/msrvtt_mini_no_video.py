"""Question answering without video: is the text-only twin as good as it can be?

Each cell changes one setting of `configs/msrvtt_mini_qa.py:minilm,no_video`. Chosen on the videos
kept out of training. --config.model.text.pretrained=DIR; `...:debug` is tiny.
"""

from configs import msrvtt_mini_qa
from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, debug=False)
  chosen = grids.chosen(args, "minilm", "no_video")
  config = msrvtt_mini_qa.get_config(chosen)
  rate, steps, model = config.optimizer.learning_rate, config.train.steps, config.model
  return Experiment(
      title="Settings of question answering without video, msrvtt_mini, MiniLM",
      config=f"configs/msrvtt_mini_qa.py:{chosen}",
      cells=(
          Cell("as_it_is", {}),
          Cell("half_the_rate", {"optimizer.learning_rate": rate / 2}),
          Cell("twice_the_rate", {"optimizer.learning_rate": rate * 2}),
          Cell("half_the_steps", {"train.steps": steps // 2}),
          Cell("twice_the_steps", {"train.steps": steps * 2}),
          Cell("less_dropout", {"model.dropout": 0.6 * model.dropout}),
          Cell("more_dropout", {"model.dropout": 1.4 * model.dropout}),
          Cell("wider", {"model.fusion.hidden": model.fusion.hidden * 2}),
      ),
      seeds=grids.seeds(args),
      metrics=("accuracy",),
      numbers=("ceiling",),
      baseline="as_it_is",
      overrides={"data.eval_split": "dev"},
  )
