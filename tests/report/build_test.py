"""The table of results: every number with the interval that is its own; and the page around it."""

import pathlib
from types import SimpleNamespace

from ml_collections import ConfigDict

from mla_jax.report.build import shown_numbers, speed, write_report
from mla_jax.tasks.base import Evaluation


def test_numbers_stand_beside_their_intervals_whatever_they_are_called():
  one = {"accuracy": 50.0, "interval": [40.0, 60.0], "by_type": {"yes/no": {"accuracy": 25.0}}}
  found = shown_numbers(one)
  assert found.keys() == {"accuracy", "by_type/yes/no/accuracy"}
  assert "40" in found["accuracy"] and "60" in found["accuracy"]
  assert "(" not in found["by_type/yes/no/accuracy"]
  each = {"full": {"a": 1.0, "b": 2.0, "interval": {"a": [0.5, 1.5]}}}
  words = {"set": True, "unset": False, "reduced_to": "texts with a video"}
  found = shown_numbers(each | words)
  assert found.keys() == {"full/a", "full/b", "reduced_to", "set"}
  assert found["set"] == "yes" and found["reduced_to"] == "texts with a video"
  assert "(" in found["full/a"] and "(" not in found["full/b"]


def test_the_config_is_text_on_the_page(tmp_path: pathlib.Path):
  config = ConfigDict({"name": "a", "note": "<b>&"})
  reader = SimpleNamespace(media=None)
  run = SimpleNamespace(workdir=tmp_path, config=config, reader=reader, shown_examples=0)
  found = write_report(run, None, None, Evaluation({}, 0.0, []), "d_s").read_text()
  assert "&quot;note&quot;: &quot;&lt;b&gt;&amp;&quot;" in found


def test_the_speed_is_the_last_that_was_measured_and_the_last_compilation():
  history = [
      {"step": 1, "step_time": 3.0, "compile_seconds": 9.0, "model_flops_utilisation": 0.1},
      {"step": 2, "step_time": 2.0, "compile_seconds": 8.0, "frames_per_second": 4.0},
      {"step": 3, "step_time": 1.0, "frames_per_second": 8.0},
      {"step": 3, "dev_score": 1.0},
  ]
  assert speed(history) == {"step_time": 1.0, "frames_per_second": 8.0, "compile_seconds": 8.0}
  assert speed([]) == {}
