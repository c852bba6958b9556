"""Whatever is in an annotation file: one clear UserError or valid annotations, nothing else."""

import gzip
import json
import pathlib
import tempfile
from typing import Any

import hypothesis
from hypothesis import strategies as st
import pytest

from mla_jax.data import annotations
from mla_jax.errors import UserError
from tests.data.annotations import layouts
from tests.data.annotations.validity import assert_valid, read_or_user_error

DATASETS = ("msrvtt_retrieval", "msrvtt_qa", "msvd_qa", "msvd_retrieval", "timed_captions")
EVERY = tuple(layouts.FILES)


@pytest.mark.parametrize("dataset", EVERY)
def test_the_layouts_are_valid(dataset: str, tmp_path: pathlib.Path) -> None:
  layouts.write(dataset, tmp_path)
  assert_valid(annotations.read(dataset, tmp_path))


@pytest.mark.parametrize("dataset", EVERY)
def test_gzipped_files_read_the_same(dataset: str, tmp_path: pathlib.Path) -> None:
  paths = layouts.write(dataset, tmp_path)
  plain = annotations.read(dataset, tmp_path)
  for path in paths:
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
  zipped = annotations.read(dataset, tmp_path)
  # repr, since NaN times are not equal to themselves.
  assert repr(zipped.items) == repr(plain.items)
  assert (zipped.videos, zipped.counts) == (plain.videos, plain.counts)


@pytest.mark.parametrize("dataset", DATASETS)
@hypothesis.given(data=st.data())
def test_mutated_files(dataset: str, data: st.DataObject) -> None:
  with tempfile.TemporaryDirectory() as folder:
    directory = pathlib.Path(folder)
    path = data.draw(st.sampled_from(layouts.write(dataset, directory)))
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
      content = bytearray(gzip.compress(bytes(content), mtime=0))
      path.unlink()
      path = path.with_name(f"{path.name}.gz")
    for _ in range(data.draw(st.integers(0, 3))):
      place = data.draw(st.integers(0, len(content) - 1))
      content[place] = data.draw(st.integers(0, 255) | st.sampled_from(b'"0,:[]{} \n-.e\\'))
    cut = data.draw(st.none() | st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    read_or_user_error(dataset, directory)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["video_id", "split", "caption", "videos", "sentences", "id", "answer",
                         "question", "duration", "timestamps", "sen_id", "x"]), inner, max_size=5),
    max_leaves=12)


@pytest.mark.parametrize("dataset", DATASETS)
@hypothesis.given(data=st.data())
def test_valid_json_of_the_wrong_shape(dataset: str, data: st.DataObject) -> None:
  """Replaces one value anywhere in one JSON file by any JSON."""
  with tempfile.TemporaryDirectory() as folder:
    directory = pathlib.Path(folder)
    paths = [path for path in layouts.write(dataset, directory) if path.suffix == ".json"]
    path = data.draw(st.sampled_from(paths))
    layouts.dump(path, _replace(json.loads(path.read_text()), data))
    read_or_user_error(dataset, directory)


def _replace(value: Any, data: st.DataObject) -> Any:
  if not isinstance(value, (list, dict)) or not value or data.draw(st.integers(0, 4)) == 0:
    return data.draw(_JSON)
  key = data.draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
  value[key] = _replace(value[key], data)
  return value


@pytest.mark.parametrize("dataset", EVERY)
def test_a_missing_file_or_folder(dataset: str, tmp_path: pathlib.Path) -> None:
  with pytest.raises(UserError, match="no such folder"):
    annotations.read(dataset, tmp_path / "nowhere")
  with pytest.raises(UserError, match="put the dataset's file"):
    annotations.read(dataset, tmp_path)


_CAPTION = {"video_id": "video10", "sen_id": 5, "caption": "a dog runs"}
_QUESTION = layouts.QUESTIONS["val"][0]


@pytest.mark.parametrize(("video", "sentence", "message"), [
    ({"video_id": "../etc/passwd"}, {}, r"videos\[0\]: id '../etc/passwd' is not safe"),
    ({"video_id": "a..b"}, {}, r"id 'a..b' is not safe"),
    ({"video_id": "a b\nc"}, {}, r"id 'a b\\nc' is not safe"),
    ({"video_id": ""}, {}, r"id '' is not safe"),
    ({"video_id": "v" * 201}, {}, r"id 'vvv.* is not safe"),
    ({"video_id": 7}, {}, r"videos\[0\]: an id is 7, not text"),
    ({"video_id": "video11"}, {}, r"videos\[1\]: video 'video11' is there twice"),
    ({"split": 3}, {}, r"'split' is 3, not text"),
    ({"split": "a/b"}, {}, r"split 'a/b' is not a usable name"),
    ({"split": "train_9k"}, {}, r"split 'train_9k' is the name of a csv's split"),
    ({}, {"caption": ""}, r"sentences\[0\]: 'caption' is empty: fill it in"),
    ({}, {"caption": " \t"}, r"'caption' is empty"),
    ({}, {"caption": 7}, r"'caption' is 7, not text"),
    ({}, {"caption": None}, r"'caption' is None, not text"),
    ({}, {"caption": "\ud800"}, r"'caption' is '\\ud800', not writable as UTF-8"),
    ({}, {"video_id": "video99"}, r"video 'video99' is not among 'videos'"),
    ({}, {"video_id": None}, r"an id is None, not text"),
    ({}, {"sen_id": 6}, r"sentences\[1\]: caption 'video10@6' is there twice"),
    ({}, {"sen_id": [1]}, r"'sen_id' is \[1\], not a number"),
    ({}, {"sen_id": "../1"}, r"id 'video10@../1' is not safe"),
])
def test_bad_captions(
    tmp_path: pathlib.Path, video: dict[str, Any], sentence: dict[str, Any], message: str
) -> None:
  videos = [layouts.MSRVTT_VIDEOS[0] | video, *layouts.MSRVTT_VIDEOS[1:]]
  sentences = [_CAPTION | sentence, *layouts.MSRVTT_SENTENCES[1:]]
  layouts.dump(tmp_path / "MSRVTT_data.json", {"videos": videos, "sentences": sentences})
  with pytest.raises(UserError, match=message) as caught:
    annotations.read("msrvtt_retrieval", tmp_path)
  assert str(tmp_path / "MSRVTT_data.json") in str(caught.value)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("content", "message"), [
    ("", r"not JSON \(line 1, column 1"),
    ('{"videos": [', r"not JSON .* perhaps cut short: get the file again"),
    ("[1, 2]", r"the top level is \[1, 2\], not an object"),
    ('{"video": [], "sentences": []}', r"has no 'videos', only \['video', 'sentences'\]"),
    ('{"videos": [], "sentences": []}', r"'videos' is empty"),
    ('{"videos": {"a": 1}, "sentences": []}', r"'videos' is {'a': 1}, not a list"),
    ('{"videos": ["a"], "sentences": []}', r"videos\[0\] is 'a', not an object"),
    ('{"videos": [{"video_id": "a", "split": "t"}], "sentences": []}', r"'sentences' is empty"),
    ('{"videos": [{"video_id": "a", "split": "t"}]}', r"has no 'sentences'"),
    ('{"videos": [{"video_id": "a", "split": "t"}], "sentences": [{"video_id": "a"}]}',
     r"sentences\[0\]: has no 'caption', only \['video_id'\]"),
    ("[" * 100_000, r"not usable JSON \(RecursionError\)"),
    (f'{{"videos": {"9" * 5000}}}', r"not usable JSON \(ValueError\)"),
    ('{"videos": "\\ud83d"}', r"'videos' is '\\ud83d', not a list"),
])
def test_bad_caption_files(tmp_path: pathlib.Path, content: str, message: str) -> None:
  (tmp_path / "MSRVTT_data.json").write_text(content)
  with pytest.raises(UserError, match=message) as caught:
    annotations.read("msrvtt_retrieval", tmp_path)
  assert "\n" not in str(caught.value)
  str(caught.value).encode()


@pytest.mark.parametrize(("change", "message"), [
    ({"question": ""}, r"entry 0: 'question' is empty"),
    ({"question": 3}, r"entry 0: 'question' is 3, not text"),
    ({"answer": " "}, r"entry 0: 'answer' is empty"),
    ({"answer": ["a"]}, r"entry 0: 'answer' is \['a'\], not text"),
    ({"id": "x"}, r"entry 0: 'id' is 'x', not a whole number"),
    ({"id": True}, r"entry 0: 'id' is True, not a whole number"),
    ({"video_id": None}, r"entry 0: 'video_id' is None, not a whole number"),
    ({"video_id": 1.5}, r"entry 0: 'video_id' is 1.5, not a whole number"),
    ({"video_id": -4}, r"entry 0: 'video_id' is -4, not a video's number"),
    ({"video_id": "../x"}, r"entry 0: 'video_id': id '../x' is not safe"),
])
def test_bad_questions(tmp_path: pathlib.Path, change: dict[str, Any], message: str) -> None:
  layouts.dump(tmp_path / "train_qa.json", [_QUESTION | change])
  with pytest.raises(UserError, match=message):
    annotations.read("msrvtt_qa", tmp_path)


def test_a_split_without_a_question_and_a_repeated_id(tmp_path: pathlib.Path) -> None:
  layouts.dump(tmp_path / "train_qa.json", [_QUESTION])
  layouts.dump(tmp_path / "val_qa.json", [])
  with pytest.raises(UserError, match=r"val_qa.json: split val has no question"):
    annotations.read("msrvtt_qa", tmp_path)
  layouts.dump(tmp_path / "val_qa.json", [_QUESTION, _QUESTION])
  with pytest.raises(UserError, match=r"question id '3' is there twice"):
    annotations.read("msrvtt_qa", tmp_path)


@pytest.mark.parametrize(("content", "message"), [
    ("id\nvideo10\n", r"has no column 'video_id'"),
    ("", r"has no column 'video_id'"),
    ("video_id\nvideo10\nvideo10\n", r"row 3: video 'video10' is there twice"),
    ("video_id\n../x\n", r"row 2: id '../x' is not safe"),
    ("video_id\n", r"none of its 0 videos"),
    ("video_id\n" + "v" * 200_000, r"not a comma-separated table"),
])
def test_bad_csv_splits(tmp_path: pathlib.Path, content: str, message: str) -> None:
  layouts.write("msrvtt_retrieval", tmp_path)
  (tmp_path / "MSRVTT_train.9k.csv").write_text(content)
  with pytest.raises(UserError, match=message):
    annotations.read("msrvtt_retrieval", tmp_path)


_TABLES = [(dataset, name) for dataset in EVERY for name, text in layouts.FILES[dataset].items()
           if name.endswith(".csv") and set(text) & {",", "\t"}]


@pytest.mark.parametrize(("dataset", "name"), _TABLES)
def test_tabs_in_the_place_of_commas_and_the_other_way_round(
    dataset: str, name: str, tmp_path: pathlib.Path
) -> None:
  layouts.write(dataset, tmp_path)
  path = tmp_path / name
  path.write_text(path.read_text().translate(str.maketrans("\t,", ",\t")))
  with pytest.raises(UserError, match=r"(separated by|too few columns)") as caught:
    annotations.read(dataset, tmp_path)
  assert str(path) in str(caught.value)


def test_a_csv_row_that_is_cut_short(tmp_path: pathlib.Path) -> None:
  layouts.write("msrvtt_retrieval", tmp_path)
  (tmp_path / "MSRVTT_JSFUSION_test.csv").write_text("key,video_id,sentence\nret0,video10\n")
  with pytest.raises(UserError, match=r"row 2: has too few columns"):
    annotations.read("msrvtt_retrieval", tmp_path)


@pytest.mark.parametrize(("content", "message"), [
    (b"\xff\xfe[]", r"not UTF-8 text \(byte 0\)"),
    (gzip.compress(b"[]" * 1000, mtime=0)[:-9], r"the gzip file is cut short"),
    (b"plain", r"not a sound gzip file"),
], ids=["encoding", "cut", "plain"])
def test_bad_bytes(tmp_path: pathlib.Path, content: bytes, message: str) -> None:
  name = "train_qa.json" if b"\xff" in content else "train_qa.json.gz"
  (tmp_path / name).write_bytes(content)
  with pytest.raises(UserError, match=message):
    annotations.read("msrvtt_qa", tmp_path)


def test_a_folder_in_the_place_of_a_file(tmp_path: pathlib.Path) -> None:
  (tmp_path / "train_qa.json").mkdir()
  with pytest.raises(UserError, match="cannot be read"):
    annotations.read("msrvtt_qa", tmp_path)


def test_a_byte_order_mark_and_other_scripts(tmp_path: pathlib.Path) -> None:
  text = '[{"answer": "猫", "id": 1, "question": "who naps, ☕?", "video_id": 1}]'
  (tmp_path / "train_qa.json").write_bytes(text.encode("utf-8-sig"))
  item = annotations.read("msrvtt_qa", tmp_path).items[0]
  assert (item.text, item.answer) == ("who naps, ☕?", "猫")


def test_a_caption_of_ten_thousand_words_is_kept(tmp_path: pathlib.Path) -> None:
  text = "word " * 9_999 + "end"
  data = {"videos": [{"video_id": "a", "split": "train"}],
          "sentences": [{"video_id": "a", "caption": text}]}
  layouts.dump(tmp_path / "MSRVTT_data.json", data)
  assert annotations.read("msrvtt_retrieval", tmp_path).items[0].text == text


def test_unknown_datasets_name_the_nearest(tmp_path: pathlib.Path) -> None:
  with pytest.raises(UserError, match=r"'msrvtt_qaa': unknown: did you mean 'msrvtt_qa'\?"):
    annotations.read("msrvtt_qaa", tmp_path)
