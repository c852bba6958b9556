"""The retrieval model of mla_jax in idiomatic PyTorch: the reference of `train_step.py`.

Modules carry the names of the JAX parameters, so that weights load by name.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

from mla_jax.models.mla import MLA


class Layer(nn.Module):
  """Pre-norm self-attention and MLP."""

  def __init__(self, width: int, heads: int, dropout: float) -> None:
    super().__init__()
    self.heads, self.dropout = heads, nn.Dropout(dropout)
    self.attention_norm = nn.LayerNorm(width, eps=1e-6)
    self.attention = nn.ModuleDict(
        {"query_key_value": nn.Linear(width, 3 * width), "out": nn.Linear(width, width)}
    )
    self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
    self.mlp = nn.ModuleDict(
        {"up": nn.Linear(width, 4 * width), "down": nn.Linear(4 * width, width)}
    )

  def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    x = x + self.dropout(self._attend(self.attention_norm(x), mask))
    hidden = F.gelu(self.mlp["up"](self.mlp_norm(x)), approximate="tanh")
    return x + self.dropout(self.mlp["down"](hidden))

  def _attend(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    batch, places, width = x.shape
    projected = self.attention["query_key_value"](x)
    query, key, value = (
        part.reshape(batch, places, self.heads, width // self.heads).transpose(1, 2)
        for part in projected.chunk(3, dim=-1)
    )
    mask = None if mask is None else mask[:, None, None, :]
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return self.attention["out"](mixed.transpose(1, 2).reshape(batch, places, width))


class Stack(nn.Module):
  """Layers and a last norm."""

  def __init__(self, width: int, layers: int, heads: int, dropout: float) -> None:
    super().__init__()
    self.number = layers
    for i in range(layers):
      self.add_module(f"layer_{i}", Layer(width, heads, dropout))
    self.norm = nn.LayerNorm(width, eps=1e-6)
    self.dropout = nn.Dropout(dropout)

  def run(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    x = self.dropout(x)
    for i in range(self.number):
      x = self.get_submodule(f"layer_{i}")(x, mask)
    return self.norm(x)


class Pool(nn.Module):
  """Attention pooling of all real places."""

  def __init__(self, width: int, heads: int) -> None:
    super().__init__()
    self.score = nn.Linear(width, heads, bias=False)

  def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    scores = self.score(x)
    if mask is not None:
      scores = scores.masked_fill(~mask[..., None], -torch.inf)
    weights = scores.softmax(dim=1)
    values = x.unflatten(-1, (weights.shape[-1], -1))
    return torch.einsum("bsh,bshk->bhk", weights, values).flatten(1)


class FeatureFrames(nn.Module):
  """Layer norm and projection of features."""

  def __init__(self, feature_width: int, width: int) -> None:
    super().__init__()
    self.norm = nn.LayerNorm(feature_width, eps=1e-6)
    self.projection = nn.Linear(feature_width, width)

  def forward(self, video: torch.Tensor) -> torch.Tensor:
    return self.projection(self.norm(video))


class PixelFrames(Stack):
  """A vision transformer on each frame."""

  def __init__(
      self, size: int, grid: tuple[int, int], width: int, layers: int, heads: int, dropout: float
  ) -> None:
    super().__init__(width, layers, heads, dropout)
    self.size = size
    self.patch = nn.Linear(size * size * 3, width)
    self.position = nn.Parameter(torch.zeros(*grid, width))
    self.pool = Pool(width, heads)

  def forward(self, video: torch.Tensor) -> torch.Tensor:
    batch, frames, height, width, _ = video.shape
    size = self.size
    patches = video.reshape(-1, height // size, size, width // size, size, 3).transpose(2, 3)
    pixels = patches.reshape(batch * frames, -1, size * size * 3).float() / 127.5 - 1.0
    x = self.patch(pixels) + self.position.flatten(0, 1)
    return self.pool(self.run(x, None), None).reshape(batch, frames, -1)


class Temporal(Stack):
  """Transformer over frames."""

  def __init__(self, width: int, layers: int, heads: int, frames: int, dropout: float) -> None:
    super().__init__(width, layers, heads, dropout)
    self.index = nn.Embedding(frames, width)
    self.time = nn.Linear(16, width, bias=False)

  def forward(self, x: torch.Tensor, mask: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    x = x + self.index((mask.long().cumsum(1) - 1).clamp(min=0))
    first = time.masked_fill(~mask, torch.inf).amin(1, keepdim=True)
    last = time.masked_fill(~mask, -torch.inf).amax(1, keepdim=True)
    relative = ((time - first) / (last - first)).masked_fill(~mask, 0.0)
    angle = relative[..., None] * (torch.pi * 2.0 ** torch.arange(8))
    x = x + self.time(torch.cat([angle.sin(), angle.cos()], dim=-1))
    return self.run(x, mask)


class TextEncoder(Stack):
  """Transformer over tokens."""

  def __init__(
      self, vocabulary: int, length: int, width: int, layers: int, heads: int, dropout: float
  ) -> None:
    super().__init__(width, layers, heads, dropout)
    self.embedding = nn.Embedding(vocabulary, width)
    self.position = nn.Parameter(torch.zeros(length, width))

  def forward(self, text: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return self.run(self.embedding(text) + self.position[: text.shape[1]], mask)


class Head(nn.Module):
  """Pool and projection onto the unit sphere."""

  def __init__(self, width: int, heads: int, embed_dim: int) -> None:
    super().__init__()
    self.pool = Pool(width, heads)
    self.projection = nn.Linear(width, embed_dim, bias=False)

  def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return F.normalize(self.projection(self.pool(x, mask)), dim=-1)


class TorchRetrieval(nn.Module):
  """Both encoders and the global heads."""

  def __init__(self, model: MLA, grid: tuple[int, int]) -> None:
    super().__init__()
    width, dropout = model.common.width, model.common.dropout
    video, text = model.video_config, model.text_config
    frames: nn.Module = FeatureFrames(video.feature_width, width)
    if video.kind == "pixels":
      frames = PixelFrames(video.patch_size, grid, width, video.frame_layers, video.heads, dropout)
    temporal = Temporal(width, video.temporal_layers, video.heads, video.max_frames, dropout)
    self.video = nn.ModuleDict({"frames": frames, "temporal": temporal})
    self.text = TextEncoder(
        text.vocab_size, text.max_length, width, text.layers, text.heads, dropout
    )
    heads = model.fusion_config.heads
    self.heads = nn.ModuleDict(
        {f"{side}_global": Head(width, heads, model.embed_dim) for side in ("video", "text")}
    )
    self.scales = nn.ParameterDict({"global_log_scale": nn.Parameter(torch.zeros(()))})

  def forward(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit embeddings of the videos and of the texts."""
    mask = batch["frame_mask"]
    states = self.video["temporal"](self.video["frames"](batch["video"]), mask, batch["frame_time"])
    text = self.text(batch["text"], batch["text_mask"])
    return (
        self.heads["video_global"](states, mask),
        self.heads["text_global"](text, batch["text_mask"]),
    )

  def loss(
      self, batch: Mapping[str, torch.Tensor]
  ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Symmetric InfoNCE, and the embeddings it is of."""
    video, text = self(batch)
    logits = self.scales["global_log_scale"].clamp(max=float(np.log(100.0))).exp() * video @ text.T
    own = torch.arange(len(logits))
    loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    return loss, (video, text)


def torch_name(path: str) -> str:
  """The name in PyTorch of the JAX parameter "a/b/kernel": "a.b.weight"."""
  *parents, leaf = path.split("/")
  return ".".join([*parents, "weight" if leaf in ("kernel", "scale", "embedding") else leaf])


def load(module: TorchRetrieval, params: Mapping[str, np.ndarray]) -> None:
  """Copies JAX parameters, by path "a/b/c", onto those of the same names; all must match."""
  state = {
      torch_name(path): torch.from_numpy(np.array(value.T if path.endswith("kernel") else value))
      for path, value in params.items()
  }
  module.load_state_dict(state, strict=True)
