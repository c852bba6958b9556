"""The pictures of a report, each a PNG in a data URI."""

import base64
from collections.abc import Mapping, Sequence
import dataclasses
import io
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Picture:
  """A PNG as a data URI, and what it shows."""

  title: str
  uri: str


def curves(history: list[dict[str, Any]]) -> list[Picture]:
  """One picture a group of numbers of `metrics.jsonl`: losses, evaluation, rates, speed."""
  groups = {
      "Losses": [name for name in _names(history) if name.startswith("loss")],
      "Learning rate": ["learning_rate"],
      "Norms": [name for name in _names(history) if name.endswith("_norm")],
      "Score that selects": ["dev_score"],
      "Development split": [
          name for name in _names(history) if "recall_at" in name or name.endswith("dev/accuracy")
      ],
      "Seconds a step": ["step_time"],
      "Input wait share": ["input_wait_share"],
  }
  pictures = []
  for title, names in groups.items():
    drawn = {name: _line(history, name) for name in names if "interval" not in name}
    drawn = {name: line for name, line in drawn.items() if len(line[0])}
    if drawn:
      pictures.append(lines(title, drawn))
  return pictures


def matrix(similarity: np.ndarray, title: str) -> Picture:
  """A picture of scores `[Q, V]`: a bright diagonal is what training is for."""
  figure, axes = _figure(5.2, 4.6)
  image = axes.imshow(similarity, cmap="viridis", interpolation="nearest", aspect="auto")
  figure.colorbar(image)
  axes.set(title=title, xlabel="video", ylabel="its first text")
  return _picture(title, figure)


def lines(title: str, drawn: Mapping[str, tuple[list[int], list[float]]]) -> Picture:
  """A picture of (steps, values) lines by name."""
  figure, axes = _figure(5.2, 3.2)
  for name, (steps, values) in drawn.items():
    axes.plot(steps, values, label=name, marker="." if len(steps) < 30 else "")
  axes.set(title=title, xlabel="step")
  axes.grid(alpha=0.3)
  axes.legend(fontsize=7)
  return _picture(title, figure)


def bars(
    title: str,
    names: Sequence[str],
    means: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    *,
    zero: bool = False,
) -> Picture:
  """A picture of means as dots with their intervals as bars, a row each, the first on top.

  With `zero` a line stands there.
  """
  figure, axes = _figure(5.2, 1.0 + 0.32 * max(len(names), 1))
  places = list(range(len(names)))
  lows = [mean - low for mean, (low, _) in zip(means, intervals, strict=True)]
  highs = [high - mean for mean, (_, high) in zip(means, intervals, strict=True)]
  axes.errorbar(means, places, xerr=[lows, highs], fmt="o", capsize=3)
  axes.set_yticks(places, names)
  axes.invert_yaxis()
  axes.set(title=title)
  axes.grid(axis="x", alpha=0.3)
  if zero:
    axes.axvline(0.0, color="black", linewidth=1)
  return _picture(title, figure)


def jpeg(frame: np.ndarray) -> str:
  """A frame `[H, W, 3]` uint8 as a data URI."""
  from PIL import Image

  buffer = io.BytesIO()
  Image.fromarray(frame).save(buffer, "JPEG", quality=85)
  return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _names(history: list[dict[str, Any]]) -> list[str]:
  return sorted({name for line in history for name in line})


def _line(history: list[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
  points = [(line["step"], line[name]) for line in history if name in line]
  return [step for step, _ in points], [value for _, value in points]


def _figure(width: float, height: float) -> tuple[Any, Any]:
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  figure = Figure(figsize=(width, height), layout="constrained")
  FigureCanvasAgg(figure)
  return figure, figure.subplots()


def _picture(title: str, figure: Any) -> Picture:
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", dpi=110)
  return Picture(title, f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}")
