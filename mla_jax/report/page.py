"""The report as one HTML page without anything outside it."""

from collections.abc import Sequence
import html
from typing import Any

import numpy as np

from mla_jax.report import plots
from mla_jax.report.examples import Pair

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1100px; color: #1c2430; }
h1, h2 { font-weight: 600; } h2 { margin-top: 2.2rem; }
table { border-collapse: collapse; } td, th { padding: .25rem .6rem; text-align: left; }
table.numbers td, table.numbers th { border-bottom: 1px solid #d9dee6; }
table.numbers td + td { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 0; display: inline-block; } figure img { max-width: 530px; }
.example { border: 1px solid #d9dee6; border-radius: 8px; padding: .8rem 1rem; margin: 1rem 0;
  overflow-x: auto; }
.right { border-left: 6px solid #2f9e62; } .wrong { border-left: 6px solid #d0473d; }
.strip td { padding: 1px; } .strip img { width: 84px; display: block; }
.strip .heat { text-align: center; font-size: 12px; } .strip .phrase { max-width: 260px; }
.wide { overflow-x: auto; } .wide td { white-space: nowrap; }
.note { color: #66707d; font-size: 13px; } code { background: #f2f4f7; padding: 0 .25rem; }
"""


def page(title: str, sections: list[tuple[str, str]]) -> str:
  """The whole page from (heading, HTML) sections."""
  body = "\n".join(
      f"<h2>{html.escape(heading)}</h2>\n{content}" for heading, content in sections if content
  )
  return (
      f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
      f"<style>{_STYLE}</style><body><h1>{html.escape(title)}</h1>\n{body}</body></html>\n"
  )


def numbers_table(rows: dict[str, Any]) -> str:
  """Names and values."""
  cells = "".join(
      f"<tr><td>{html.escape(name)}</td><td>{shown(value)}</td></tr>"
      for name, value in rows.items()
  )
  return f'<table class="numbers">{cells}</table>'


def rows_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  """Rows of texts under a header."""
  lines = ["".join(f"<th>{html.escape(cell)}</th>" for cell in header)]
  lines += ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
  table = f'<table class="numbers">{"".join(f"<tr>{line}</tr>" for line in lines)}</table>'
  return f'<div class="wide">{table}</div>'


def pictures(shown: Sequence[plots.Picture]) -> str:
  """Side by side as far as there is room."""
  return "".join(
      f'<figure><img alt="{html.escape(picture.title)}" src="{picture.uri}"></figure>'
      for picture in shown
  )


def example(heading: str, correct: bool, parts: list[tuple[str, Pair]]) -> str:
  """One example: a heading and its (caption, pair) strips."""
  strips = "".join(
      f'<p class="note">{html.escape(caption)}</p>{_strip(pair)}' for caption, pair in parts
  )
  verdict = "right" if correct else "wrong"
  return f'<div class="example {verdict}"><b>{verdict}</b> {html.escape(heading)}{strips}</div>'


def _strip(pair: Pair) -> str:
  """Frames in time order over a heat map: a column a video segment, a row a phrase."""
  spans = [int(np.sum(pair.segment == number + 1)) for number in range(len(pair.similarity))]
  frames = "".join(_frame(pair, place) for place in range(len(pair.segment)))
  low, high = _range(pair.similarity)
  lines = "".join(
      f'<tr><td class="phrase">{html.escape(phrase)}</td>'
      + "".join(
          _cell(float(pair.similarity[n, m]), span, low, high) for n, span in enumerate(spans)
      )
      + "</tr>"
      for m, phrase in enumerate(pair.phrases)
  )
  return f'<table class="strip"><tr><td></td>{frames}</tr>{lines}</table>'


def _frame(pair: Pair, place: int) -> str:
  second = f"{pair.seconds[place]:.1f} s"
  if pair.frames is None:
    return f'<td class="note">{second}</td>'
  uri = plots.jpeg(pair.frames[place])
  return f'<td><img alt="frame at {second}" title="{second}" src="{uri}"></td>'


def _cell(value: float, span: int, low: float, high: float) -> str:
  share = (value - low) / (high - low)
  colour = f"hsl({220 - 190 * share:.0f} 75% {92 - 30 * share:.0f}%)"
  return f'<td class="heat" colspan="{span}" style="background:{colour}">{value:.2f}</td>'


def _range(similarity: np.ndarray) -> tuple[float, float]:
  if not similarity.size:
    return 0.0, 1.0
  low, high = float(similarity.min()), float(similarity.max())
  return low, max(high, low + 1e-6)


def shown(value: Any) -> str:
  """A value to read: whole numbers whole, others with two digits."""
  if isinstance(value, float) and not value.is_integer():
    return f"{value:,.2f}" if abs(value) >= 0.01 else f"{value:.2e}"
  return f"{value:,.0f}" if isinstance(value, (int, float)) else html.escape(str(value))
