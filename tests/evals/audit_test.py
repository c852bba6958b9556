"""The audit lets the split through, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import audit


@given(st.permutations(range(7)))
def test_any_order_passes(order: list[int]) -> None:
  audit.check_ids(np.array(order), 7)


@given(st.lists(st.integers(-2, 8), max_size=9))
def test_only_the_split_passes(seen: list[int]) -> None:
  ids = np.array(seen, dtype=np.int32)
  if sorted(seen) == list(range(5)):
    audit.check_ids(ids, 5)
  else:
    with pytest.raises(UserError, match="split of 5"):
      audit.check_ids(ids, 5)


@pytest.mark.parametrize(
    ("seen", "count", "said"),
    [
        # 13,157 questions rounded up to a multiple of 8 devices, the padding scored as well.
        ([*range(13157), 0, 1, 2], 13157, r"3 scored more than once \(ids 0, 1, 2\)"),
        ([0, 1, 3], 4, r"1 missing \(ids 2\)"),
        ([], 8, r"8 missing \(ids 0, 1, 2, 3, 4, \.\.\.\)"),
        ([0, 1, 9, -1], 2, r"2 unknown \(ids -1, 9\)"),
        ([0, 0, 5], 2, r"1 missing \(ids 1\), 1 scored more than once \(ids 0\), 1 unknown"),
        ([], 0, "the split has no example"),
    ],
)
def test_what_is_wrong_is_named(seen: list[int], count: int, said: str) -> None:
  with pytest.raises(UserError, match=said) as raised:
    audit.check_ids(np.array(seen, dtype=np.int64), count)
  assert "\n" not in str(raised.value)
