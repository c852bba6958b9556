"""The tokenizer: training, ids, and the segment of each token, against a slow reference."""

import pathlib
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import sentencepiece
from sentencepiece import sentencepiece_pb2

from mla_jax.data.annotations.schema import Segment
from mla_jax.data.segments import cut_text
from mla_jax.data.text import Tokenizer, train_tokenizer
from mla_jax.errors import UserError

_TEXTS = [
    f"{who} {does} {what} {where}"
    for who in ("a man", "the woman", "two dogs", "ein Café-Gast")
    for does in ("is cutting", "plays with", "looks at", "throws")
    for what in ("an onion", "the red ball", "some music", "crème brûlée")
    for where in ("on stage", "in the kitchen", "quickly", "by the straße")
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
  train_tokenizer(_TEXTS, path, 56)
  return path


@pytest.fixture(scope="module")
def tokenizer(model: pathlib.Path) -> Tokenizer:
  return Tokenizer.load(model)


def test_special_ids_size_and_case(model: pathlib.Path, tokenizer: Tokenizer) -> None:
  processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
  assert (processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id()) == (
      0, 1, 2, 3)
  assert tokenizer.vocab_size == 56
  lower, upper = (tokenizer.encode(text, (), length=8, most_segments=1)
                  for text in ("a man", "A ＭAN"))
  np.testing.assert_array_equal(lower.ids, upper.ids)
  assert lower.mask.sum() > 0
  assert (lower.ids[lower.mask] > 3).all()


def test_the_same_texts_give_the_same_bytes(model: pathlib.Path, tmp_path: pathlib.Path) -> None:
  assert train_tokenizer(iter(_TEXTS), tmp_path / "again.model", 56) == 56
  assert (tmp_path / "again.model").read_bytes() == model.read_bytes()
  assert [path.name for path in tmp_path.iterdir()] == ["again.model"]


def test_few_texts_give_a_smaller_vocabulary(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
  size = train_tokenizer(["a man", "a dog runs"], tmp_path / "small.model", 4000)
  assert size == Tokenizer.load(tmp_path / "small.model").vocab_size < 60
  assert f"tokenizer: {size} pieces instead of 4000" in caplog.text


def test_a_long_text_and_odd_lines_are_learned_from(tmp_path: pathlib.Path) -> None:
  texts = ["zebra " * 10_000, "one\ntwo", "", " ", "\x00 nul", "tab\tbed"]
  train_tokenizer(texts, tmp_path / "odd.model", 40)
  tokens = Tokenizer.load(tmp_path / "odd.model").encode("zebra", (), length=9, most_segments=1)
  assert (tokens.ids[tokens.mask] > 3).all()  # Nothing unknown.


@pytest.mark.parametrize(("texts", "size", "message"), [
    ([], 100, "no training text"),
    (["", "  "], 100, "no training text"),
    (["abcdefghijklmnop"], 8, r"cannot be trained on 1 texts with --vocab_size=8"),
    (["a man"], -3, r"cannot be trained"),
])
def test_texts_that_cannot_be_learned_from(
    tmp_path: pathlib.Path, texts: list[str], size: int, message: str) -> None:
  with pytest.raises(UserError, match=message) as caught:
    train_tokenizer(texts, tmp_path / "x.model", size)
  assert "\n" not in str(caught.value)
  assert not list(tmp_path.iterdir())


def test_an_unwritable_place(tmp_path: pathlib.Path) -> None:
  with pytest.raises(UserError, match="cannot be written"):
    train_tokenizer(_TEXTS, tmp_path / "nowhere" / "x.model", 56)


@pytest.mark.parametrize("keep", [0, 1, 500, -1])
def test_damaged_models(model: pathlib.Path, tmp_path: pathlib.Path, keep: int) -> None:
  (tmp_path / "bad.model").write_bytes(model.read_bytes()[:keep])
  with pytest.raises(UserError, match=r"bad.model: not a SentencePiece model"):
    Tokenizer.load(tmp_path / "bad.model")


def test_a_missing_model(tmp_path: pathlib.Path) -> None:
  with pytest.raises(UserError, match=r"no.model: cannot be read"):
    Tokenizer.load(tmp_path / "no.model")


def test_cut_and_padded_to_the_length(tokenizer: Tokenizer) -> None:
  text = "a man is cutting an onion on stage"
  long = tokenizer.encode(text, cut_text(text), length=40, most_segments=4)
  count = int(long.mask.sum())
  assert long.ids.dtype == long.segment.dtype == np.int32
  assert long.mask.dtype == np.bool_
  assert long.mask[:count].all()
  assert not long.ids[count:].any()
  assert not long.segment[count:].any()
  short = tokenizer.encode(text, cut_text(text), length=count - 2, most_segments=4)
  np.testing.assert_array_equal(short.ids, long.ids[: count - 2])
  np.testing.assert_array_equal(short.segment, long.segment[: count - 2])
  assert short.mask.all()


def test_segments_past_the_most_are_none(tokenizer: Tokenizer) -> None:
  segments = (Segment(0, 5), Segment(6, 16), Segment(17, 25))
  tokens = tokenizer.encode("a man is cutting an onion", segments, length=30, most_segments=2)
  assert set(tokens.segment[tokens.mask].tolist()) == {0, 1, 2}


def test_hand_checked_segments(tmp_path: pathlib.Path) -> None:
  """Single words are pieces here, so the right numbers can be read off."""
  train_tokenizer(["red cat", "red dog sat", "the cat sat", "the dog"] * 50, tmp_path / "m", 40)
  tokenizer = Tokenizer.load(tmp_path / "m")
  text = "the red cat sat"
  tokens = tokenizer.encode(text, (Segment(4, 11), Segment(12, 15)), length=6, most_segments=4)
  processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "m"))
  pieces = [processor.id_to_piece(int(number)) for number in tokens.ids[tokens.mask]]
  assert pieces == ["▁the", "▁red", "▁cat", "▁sat"]
  assert tokens.segment.tolist() == [0, 1, 1, 2, 0, 0]
  # "red" has two characters in the first segment and one in the second.
  split = tokenizer.encode(text, (Segment(0, 6), Segment(6, 15)), length=4, most_segments=4)
  assert split.segment.tolist() == [1, 1, 2, 2]


def _reference(text: str, model: pathlib.Path, segments: tuple[Segment, ...]) -> list[int]:
  """Each token's segment by counting the characters its bytes come from, one by one."""
  processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
  owner = [place for place, character in enumerate(text) for _ in character.encode()]
  numbers = []
  encoded = processor.encode(text, out_type="serialized_proto")
  for piece in sentencepiece_pb2.SentencePieceText.FromString(encoded).pieces:
    places = [place for place in dict.fromkeys(owner[piece.begin:piece.end])
              if not text[place].isspace()]
    if not places:  # Of no character: with the next one that is not blank.
      blanks = list(dict.fromkeys(owner[piece.begin:piece.end]))
      start = blanks[-1] + 1 if blanks else (owner[piece.begin] if piece.begin < len(owner) else
                                             len(text))
      places = [start] if start < len(text) else []
    shares = [sum(s.start <= place < s.end for place in places) for s in segments]
    numbers.append(shares.index(max(shares)) + 1 if shares and max(shares) else 0)
  return numbers


_CHARACTERS = "ab man dog.,?ÀÉß½①ﬁ㌔e\u0301İ猫😀\u3000\n "


@given(st.text(alphabet=_CHARACTERS, max_size=30), st.data())
def test_segments_of_any_text_against_the_reference(
    model: pathlib.Path, tokenizer: Tokenizer, text: str, data: st.DataObject) -> None:
  cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
  segments = tuple(Segment(start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=False))
  tokens = tokenizer.encode(text, segments, length=100, most_segments=9)
  assert tokens.segment[tokens.mask].tolist() == _reference(text, model, segments)


def test_tokens_are_kept_and_never_confused(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
  text, nan = "a man is cutting an onion", float("nan")
  cut = mock.Mock(wraps=tokenizer._cutter.cut)
  monkeypatch.setattr(tokenizer._cutter, "cut", cut)

  def encode(segments: list[tuple[int, int]], length: int = 12, most: int = 2) -> list[int]:
    # Times made anew: no NaN equals another.
    parts = [Segment(*bounds, float("nan"), nan) for bounds in segments]
    found = tokenizer.encode(text, parts, length=length, most_segments=most)
    with pytest.raises(ValueError, match="read-only"):
      found.ids[0] = 9
    return found.segment.tolist()

  first = encode([(0, 5), (6, 25)])
  assert encode([(0, 5), (6, 25)]) == first
  assert cut.call_count == 1
  assert encode([(0, 8), (9, 25)]) != first
  assert encode([(0, 5), (6, 25)], most=1) != first
  assert len(encode([(0, 5), (6, 25)], length=4)) == 4
  assert cut.call_count == 4


def test_spans_are_characters_of_the_text_as_given(tokenizer: Tokenizer) -> None:
  """Normalising changes lengths and bytes are not characters: each word still finds its segment."""
  text = "Ａ ﬁne Café ½ 😀 ㌔ MAN"
  words, start = [], 0
  for word in text.split():
    start = text.index(word, start)
    words.append(Segment(start, start + len(word)))
    start += len(word)
  tokens = tokenizer.encode(text, tuple(words), length=60, most_segments=9)
  found = tokens.segment[tokens.mask].tolist()
  assert found == sorted(found)
  assert set(found) == set(range(1, len(words) + 1))


@pytest.mark.parametrize("name", ["mistral_tokenizer_v1.model", "videoprism_test_spm.model"])
def test_real_models(real_data: pathlib.Path, name: str) -> None:
  path = real_data / "spm" / name
  tokenizer = Tokenizer.load(path)
  assert tokenizer.vocab_size == {"m": 32000, "v": 1000}[name[0]]
  text = "A man is slicing an onion, a 猫 sleeps 😀 by the door"
  segments = cut_text(text)
  tokens = tokenizer.encode(text, segments, length=80, most_segments=8)
  assert tokens.segment[tokens.mask].tolist() == _reference(text, path, segments)
  assert set(tokens.segment[tokens.mask].tolist()) >= set(range(1, len(segments) + 1))
