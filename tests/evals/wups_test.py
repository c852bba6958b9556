"""WUPS against NExT-OE's loops, written again, and by hand."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import question_types
from mla_jax.evals.wups import points, wups

WORDS = ["dog", "cat", "animal", "run", "red"]
# Not symmetric, as WordNet's first senses are not always.
TABLE = {("dog", "cat"): 0.86, ("cat", "dog"): 0.95, ("dog", "animal"): 0.92, ("run", "red"): 0.2}
ANSWER = st.lists(st.sampled_from(WORDS), max_size=4)


def similarity(a: str, b: str) -> float:
  return TABLE.get((a, b), 0.0)


def reference(said: list[str], right: list[str], alpha: float) -> float:
  """`get_wups` of NExT-OE's metrics.py."""

  def wup(a: str, b: str) -> float:
    if a == b:
      return 1.0
    found = similarity(a, b)
    return 0.1 * found if found < alpha else found

  def one_way(words: list[str], others: list[str]) -> float:
    product, flag = 1.0, False
    for a in words:
      most = 0.0
      for b in others:
        most = max(most, wup(a, b))
      if most == 0:
        continue
      product *= most
      flag = True
    return product if flag else 0.0

  return min(one_way(said, right), one_way(right, said))


@given(st.lists(st.tuples(ANSWER, st.lists(ANSWER, min_size=1, max_size=2)), min_size=1),
       st.sampled_from([0.0, 0.9]))
def test_equals_the_official_loops(rows: list, threshold: float) -> None:
  said, right = zip(*rows, strict=True)
  found = points(said, right, similarity, threshold=threshold)
  expected = [max(reference(a, b, threshold) for b in bs) for a, bs in rows]
  np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_by_hand() -> None:
  said, right = [["red", "dog"]], [[["red", "cat"]]]
  assert points(said, right, similarity) == pytest.approx([0.86])
  assert points(said, right, similarity, threshold=0.9) == pytest.approx([0.086])
  # A word that finds nothing is passed over, a whole answer that does is wrong.
  assert points([["red", "animal"]], [[["red"]]], similarity) == pytest.approx([1.0])
  assert points([["run"], []], [[["animal"]], [["dog"]]], similarity).tolist() == [0.0, 0.0]


def test_counts_and_yes_or_no_must_be_equal() -> None:
  said = [["dog"], ["dog"], ["two"], ["cat"]]
  right = [[["animal"]], [["animal"]], [["two"], ["three"]], [["cat"]]]
  found = wups(
      said, right, ["CW", "DC", "DC", "TN"], similarity, exact=("DC", "DB"),
      dataset_types=question_types.NEXTQA, resamples=10,
  )
  # "animal" finds no word in "dog": the table has the other direction alone.
  assert found["wups_0"] == found["wups_0.9"] == pytest.approx(50.0)
  assert found["by_type"]["DC"]["wups_0"] == 50.0
  assert found["questions"] == 4
  assert set(found["interval"]) == {"wups_0", "wups_0.9"}


def test_bad_input_is_one_line() -> None:
  with pytest.raises(UserError, match="question 1 has no right answer"):
    points([["dog"], ["cat"]], [[["dog"]], []], similarity)
  with pytest.raises(UserError, match=r"similarity of 'dog' and 'cat' is nan: give 0 to 1"):
    points([["dog"]], [[["cat"]]], lambda a, b: float("nan"))
  with pytest.raises(UserError, match="references"):
    points([["dog"]], [], similarity)
