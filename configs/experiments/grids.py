"""What the experiments here share: arguments, seeds, the levels of alignment."""

from ml_collections import ConfigDict

from mla_jax.experiments.plan import Cell, Experiment

LATENT = {"loss.segment_pairing": "latent"}
_OFF_GLOBAL, _OFF_SEGMENT = {"loss.global_weight": 0.0}, {"loss.segment_weight": 0.0}


def chosen(args: ConfigDict, *more: str) -> str:
  """The argument of a config that has on what the experiment's has, and `more`."""
  return ",".join([*more, *(name for name, on in args.items() if on)])


def seeds(args: ConfigDict) -> tuple[int, ...]:
  """Five, or one of the debug size."""
  return (0,) if args.debug else (0, 1, 2, 3, 4)


def inputs(args: ConfigDict) -> str:
  """What the models read, for the title."""
  text = "MiniLM" if args.minilm else "text from scratch"
  return f"pixels, {text}" if args.get("pixels") else text


def retrieval(title: str, config: str, cells: tuple[Cell, ...], args: ConfigDict) -> Experiment:
  """Cells of retrieval against the global level alone, chosen on what is kept out of training."""
  return Experiment(
      title=title,
      config=config,
      cells=cells,
      seeds=seeds(args),
      metrics=("recall_at_1", "recall_at_5", "recall_at_10", "video_to_text_recall_at_1"),
      numbers=("text_to_video/median_rank",),
      baseline="global",
      overrides={"data.eval_split": "dev"},
  )


def retrieval_levels() -> tuple[Cell, ...]:
  """The global level alone and the segments' alone, each ranked by its own score, and both.

  Both are ranked by the global cosine.
  """
  return (
      Cell("global", _OFF_SEGMENT | {"eval.segment_score": 0.0}),
      # So much of it that the global cosine, which nothing trains, is noise beside it.
      Cell("segment", _OFF_GLOBAL | {"eval.segment_score": 100.0}),
      Cell("both", {"eval.segment_score": 0.0}),
  )


def timed_retrieval(steps: int) -> tuple[Cell, ...]:
  """`retrieval_levels` of a config that pairs by times, and what tells why one is ahead.

  `..._by_both` is ranked by the sum of both scores; `..._latent` trains without times. The global
  level also has twice the steps.
  """
  level_global, level_segment, both = retrieval_levels()
  by_both = {"eval.segment_score": 1.0}
  return (
      level_global,
      level_segment,
      both,
      Cell("both_by_both", by_both),
      Cell("segment_latent", {**LATENT, **level_segment.overrides}),
      Cell("both_latent", {**LATENT, **both.overrides}),
      Cell("both_latent_by_both", LATENT | by_both),
      Cell("global_twice_the_steps", {**level_global.overrides, "train.steps": 2 * steps}),
  )


def latent_variants(both: str) -> tuple[Cell, ...]:
  """The cell `both`, whose latent pairing is "softmax", with each of the others."""
  return tuple(
      Cell(f"{both}_{name}", LATENT | {"loss.segment_variant": name})
      for name in ("max", "sinkhorn", "mil_nce")
  )


def question_levels(path: str, args: ConfigDict) -> tuple[Cell, ...]:
  """Each level beside the task, both, neither ("task"), and the twin without video."""
  return (
      Cell("no_video", config=f"{path}:{chosen(args, 'no_video')}"),
      Cell("task", _OFF_GLOBAL | _OFF_SEGMENT),
      Cell("task_global", _OFF_SEGMENT),
      Cell("task_segment", _OFF_GLOBAL),
      Cell("task_both"),
  )


def untimed_questions() -> tuple[Cell, ...]:
  """The segments' level beside questions, and both levels, with no time known to it."""
  return (Cell("task_segment_latent", _OFF_GLOBAL | LATENT), Cell("task_both_latent", LATENT))
