"""From a config to the model it describes."""

import jax.numpy as jnp
from ml_collections import ConfigDict

from mla_jax.config_values import flatten
from mla_jax.errors import UserError, check_choice, check_numbers
from mla_jax.models import fusion, layers, mla, text_encoder, video_encoder

_DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
# Those of `text` are checked by `TextConfig`.
_NUMBERS = {
    "at least 1": (
        "width", "embed_dim", "video.feature_width", "video.patch_size", "video.max_frames"
    ),
    "0 or more": (
        "num_answers", "video.frame_layers", "video.temporal_layers", "video.head_hidden",
        "video.regressor_hidden", "fusion.layers", "fusion.hidden",
    ),
    "from 0 to below 1": ("dropout", "video.feature_dropout", "video.regressor_dropout"),
}


def build_model(
    config: ConfigDict, *, init_temperature: float = 0.07, init_bias: float = -10.0
) -> mla.MLA:
  """The model a config describes.

  Args:
    config: like `configs.common.model()`; every key is read.
    init_temperature: of both alignment losses, config.loss.init_temperature.
    init_bias: of the sigmoid loss, config.loss.init_bias.

  Raises:
    UserError: a value the model cannot be built from.
  """
  check_numbers("model", flatten(config), _NUMBERS)
  text = text_encoder.TextConfig.from_config(config.text, config.width)
  _check(config, text)
  return mla.MLA(
      common=layers.Common(
          width=config.width,
          dropout=config.dropout,
          scan=config.scan,
          remat=config.remat,
          dtype=_DTYPES[config.dtype],
      ),
      video_config=video_encoder.VideoConfig(**config.video),
      text_config=text,
      fusion_config=fusion.FusionConfig(**config.fusion),
      embed_dim=config.embed_dim,
      head=config.head,
      num_answers=config.num_answers,
      use_video=config.use_video,
      init_temperature=init_temperature,
      init_bias=init_bias,
  )


def _check(config: ConfigDict, text: text_encoder.TextConfig) -> None:
  """Raises UserError on values that do not fit each other."""
  check_choice("model.dtype", config.dtype, _DTYPES)
  check_choice("model.remat", config.remat, layers.REMAT)
  check_choice("model.video.kind", config.video.kind, ("features", "pixels"))
  check_choice("model.head", config.head, mla.HEADS)
  check_choice("model.fusion.kind", config.fusion.kind, fusion.FUSIONS)
  if config.head == "span" and (not config.use_video or config.num_answers not in (0, 2)):
    raise UserError("model.head='span': needs a video and model.num_answers=2 (start and end)")
  kind = config.fusion.kind
  if config.head == "span" and kind != "cross":
    raise UserError(
        f"model.fusion.kind={kind!r}: keeps no frame for model.head='span': use 'cross'"
    )
  _check_words(config.fusion, text)
  if text.identity_heads and not text.width == config.width == config.embed_dim:
    raise UserError(
        f"model.text.identity_heads: text.width {text.width}, model.width {config.width} and"
        f" embed_dim {config.embed_dim} must be the same: change them, or leave it out"
    )
  guessed = config.video.kind == "features" and text.identity_heads
  if config.video.regressor_hidden and not guessed:
    raise UserError(
        "model.video.regressor_hidden: guesses from features where a pretrained text encoder has"
        " texts: set model.video.kind='features' and model.text.identity_heads, or leave it out"
    )
  whole, hidden = ("width", config.width), ("fusion.hidden", config.fusion.hidden)
  for part, (name, width) in (("video", whole), ("fusion", whole), ("fusion", hidden)):
    heads = config[part].heads
    if heads < 1 or width % heads:
      raise UserError(
          f"model.{part}.heads: {heads} does not divide model.{name} {width}: change either"
      )


def _check_words(config: ConfigDict, text: text_encoder.TextConfig) -> None:
  """Raises UserError where words are to be read beside a text and cannot be."""
  if config.words and text.frozen_layers < 0:
    raise UserError(
        "model.fusion.words: is for a text encoder whose embeddings stay as they are: set"
        " model.text.kind='bert' and model.text.frozen_layers to 0 or more, or leave it out"
    )
  if config.words and config.kind == "cross":
    raise UserError(
        "model.fusion.words: is for what is pooled: set model.fusion.kind to 'late' or 'gated', or"
        " leave it out"
    )
