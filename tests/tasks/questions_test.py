"""The types of every reader are known to the tables that sum them."""

import types

import pytest

from mla_jax.data.annotations import activitynet_qa, nextqa, tgif_qa
from mla_jax.data.record_format import TextRecord
from mla_jax.tasks.questions import dataset_types


def of(dataset, kinds):
  texts = types.SimpleNamespace(store=types.SimpleNamespace(manifest={"dataset": dataset}))
  return dataset_types(texts, [TextRecord("q", "v", 0, "a", question_type=kind) for kind in kinds])


@pytest.mark.parametrize(
    ("dataset", "kinds"),
    [
        ("activitynet_qa", activitynet_qa.TYPES),
        ("nextqa_qa", nextqa.TYPES),
        ("nextqa_oe", nextqa.TYPES),
        ("tgif_qa_frameqa", tgif_qa._TYPES),
    ],
)
def test_every_type_of_a_reader_has_a_name(dataset, kinds):
  found = of(dataset, kinds)
  assert found is not None
  assert len({found.name(kind) for kind in kinds}) >= len(kinds) - 1  # NExT-QA merges two.
  assert of(dataset, [*kinds, ""]) is None


def test_other_datasets_have_their_types_as_they_are():
  assert of("msrvtt_qa", ["what"]) is None
