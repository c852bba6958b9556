"""The losses again, in float64 with loops over real rows only: slow, plain, and nothing shared.

A pair is "+" (positive), "-" (negative) or "" (left out).
"""

import math

import numpy as np

Kinds = list[list[str]]


def pair_kinds(
    video_real: np.ndarray,
    text_real: np.ndarray,
    video_key: np.ndarray,
    text_key: np.ndarray,
    duplicates: str,
) -> Kinds:
  captions = len(text_real) // len(video_real)
  kinds = []
  for i in range(len(video_real)):
    row = []
    for j in range(len(text_real)):
      if not video_real[i] or not text_real[j]:
        row.append("")
      elif j // captions == i:
        row.append("+")
      elif video_key[i] == text_key[j]:
        row.append("+" if duplicates == "positive" else "")
      else:
        row.append("-")
    kinds.append(row)
  return kinds


def transpose(rows: list) -> list:
  return [list(column) for column in zip(*rows, strict=True)]


def one_way(logits: list[list[float]], kinds: Kinds) -> float:
  losses = []
  for row, kind in zip(logits, kinds, strict=True):
    kept = [x for x, k in zip(row, kind, strict=True) if k]
    positive = [x for x, k in zip(row, kind, strict=True) if k == "+"]
    if positive:
      losses.append(math.log(sum(map(math.exp, kept))) - sum(positive) / len(positive))
  return sum(losses) / len(losses) if losses else 0.0


def infonce(logits: list[list[float]], kinds: Kinds) -> float:
  return 0.5 * (one_way(logits, kinds) + one_way(transpose(logits), transpose(kinds)))


def hits(logits: list[list[float]], kinds: Kinds) -> tuple[float, int]:
  """Rows with a positive, and how many of them rank one first (a tie counts in part)."""
  hit, rows = 0.0, 0
  for row, kind in zip(logits, kinds, strict=True):
    if "+" in kind:
      best = max(x for x, k in zip(row, kind, strict=True) if k)
      top = [k for x, k in zip(row, kind, strict=True) if k and x == best]
      hit, rows = hit + top.count("+") / len(top), rows + 1
  return hit, rows


def sigmoid(logits: list[list[float]], kinds: Kinds) -> float:
  total = 0.0
  for row, kind in zip(logits, kinds, strict=True):
    for x, k in zip(row, kind, strict=True):
      if k:
        total += math.log(1 + math.exp(-x if k == "+" else x))
  texts = sum(any(column) for column in zip(*kinds, strict=True))
  return total / texts if texts else 0.0


def cosines(video: np.ndarray, text: np.ndarray) -> list[list[float]]:
  return [[float(np.dot(v, t)) for t in text] for v in video]


def segment_kinds(
    video_mask: np.ndarray,
    text_mask: np.ndarray,
    video_key: np.ndarray,
    text_key: np.ndarray,
    overlap: np.ndarray,
    upper: float,
    lower: float,
) -> Kinds:
  captions = len(text_mask) // len(video_mask)
  kinds = []
  for i, n in np.ndindex(*video_mask.shape):
    row = []
    for j, m in np.ndindex(*text_mask.shape):
      if not video_mask[i, n] or not text_mask[j, m]:
        row.append("")
      elif j // captions == i:
        iou = overlap[j, n, m]
        row.append("+" if iou >= upper else "-" if 0 <= iou < lower else "")
      else:
        row.append("" if video_key[i] == text_key[j] else "-")
    kinds.append(row)
  return kinds


def latent_logit(
    video: np.ndarray, text: np.ndarray, variant: str, temperature: float, scale: float
) -> float:
  """The logit of one pair; `video` [N, E] and `text` [M, E] hold real segments only."""
  s = np.array(cosines(video, text))
  if variant == "mil_nce":
    return math.log(sum(math.exp(scale * x) for x in s.ravel()))
  if variant == "sinkhorn":
    return scale * float(np.sum(sinkhorn_plan(s, temperature) * s))
  best = max if variant == "max" else lambda xs: softly(list(xs), temperature)
  of_video = [best(row) for row in s]
  of_text = [best(column) for column in s.T]
  return scale * 0.5 * (sum(of_video) / len(of_video) + sum(of_text) / len(of_text))


def softly(values: list[float], temperature: float) -> float:
  weights = [math.exp(x / temperature) for x in values]
  return sum(w * x for w, x in zip(weights, values, strict=True)) / sum(weights)


def sinkhorn_plan(s: np.ndarray, temperature: float, rounds: int = 20) -> np.ndarray:
  """Cuturi's algorithm as printed: scale rows and columns of the kernel in turn."""
  kernel = np.exp(s / temperature)
  rows, columns = s.shape
  v = np.ones(columns)
  for _ in range(rounds):
    u = (1 / rows) / (kernel @ v)
    v = (1 / columns) / (kernel.T @ u)
  u = (1 / rows) / (kernel @ v)
  return u[:, None] * kernel * v[None, :]


def latent(
    video: np.ndarray,
    text: np.ndarray,
    video_mask: np.ndarray,
    text_mask: np.ndarray,
    video_key: np.ndarray,
    text_key: np.ndarray,
    *,
    variant: str,
    temperature: float,
    scale: float,
    duplicates: str,
) -> float:
  kinds = pair_kinds(
      video_mask.any(axis=1), text_mask.any(axis=1), video_key, text_key, duplicates
  )
  logits = [
      [
          latent_logit(v[vm], t[tm], variant, temperature, scale) if vm.any() and tm.any() else 0.0
          for t, tm in zip(text, text_mask, strict=True)
      ]
      for v, vm in zip(video, video_mask, strict=True)
  ]
  return infonce(logits, kinds)
