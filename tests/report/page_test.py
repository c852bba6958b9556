"""The report's pieces: escaped, self-contained, and true to the numbers."""

import numpy as np

from mla_jax.report import examples, page, plots
from mla_jax.report.examples import Pair


def pair(frames: bool) -> Pair:
  return Pair(
      phrases=["a <b>dog</b>", "runs"],
      frames=np.zeros((3, 8, 8, 3), np.uint8) if frames else None,
      seconds=np.array([0.0, 1.0, 2.0]),
      segment=np.array([1, 1, 2]),
      similarity=np.array([[0.25, -0.5], [0.75, 0.125]]),
  )


def test_a_strip_has_a_cell_a_segment_and_phrase_and_escapes_text():
  text = page.example('x < "y"', correct=True, parts=[("its video", pair(True))])
  assert "x &lt;" in text
  assert "<b>dog" not in text
  assert text.count('class="heat"') == 4
  assert text.count('colspan="2"') == 2
  assert text.count("data:image/jpeg;base64") == 3
  for value in ("0.25", "-0.50", "0.75", "0.12"):
    assert value in text


def test_features_show_their_seconds_instead_of_frames():
  text = page.example("x", correct=False, parts=[("its video", pair(False))])
  assert "<img" not in text
  assert "2.0 s" in text


def test_the_page_needs_nothing_from_outside():
  history = [{"step": s, "loss": 1.0 / s, "step_time": 0.1} for s in (1, 2, 3)]
  pictures = plots.curves(history)
  assert len(pictures) == 2
  text = page.page("t", [("Training", page.pictures(pictures)), ("Empty", "")])
  assert "http" not in text
  assert "Empty" not in text
  assert '<img alt="Losses" src="data:image/png' in text


def test_the_score_that_selects_is_drawn_whatever_the_task(monkeypatch):
  drawn: dict = {}
  monkeypatch.setattr(plots, "lines", lambda title, lines: drawn.setdefault(title, lines) and "")
  plots.curves([{"step": s, "dev_score": -4.0 / s, "dev/mse_raw_labels": 4.0 / s} for s in (1, 2)])
  assert drawn == {"Score that selects": {"dev_score": ([1, 2], [-4.0, -2.0])}}


def test_right_and_wrong_examples_are_drawn_with_a_fixed_seed():
  rows = [{"place": i, "correct": i % 3 == 0} for i in range(30)]
  chosen = examples.choose(rows, 6)
  assert [row["correct"] for row in chosen] == [True] * 3 + [False] * 3
  assert chosen == examples.choose(rows, 6)
  assert len(examples.choose(rows[:1], 6)) == 1
  assert page.shown(3000.0) == "3,000"
  assert page.shown(12.345) == "12.35"
