"""What a frozen text encoder makes of texts, looked up by their token ids."""

from collections.abc import Iterable
import hashlib
from typing import Any, TypeAlias

from jaxtyping import Bool, Float16, Int32
import numpy as np

from mla_jax.data.text import TokenizedText
from mla_jax.errors import UserError

# Ids and mask of texts of which no two have the same real tokens.
DistinctTexts: TypeAlias = tuple[Int32[np.ndarray, "U L"], Bool[np.ndarray, "U L"]]


class TextStates:
  """States `[L, W]` of texts by their real tokens; safe to use from many threads.

  Args:
    ids, mask: `[U, L]`, the texts; no two with the same real tokens.
    states: `[U, L, W]`, what the encoder makes of each; may be a memory map.
  """

  def __init__(
      self,
      ids: Int32[np.ndarray, "U L"],
      mask: Bool[np.ndarray, "U L"],
      states: Float16[np.ndarray, "U L W"],
  ):
    self._row = {key(*text): row for row, text in enumerate(zip(ids, mask, strict=True))}
    self._states = states

  def __len__(self) -> int:
    return len(self._row)

  def __getstate__(self) -> tuple[dict[bytes, int], Any]:
    """Of a memory map the name of its file: another process maps it too."""
    states = self._states
    return self._row, str(states.filename) if isinstance(states, np.memmap) else states

  def __setstate__(self, state: tuple[dict[bytes, int], Any]) -> None:
    self._row, states = state
    self._states = np.load(states, mmap_mode="r") if isinstance(states, str) else states

  def lookup(self, tokens: TokenizedText) -> Float16[np.ndarray, "L W"]:
    """The states of a text.

    Raises:
      UserError: it is not among those that were encoded.
    """
    row = self._row.get(key(tokens.ids, tokens.mask))
    if row is None:
      raise UserError(
          "model.text.cache: a training text is not in it: the prepared data changed under the "
          "run; start it again"
      )
    return self._states[row]


def key(ids: Int32[np.ndarray, " L"], mask: Bool[np.ndarray, " L"]) -> bytes:
  """Equal for texts of equal real tokens, however long their padding."""
  return hashlib.blake2b(ids[mask].tobytes(), digest_size=16).digest()


def distinct(texts: Iterable[TokenizedText]) -> DistinctTexts:
  """The ids and masks of the texts, each text once, in the order in which they come."""
  found = {key(text.ids, text.mask): text for text in texts}
  return (
      np.stack([text.ids for text in found.values()]),
      np.stack([text.mask for text in found.values()]),
  )


def fingerprint(
    ids: Int32[np.ndarray, "U L"], mask: Bool[np.ndarray, "U L"], *others: object
) -> str:
  """16 hexadecimal digits, equal for equal texts and equal `others`."""
  digest = hashlib.sha256(repr((ids.shape, others)).encode())
  for part in (ids, mask):
    digest.update(np.ascontiguousarray(part).tobytes())
  return digest.hexdigest()[:16]
