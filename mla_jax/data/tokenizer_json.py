"""Tokenizers in the `tokenizer.json` of the `tokenizers` library: BERT's WordPiece and others."""

import pathlib
from typing import Any, TypeAlias

from mla_jax.errors import UserError

Span: TypeAlias = tuple[int, int] | None

class JsonTokenizer:
  """Cuts texts as the file says; safe to use from many threads."""

  def __init__(self, tokenizer: Any):
    # The file may hold the lengths of somebody's training.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    self._tokenizer = tokenizer
    self.vocab_size: int = 1 + max(tokenizer.get_vocab().values(), default=-1)

  @classmethod
  def load(cls, path: pathlib.Path) -> "JsonTokenizer":
    """Raises `UserError` where there is no sound tokenizer."""
    import tokenizers  # Only for those who have such a file.

    try:
      content = path.read_bytes()
    except OSError as error:
      raise UserError(
          f"{path}: cannot be read ({error.strerror}): give a tokenizer.json") from None
    try:
      found = cls(tokenizers.Tokenizer.from_buffer(content))
    except Exception as error:  # The library raises no kinds of its own.
      reason = (str(error).splitlines() or ["unknown"])[0]
      raise UserError(
          f"{path}: not a tokenizer of the tokenizers library, or damaged ({reason}): give another"
          " file") from None
    if not found.vocab_size:
      raise UserError(f"{path}: has no pieces: give another file")
    return found

  def cut(self, text: str, length: int) -> tuple[list[int], list[Span]]:
    """Ids and the characters each stands for, at most `length`.

    What the file puts around a text ([CLS] and [SEP]) stands for none. Of a text too long, the end
    is left out and not what stands behind it.
    """
    encoding = self._tokenizer.encode(text)
    ids, added = encoding.ids, encoding.special_tokens_mask
    spans = [None if is_added else span
             for is_added, span in zip(added, encoding.offsets, strict=True)]
    own = [place for place, is_added in enumerate(added) if not is_added]
    first, end = (own[0], own[-1] + 1) if own else (len(ids), len(ids))
    end_kept = max(first, min(end, length - (len(ids) - end)))
    return (ids[:end_kept] + ids[end:])[:length], (spans[:end_kept] + spans[end:])[:length]
