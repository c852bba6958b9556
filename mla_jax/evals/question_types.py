"""Question types by name, groups of them, and tables by type."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from jaxtyping import Num
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import inputs


@dataclasses.dataclass(frozen=True)
class QuestionTypes:
  """How a dataset's annotations write a type, and which types it also counts together.

  Attributes:
    names: type as annotated (a number as its digits) -> name.
    groups: group -> names of its types.
  """

  names: Mapping[str, str]
  groups: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

  def name(self, given: str | int) -> str:
    """The name of a type that may be a name already; raises `UserError` if it is neither."""
    text = str(given)
    if text in self.names:
      return self.names[text]
    if text in self.names.values():
      return text
    raise UserError(
        f"evaluation: question type {given!r}: unknown: there are "
        f"{', '.join(f'{key} ({name})' for key, name in self.names.items())}"
    )


_ACTIVITYNET_QA = (
    "motion", "spatial", "temporal", "yes/no", "color", "object", "location", "number", "other",
)

# The dataset's README (MILVLG/activitynet-qa:dataset/README.md): types 3 to 8 are the free ones.
ACTIVITYNET_QA = QuestionTypes(
    names={str(i): name for i, name in enumerate(_ACTIVITYNET_QA)} | {"yes_no": "yes/no"},
    groups={"free": _ACTIVITYNET_QA[3:]},
)

# doc-doc/NExT-QA:eval_mc.py counts "previous" questions (TP) with "next" ones (TN);
# doc-doc/NExT-OE has binary questions (DB) as well.
NEXTQA = QuestionTypes(
    names={t: t for t in ("CW", "CH", "TN", "TC", "DC", "DL", "DO", "DB")} | {"TP": "TN"},
    groups={
        "causal": ("CW", "CH"),
        "temporal": ("TN", "TC"),
        "descriptive": ("DC", "DL", "DO", "DB"),
    },
)

# YunseokJANG/tgif-qa: the `type` column of the FrameQA files.
TGIF_FRAMEQA = QuestionTypes({"0": "object", "1": "number", "2": "color", "3": "location"})

BY_DATASET: Mapping[str, QuestionTypes] = {
    "activitynet_qa": ACTIVITYNET_QA,
    "nextqa": NEXTQA,
    "nextqa_oe": NEXTQA,
    "tgif_qa_frameqa": TGIF_FRAMEQA,
}


def tables(
    values: Mapping[str, Num[np.ndarray, " n"]],
    types: Sequence[str] | Sequence[int],
    question_types: QuestionTypes | None = None,
) -> dict[str, dict[str, dict[str, Any]]]:
  """Means by type, and by group where there are groups.

  Args:
    values: name -> `[n]`.
    types: n types; with `question_types` as annotated or by name, else any.
    question_types: of the dataset.

  Returns:
    "by_type" {type: {name: mean, "questions": count}}, the most frequent first, and "by_group" of
    the same form where the dataset has groups and the split questions of them.

  Raises:
    UserError: types that are not one name or number a question, or that the dataset has not.
  """
  inputs.array("types", types, "names", questions=None)
  if question_types is not None:
    types = [question_types.name(given) for given in types]
  of_row = np.array([str(given) for given in types], dtype=object)
  names, sizes = np.unique(of_row, return_counts=True)
  found = {
      "by_type": {
          str(names[i]): _means(values, of_row == names[i])
          for i in np.argsort(-sizes, kind="stable")
      }
  }
  if question_types is not None and question_types.groups:
    chosen = {group: np.isin(of_row, held) for group, held in question_types.groups.items()}
    found["by_group"] = {
        group: _means(values, rows) for group, rows in chosen.items() if rows.any()
    }
  return found


def _means(values: Mapping[str, Num[np.ndarray, " n"]], chosen: np.ndarray) -> dict[str, Any]:
  means = {name: float(np.mean(column[chosen])) for name, column in values.items()}
  return means | {"questions": int(chosen.sum())}
