"""One training: its state, its compiled step, its batches."""

from collections.abc import Callable, Iterator
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict
import numpy as np
import optax

from mla_jax import (
  accumulation,
  checkpoints,
  code_version,
  data_parameters,
  optimizers,
  sharding,
  sharding_lint,
  text_cache,
)
from mla_jax import train_state as train_state_lib
from mla_jax.config_values import to_plain
from mla_jax.data import batch_spec, pipeline
from mla_jax.data.prepared import fingerprint
from mla_jax.data.sources import Source
from mla_jax.data.subtitles import check_prepared
from mla_jax.data.text_states import DistinctTexts
from mla_jax.errors import UserError, check_numbers
from mla_jax.intervals import Every
from mla_jax.log import logger
from mla_jax.metrics import MetricAccumulator
from mla_jax.models import bert_encoder, pretrained
from mla_jax.models.mla import MLA
from mla_jax.run import Run
from mla_jax.tasks.base import Batch, Metrics, Task
from mla_jax.train_state import TrainState

Step = jax.stages.Wrapped  # (TrainState, Batch) -> (TrainState, Metrics), jitted.


@dataclasses.dataclass(frozen=True)
class Training:
  """What the loop needs, made from a run and its training sources.

  Attributes:
    run: the run.
    every: how long, and when to do what.
    seed: of the data and of the model's randomness.
    sources: what fills the batches.
    abstract: the state's shapes, types and shardings.
    tx: the optimizer.
    lr_fn: learning rate by step.
    step: the compiled update, `(state, batch) -> (state, metrics)`; it consumes the state.
    meta: kept with every checkpoint.
  """

  run: Run
  every: Every
  seed: int
  sources: tuple[Source, ...]
  abstract: TrainState
  tx: optax.GradientTransformation
  lr_fn: Callable[[Any], jax.Array]
  step: Step
  meta: dict[str, Any]

  @property
  def rows(self) -> int:
    """Examples of a global batch."""
    return sum(source.rows for source in self.sources)

  def start(self, saved: checkpoints.Checkpointer) -> TrainState:
    """The newest checkpoint, or a new state, from pretrained weights where the config names any."""
    if saved.latest_step() is not None:
      return saved.restore(self.abstract, config=self.meta["config"])
    model = self.run.model
    shapes = {k: v.shape for k, v in sharding.named_leaves(self.abstract.params).items()}
    weights = (
        pretrained.read_bert(model.text_config, shapes) if model.text_config.pretrained else {}
    )
    state = new_state(model, self.run.config, self.run.mesh, self.tx)
    state = train_state_lib.replace_params(state, weights)
    values: dict[str, np.ndarray] = {}
    if model.reads_words:
      values |= data_parameters.of_words(self.run, self.texts, state.params)
    if model.regresses:
      values |= data_parameters.of_features(self.run, self.sources)
    return train_state_lib.replace_params(state, values)

  @functools.cached_property
  def texts(self) -> DistinctTexts:
    """All that a step may draw; reads every one of them when it is first asked for."""
    return text_cache.training_texts(self.run.reader, self.sources)

  def with_cached_texts(self, params: Any) -> "Training":
    """Reads the frozen text encoder's states where `model.text.cache` names their folder."""
    if self.run.config.model.text.cache is None:
      return self
    run = text_cache.with_cached_texts(self.run, self.texts, params)
    return dataclasses.replace(self, run=run)

  def batches(self, steps: range) -> Iterator[Batch]:
    """The global batches of these steps, on the devices."""
    local = pipeline.train_batches(
        self.run.reader,
        self.sources,
        seed=self.seed,
        steps=steps,
    )
    return (sharding.to_global(batch, self.run.mesh) for batch in local)

  def check_finite(self, sums: MetricAccumulator) -> None:
    """Stops the run if a step since the last look had a loss or a norm that is not finite.

    Raises:
      UserError: naming the step and the texts of its batch. It is called before every save, so the
        kept checkpoints are good.
    """
    bad = sums.nonfinite_step()
    if bad is None:
      return
    texts = pipeline.row_texts(self.run.reader, self.sources, self.seed, bad, rows=8)
    raise UserError(
        f"step {bad}: the loss is not finite; its batch starts with {', '.join(texts)}; the last "
        "checkpoint is good: lower optimizer.learning_rate or look at these examples"
    )


def make_training(run: Run, sources: tuple[Source, ...]) -> Training:
  """Builds state shapes, optimizer and the step; nothing runs yet.

  Raises:
    UserError: an optimizer setting or a pattern that does not fit, a batch that does not divide.
  """
  config = run.config
  check_rows(sum(source.rows for source in sources), config, run.mesh)
  for source in sources:
    check_prepared(source.own.texts.store, run.task.wanted.subtitles)
  tx, lr_fn = make_optimizer(run.model, config)
  abstract = abstract_state(run.model, config, run.mesh, tx)
  for finding in lint(config, run.mesh, abstract):
    logger.warning("%s", finding)
  return Training(
      run=run,
      every=Every.from_config(config.train),
      seed=config.seed,
      sources=sources,
      abstract=abstract,
      tx=tx,
      lr_fn=lr_fn,
      step=compile_step(run.task, run.model, tx, config, abstract, run.mesh),
      meta={
          "config": to_plain(config),
          "code_version": code_version.current(),
          "data_fingerprint": fingerprint(config),
      },
  )


def check_rows(rows: int, config: ConfigDict, mesh: Mesh) -> None:
  """Raises UserError unless the rows divide over devices and micro-batches."""
  check_numbers("train", config.train, {"at least 1": ("micro_batches",)})
  parts = config.train.micro_batches
  if rows % (mesh.size * parts):
    micro = f" times train.micro_batches={parts}" if parts > 1 else ""
    raise UserError(
        f"data.sources: {rows} rows do not divide over {mesh.size} devices{micro}; change the rows"
    )


def abstract_state(
    model: MLA, config: ConfigDict, mesh: Mesh, tx: optax.GradientTransformation
) -> TrainState:
  """Shapes, types and shardings of a run's state; `tx` is that of `make_optimizer`."""
  return _make_state(train_state_lib.abstract_train_state, model, config, mesh, tx)


def new_state(
    model: MLA, config: ConfigDict, mesh: Mesh, tx: optax.GradientTransformation
) -> TrainState:
  """A run's state at step 0, born where `abstract_state` says."""
  return _make_state(train_state_lib.create_train_state, model, config, mesh, tx)


def _make_state(
    make: Callable[..., TrainState],
    model: MLA,
    config: ConfigDict,
    mesh: Mesh,
    tx: optax.GradientTransformation,
) -> TrainState:
  rules = sharding.rules_from_config(config.sharding)
  ema = config.optimizer.ema_decay > 0
  return make(init_params(model, config), tx, mesh, rules, ema=ema)


def lint(config: ConfigDict, mesh: Mesh, abstract: TrainState) -> list[str]:
  """What of the state is large and whole on every device, see sharding_lint.py; a ring of one."""
  rules, most_bytes = sharding.rules_from_config(config.sharding), config.sharding.lint_bytes
  found = sharding_lint.lint(abstract, abstract.params, rules, mesh, most_bytes=most_bytes)
  if config.loss.impl == "ring" and mesh.size == 1:
    found.append(
        "loss.impl='ring': goes round one device; 'dense' is the same loss and faster where it fits"
    )
  return found


def compile_step(
    task: Task,
    model: MLA,
    tx: optax.GradientTransformation,
    config: ConfigDict,
    abstract: TrainState,
    mesh: jax.sharding.Mesh,
) -> Step:
  """The update of one step under `jit`; XLA places it by the shardings of state and batch.

  Its randomness is folded from (seed, step), so that it is in no state.
  """

  seed, ema_decay = config.seed, config.optimizer.ema_decay
  shardings = train_state_lib.state_shardings(abstract)

  def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    rng = jax.random.fold_in(jax.random.key(seed), state.step)

    (loss, metrics), grads = accumulation.loss_and_gradient(
        task,
        model,
        state.params,
        batch,
        rng,
        mesh=mesh,
        micro_batches=config.train.micro_batches,
        shardings=shardings.params,
    )
    after = train_state_lib.apply_gradients(state, grads, tx, ema_decay)
    one = jnp.float32(1.0)
    norms = train_state_lib.step_norms(grads, state, after)
    return after, {"loss": (loss, one)} | metrics | {k: (v, one) for k, v in norms.items()}

  return jax.jit(
      train_step,
      donate_argnums=0,
      out_shardings=(shardings, None),
  )


def init_params(model: MLA, config: ConfigDict) -> Callable[[], Any]:
  """A function that makes the initial parameters: a pure function of the seed."""

  def init() -> Any:
    batch = {k: jnp.zeros(v.shape, v.dtype) for k, v in init_batch(config).items()}
    return model.init(jax.random.key(config.seed), batch)["params"]

  return init


def init_batch(config: ConfigDict) -> dict[str, jax.ShapeDtypeStruct]:
  """Shapes of one row of the fields the encoders read."""
  spec = batch_spec.text_fields(config, (1,))
  spec.pop("text_states", None)  # The encoder's frozen part is made too.
  return spec | (batch_spec.video_fields(config, 1) if config.model.use_video else {})


def make_optimizer(
    model: MLA, config: ConfigDict
) -> tuple[optax.GradientTransformation, Callable[[Any], jax.Array]]:
  """The run's optimizer and its learning rate by step; see optimizers.py."""
  params = jax.eval_shape(init_params(model, config))
  frozen = _frozen_by_model(model)
  return optimizers.make_optimizer(config.optimizer, params, config.train.steps, frozen)


def frozen_names(model: MLA, config: ConfigDict, params: Any) -> set[str]:
  """Paths of the parameters that the optimizer of `make_optimizer` leaves as they are."""
  names = list(sharding.named_leaves(params))
  return optimizers.frozen_names(config.optimizer, names, _frozen_by_model(model))


def _frozen_by_model(model: MLA) -> tuple[str, ...]:
  return bert_encoder.frozen_parameters(model.text_config) + data_parameters.patterns(model)
