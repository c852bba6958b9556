"""Optimizers and learning-rate schedules by name, with per-parameter settings by path."""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import optax

from mla_jax import sharding
from mla_jax.errors import UserError, check_choice, check_numbers

Schedule = Callable[[Any], jax.Array]
Chain = tuple[optax.GradientTransformation, ...]
_NUMBERS = {
    "0 or more": ("learning_rate", "warmup_steps", "weight_decay", "clip_norm"),
    "from 0 to below 1": ("b1", "b2", "ema_decay"),
}


@dataclasses.dataclass(frozen=True)
class Settings:
  """`config.optimizer`, checked. See configs/common.py for what each key means."""

  name: str
  learning_rate: float
  warmup_steps: int
  schedule: str
  final_lr_fraction: float
  weight_decay: float
  no_decay: tuple[str, ...]
  b1: float
  b2: float
  clip_norm: float
  lr_multipliers: tuple[tuple[str, float], ...]
  freeze: tuple[str, ...]
  ema_decay: float

  @classmethod
  def from_config(cls, config: ConfigDict) -> "Settings":
    """Raises UserError on a value out of range or an unknown name."""
    settings = cls(**{field.name: config[field.name] for field in dataclasses.fields(cls)})
    check_choice("optimizer.name", settings.name, OPTIMIZERS)
    check_choice("optimizer.schedule", settings.schedule, SCHEDULES)
    check_numbers("optimizer", vars(settings), _NUMBERS)
    if not 0 <= settings.final_lr_fraction <= 1:
      raise UserError(
          f"optimizer.final_lr_fraction={settings.final_lr_fraction}: must be from 0 to 1"
      )
    for pair in settings.lr_multipliers:
      if len(pair) != 2 or not isinstance(pair[0], str) or not pair[1] >= 0:
        raise UserError(f"optimizer.lr_multipliers: {pair!r} must be a (regex, factor >= 0) pair")
    if settings.weight_decay and settings.name in WITHOUT_DECAY:
      raise UserError(
          f"optimizer.weight_decay={settings.weight_decay}: {settings.name} has none: "
          "set it to 0, or optimizer.name=adamw"
      )
    return settings


def _cosine(progress: jax.Array) -> jax.Array:
  return 0.5 * (1.0 + jnp.cos(jnp.pi * progress))


SCHEDULES: dict[str, Callable[[jax.Array], jax.Array]] = {
    "cosine": _cosine,
    "linear": lambda progress: 1.0 - progress,
    "constant": jnp.ones_like,
}

# What turns a gradient into a direction, before the decay, the multipliers and the learning rate.
OPTIMIZERS: dict[str, Callable[[Settings], Chain]] = {
    "adamw": lambda s: (optax.scale_by_adam(s.b1, s.b2),),
    "adam": lambda s: (optax.scale_by_adam(s.b1, s.b2),),
    "nadamw": lambda s: (optax.scale_by_adam(s.b1, s.b2, nesterov=True),),
    "adabelief": lambda s: (optax.scale_by_belief(s.b1, s.b2),),
    "lion": lambda s: (optax.scale_by_lion(s.b1, s.b2),),
    "lamb": lambda s: (optax.scale_by_adam(s.b1, s.b2, eps=1e-6),),
    "sgd": lambda s: (optax.trace(s.b1),) if s.b1 else (),
    "adafactor": lambda s: (
        optax.scale_by_factored_rms(),
        optax.clip_by_block_rms(1.0),
        optax.scale_by_param_block_rms(),
    ),
}
WITHOUT_DECAY = ("adam",)


def make_schedule(settings: Settings, total_steps: int) -> Schedule:
  """Learning rate of update `step` = 0 .. total_steps - 1, as a float32 scalar; traceable.

  Warm-up rises linearly, rate * (step + 1) / warmup_steps, so that no update is wasted at rate 0;
  then the schedule goes from the rate to `final_lr_fraction` of it, reached at `total_steps`.

  Raises:
    UserError: the warm-up does not end before training does.
  """
  warmup = settings.warmup_steps
  if warmup >= total_steps:
    raise UserError(
        f"optimizer.warmup_steps={warmup}: must be less than train.steps={total_steps}: change one"
    )
  peak, final = settings.learning_rate, settings.final_lr_fraction
  decay = SCHEDULES[settings.schedule]

  def learning_rate(step: Any) -> jax.Array:
    step = jnp.asarray(step, jnp.float32)
    progress = jnp.clip((step - warmup) / (total_steps - warmup), 0.0, 1.0)
    after = final + (1.0 - final) * decay(progress)
    return peak * jnp.where(step < warmup, (step + 1.0) / max(warmup, 1), after)

  return learning_rate


def make_optimizer(
    config: ConfigDict,
    abstract_params: Any,
    total_steps: int,
    frozen_by_model: Sequence[str] = (),
) -> tuple[optax.GradientTransformation, Schedule]:
  """The optimizer that `config.optimizer` describes.

  Clipping (by the norm over the parameters that are trained; 0 = off), the named optimizer,
  decoupled weight decay except where a `no_decay` pattern matches, learning-rate multipliers (first
  match wins; they scale the decay too), the schedule. Frozen parameters get no update and take no
  optimizer memory. Patterns match whole parameter paths "a/b/c".

  Args:
    config: `config.optimizer`.
    abstract_params: tree with the paths of the parameters.
    total_steps: of the whole run.
    frozen_by_model: patterns of more parameters to freeze.

  Returns:
    The transformation, and the learning rate by step (before the multipliers).

  Raises:
    UserError: a value out of range, an unknown name, a pattern that matches no parameter.
  """
  settings = Settings.from_config(config)
  lr_fn = make_schedule(settings, total_steps)
  names = list(sharding.named_leaves(abstract_params))
  frozen = frozen_names(config, names, frozen_by_model)
  no_decay = sharding.first_matches(settings.no_decay, names, "optimizer.no_decay")
  patterns = [pattern for pattern, _ in settings.lr_multipliers]
  multiplied = sharding.first_matches(patterns, names, "optimizer.lr_multipliers")
  factors = {name: float(settings.lr_multipliers[i][1]) for name, i in multiplied.items()}

  parts: list[optax.GradientTransformation] = []
  if settings.clip_norm:
    parts.append(optax.clip_by_global_norm(settings.clip_norm))
  parts.extend(OPTIMIZERS[settings.name](settings))
  if settings.weight_decay:
    parts.append(optax.add_decayed_weights(settings.weight_decay, mask=_decay_mask(set(no_decay))))
  if settings.name == "lamb":
    parts.append(optax.scale_by_trust_ratio())  # Of the direction with its decay.
  if factors:
    parts.append(_multiply(factors))
  parts.append(optax.scale_by_learning_rate(lr_fn))
  tx = optax.chain(*parts)
  if frozen:
    labels = _by_name(abstract_params, lambda name: "frozen" if name in frozen else "trained")
    tx = optax.partition({"trained": tx, "frozen": optax.set_to_zero()}, labels)
  return tx, lr_fn


def frozen_names(
    config: ConfigDict, names: Sequence[str], frozen_by_model: Sequence[str] = ()
) -> set[str]:
  """Which of the parameters are not trained; arguments and errors as of `make_optimizer`."""
  frozen = sharding.first_matches(config.freeze, names, "optimizer.freeze")
  frozen |= sharding.first_matches(frozen_by_model, names, "model.text.frozen_layers")
  if len(frozen) == len(names):
    raise UserError("optimizer.freeze: freezes every parameter: nothing is left to train")
  return set(frozen)


def _by_name(tree: Any, function: Callable[[str], Any]) -> Any:
  return jax.tree_util.tree_map_with_path(
      lambda path, _: function(sharding.path_name(path)), tree
  )


def _decay_mask(no_decay: set[str]) -> Callable[[Any], Any]:
  # A function of the tree, since a partition hides frozen parameters from it.
  return lambda params: _by_name(params, lambda name: name not in no_decay)


def _multiply(factors: dict[str, float]) -> optax.GradientTransformation:

  def update(updates: Any, params: Any) -> Any:
    del params
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf * factors.get(sharding.path_name(path), 1.0), updates
    )

  return optax.stateless(update)
