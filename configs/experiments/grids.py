"""What the experiments here share: arguments, seeds, the levels of alignment."""

from ml_collections import ConfigDict

from mla_jax.experiments.plan import Cell, Experiment

LATENT = {"loss.segment_pairing": "latent"}
OFF_GLOBAL, OFF_SEGMENT = {"loss.global_weight": 0.0}, {"loss.segment_weight": 0.0}
_BY_GLOBAL, _BY_SEGMENTS, _BY_BOTH = (
    {"eval.global_score": of_global, "eval.segment_score": of_segments}
    for of_global, of_segments in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
)


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

  "both" is ranked by the global cosine, "both_by_both" by the mean of both scores. Where a config
  has a regressor, its score counts as much as one level's beside each.
  """
  return (
      Cell("global", {**OFF_SEGMENT, **_BY_GLOBAL}),
      Cell("segment", {**OFF_GLOBAL, **_BY_SEGMENTS}),
      Cell("both", _BY_GLOBAL),
      Cell("both_by_both", _BY_BOTH),
  )


def timed_retrieval(steps: int) -> tuple[Cell, ...]:
  """`retrieval_levels` of a config that pairs by times, and what tells why one is ahead.

  "both_by_segments" trains both and is ranked by the segments' score, `..._latent` trains without
  times. The global level also has twice the steps.
  """
  level_global, level_segment, both, by_both = retrieval_levels()
  return (
      level_global,
      level_segment,
      both,
      by_both,
      Cell("both_by_segments", _BY_SEGMENTS),
      Cell("segment_latent", {**LATENT, **level_segment.overrides}),
      Cell("both_latent", {**LATENT, **both.overrides}),
      Cell("both_latent_by_both", {**LATENT, **by_both.overrides}),
      Cell("both_latent_by_segments", {**LATENT, **_BY_SEGMENTS}),
      Cell("global_twice_the_steps", {**level_global.overrides, "train.steps": 2 * steps}),
  )


def latent_variants(cell: Cell) -> tuple[Cell, ...]:
  """The cell, whose latent pairing is "softmax", with each of the others."""
  return tuple(
      Cell(f"{cell.name}_{name}", {**cell.overrides, **LATENT, "loss.segment_variant": name})
      for name in ("max", "sinkhorn", "mil_nce")
  )


def question_levels(path: str, args: ConfigDict) -> tuple[Cell, ...]:
  """Each level beside the task, both, neither ("task"), and the twin without video."""
  return (
      Cell("no_video", config=f"{path}:{chosen(args, 'no_video')}"),
      Cell("task", OFF_GLOBAL | OFF_SEGMENT),
      Cell("task_global", OFF_SEGMENT),
      Cell("task_segment", OFF_GLOBAL),
      Cell("task_both"),
  )


def untimed_questions() -> tuple[Cell, ...]:
  """The segments' level beside questions, and both levels, with no time known to it."""
  return (Cell("task_segment_latent", OFF_GLOBAL | LATENT), Cell("task_both_latent", LATENT))
