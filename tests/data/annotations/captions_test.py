"""LSMDC, VATEX, YouCook2 and MSRVTT-MC; MSR-VTT's 1k-B; questions as jsonl and csv."""

import pathlib
from typing import Any

import pytest

from mla_jax.data import annotations
from mla_jax.data.annotations.schema import Count, Video
from mla_jax.errors import UserError
from tests.data.annotations import layouts, layouts_qa

_LSMDC = "LSMDC16_challenge_1000_publictect.csv"
_CLIP = "1004_Juno_00.00.32.161-00.00.35.458"


def test_lsmdc(tmp_path: pathlib.Path) -> None:
  layouts.write("lsmdc_retrieval", tmp_path)
  read = annotations.read("lsmdc_retrieval", tmp_path)
  assert (read.family, read.task) == ("lsmdc", "retrieval")
  clip = "0001_American_Beauty_00.00.51.926-00.00.54.129"
  assert [(item.item_id, item.text) for item in read.items[:2]] == [
      (f"train@{clip}@0", "SOMEONE sits."), (f"train@{clip}@1", 'He says "no".')]
  assert [item.split for item in read.items] == ["train"] * 3 + ["val", "test"]
  assert read.videos[0].media_names == (clip, f"0001_American_Beauty/{clip}")
  assert Count("test sentences", 1, 1000) in read.counts
  assert "MPII" in read.licence


def test_an_lsmdc_header_is_no_sentence(tmp_path: pathlib.Path) -> None:
  header = "CLIP_ID\tSTART_ALIGNED\tEND_ALIGNED\tSTART_EXTRACTED\tEND_EXTRACTED\tSENTENCE\n"
  (tmp_path / _LSMDC).write_text(f"{header}{_CLIP}\t1\t2\t3\t4\tShe runs.\n")
  read = annotations.read("lsmdc_retrieval", tmp_path)
  assert [item.text for item in read.items] == ["She runs."]
  assert len(read.videos) == 1
  assert f"{_LSMDC}: 1 header rows: left out" in read.notes
  (tmp_path / _LSMDC).write_text(header)
  with pytest.raises(UserError, match="has no sentence"):
    annotations.read("lsmdc_retrieval", tmp_path)


@pytest.mark.parametrize(("line", "message"), [
    (f"{_CLIP}\t1\t2\t3\t4", r"line 1 cut at tabs: has too few columns \(5, not 6\)"),
    (f"{_CLIP}\t1\t2\t3\t4\ta\tb", r"has too many columns \(7, not 6\)"),
    (f"{_CLIP},1,2,3,4,a", r"has too few columns \(1, not 6\)"),
    ("a/b\t1\t2\t3\t4\tShe runs.", r"line 1: id 'a/b' is not safe"),
    ("", r"has no sentence"),
])
def test_bad_lsmdc_lines(tmp_path: pathlib.Path, line: str, message: str) -> None:
  (tmp_path / _LSMDC).write_text(line)
  with pytest.raises(UserError, match=message):
    annotations.read("lsmdc_retrieval", tmp_path)


def test_vatex_lists(tmp_path: pathlib.Path) -> None:
  layouts.write("vatex_retrieval", tmp_path)
  read = annotations.read("vatex_retrieval", tmp_path)
  assert (read.family, read.task) == ("vatex", "retrieval")
  assert [(item.item_id, item.split) for item in read.items] == [
      ("G9zN5TTuGO4_000179_000189@0", "train"), ("G9zN5TTuGO4_000179_000189@1", "train"),
      ("sf2PPeXQrUA_000000_000010@0", "val"),
      ("rIJPGdtdaHg_000006_000016@0", "test"), ("rIJPGdtdaHg_000006_000016@1", "test"),
      ("test_1k5_sec@sf2PPeXQrUA_000000_000010@0", "test_1k5_sec"),
      ("test_1k5_sec@rIJPGdtdaHg_000006_000016@0", "test_1k5_sec"),
      ("test_1k5_sec@rIJPGdtdaHg_000006_000016@1", "test_1k5_sec")]
  assert read.videos[0].source_span == (179.0, 189.0)
  assert Count("test captions", 2, 15000) in read.counts
  assert any(note.startswith("test_1k5_sec shares 1 videos with val") for note in read.notes)


def test_vatex_as_released(tmp_path: pathlib.Path) -> None:
  layouts.write_files({"vatex_validation_v1.0.json": [
      {"videoID": "sf2PPeXQrUA_000000_000010", "enCap": ["A cat."], "chCap": ["x"]}]}, tmp_path)
  read = annotations.read("vatex_retrieval", tmp_path)
  assert [(item.split, item.text) for item in read.items] == [("val", "A cat.")]
  assert Count("val captions", 1, 30000) in read.counts
  assert "vatex_training_v1.0.json: not there: no split train" in read.notes


@pytest.mark.parametrize(("name", "content", "message"), [
    ("vatex_data.json", {"G9zN5TTuGO4_000179_000189": {"chCap": []}}, r"has no 'enCap'"),
    ("vatex_data.json", {"G9zN5TTuGO4_000179_000189": ["a"]}, r"is \['a'\], not an object"),
    ("vatex_data.json", {"G9zN5TTuGO4_000179_000189": {"enCap": ["a", ""]}}, r"caption 1 is empty"),
    ("vatex_data.json", {"a": {"enCap": ["a"]}}, r"no caption for any of the 1 videos of split"),
    ("vatex_data.json", {"a/b": {"enCap": ["a"]}}, r"id 'a/b' is not safe"),
    ("train_list.txt", "a\na\n", r"line 2: video 'a' is there twice"),
    ("val_list.txt", "\n", r"split val has no video"),
])
def test_bad_vatex(tmp_path: pathlib.Path, name: str, content: Any, message: str) -> None:
  layouts.write("vatex_retrieval", tmp_path)
  layouts.write_files({name: content}, tmp_path)
  with pytest.raises(UserError, match=message):
    annotations.read("vatex_retrieval", tmp_path)


def test_youcook2(tmp_path: pathlib.Path) -> None:
  layouts.write("youcook2_retrieval", tmp_path)
  read = annotations.read("youcook2_retrieval", tmp_path)
  assert (read.family, read.task) == ("youcook2", "retrieval")
  assert [(item.item_id, item.split, item.text) for item in read.items] == [
      ("val@xHr8X2Wpmno_47_60@1", "val", "pick the ends off"),
      ("val@xHr8X2Wpmno_67_89@1", "val", "combine the rest"),
      ("train@GLd3aX16zBg_90_102@1", "train", "spread margarine on bread"),
      ("val_mil_nce@xHr8X2Wpmno_47_60@1", "val_mil_nce", "pick the ends off")]
  assert read.videos[0] == Video(
      "xHr8X2Wpmno_47_60", ("xHr8X2Wpmno_47_60",), ("xHr8X2Wpmno",), (47.0, 60.0))
  assert Count("val sentences", 2, 3492) in read.counts
  (tmp_path / "youcookii_annotations_trainval.json").unlink()
  alone = annotations.read("youcook2_retrieval", tmp_path)
  assert [(item.split, item.video_id) for item in alone.items] == [("val", "xHr8X2Wpmno_47_60")]
  assert Count("val sentences", 1, 3350) in alone.counts


def test_youcook2_without_subsets(tmp_path: pathlib.Path) -> None:
  clips = [{"segment": [1, 2], "sentence": "a", "id": 0}, {"segment": [1, 2], "sentence": "b"},
           {"segment": [4, 3], "sentence": "c"}]
  name = "youcookii_annotations_trainval.json"
  layouts.write_files({name: {"database": {"v": {"annotations": clips}}}}, tmp_path)
  read = annotations.read("youcook2_retrieval", tmp_path)
  assert [(item.item_id, item.split) for item in read.items] == [
      ("trainval@v_1_2@1", "trainval"), ("trainval@v_1_2@2", "trainval")]
  assert read.notes == (
      f'{name}: 1 videos have no "subset": their split is trainval',
      f"{name}: 1 sentences are of the same seconds as another: a further text of one clip (v 1-2)",
      f"{name}: 1 clips had an end that is not after their start: left out (v 4-3)")


@pytest.mark.parametrize(("row", "message"), [
    ("60,nan,226,pick,v", r"'start' is 'nan', not a number of seconds"),
    ("60,47,226,,v", r"the sentence is empty"),
    ("60,47,226,pick, then,v", r"has too many columns"),
    ("60\t47\t226\tpick\tv", r"has too few columns"),
    ("60,47,226,pick,a/b", r"id 'a/b_47_60' is not safe"),
    ("47,60,226,pick,v", r"has no clip"),  # Its one row ends before it starts.
])
def test_bad_youcook2_rows(tmp_path: pathlib.Path, row: str, message: str) -> None:
  (tmp_path / "validation_youcook.csv").write_text(f"end,start,task,text,video_id\n{row}\n")
  with pytest.raises(UserError, match=message):
    annotations.read("youcook2_retrieval", tmp_path)


def test_msrvtt_mc(tmp_path: pathlib.Path) -> None:
  layouts.write("msrvtt_mc", tmp_path)
  read = annotations.read("msrvtt_mc", tmp_path)
  assert (read.family, read.task) == ("msrvtt", "mc")
  first, second = read.items
  assert (first.item_id, first.video_id, first.split, first.text) == (
      "test@video7010", "video7010", "test", "")
  assert (first.answer_index, first.answer) == (3, "a car drives")
  assert second.candidates[0] == 'a "fast" car'
  assert Count("test questions", 2, 2990) in read.counts
  assert "train_9k holds 1,990" in read.leakage


@pytest.mark.parametrize(("name", "record"), [
    ("msrvtt_retrieval_mc_test.jsonl", {"clip_name": "video7", "options": list("abcde")}),
    ("msrvtt_mc_test.json", {"video": "video7.mp4", "caption": list("abcde")}),
])
def test_msrvtt_mc_in_json(tmp_path: pathlib.Path, name: str, record: dict[str, Any]) -> None:
  layouts.write_files({name: [record | {"answer": 2}]}, tmp_path)
  item = annotations.read("msrvtt_mc", tmp_path).items[0]
  assert (item.video_id, item.candidates, item.answer) == ("video7", tuple("abcde"), "c")
  for bad, message in (
      ({"answer": 5}, "'answer' is 5, not one of 0 to 4"),
      ({"answer": "2"}, "'answer' is '2', not a whole number"),
      ({"answer": 2, "options": ["a"], "caption": ["a"]}, "1 captions, not 5"),
  ):
    layouts.write_files({name: [record | bad]}, tmp_path)
    with pytest.raises(UserError, match=message):
      annotations.read("msrvtt_mc", tmp_path)


def test_a_video_of_two_choices(tmp_path: pathlib.Path) -> None:
  layouts.write_files({"msrvtt_mc_test.json": [
      {"video": "video7", "caption": list("abcde"), "answer": n} for n in (1, 2)]}, tmp_path)
  with pytest.raises(UserError, match="entry 1: video 'video7' is there twice"):
    annotations.read("msrvtt_mc", tmp_path)


def test_1k_b_is_tested_on_the_first_caption(tmp_path: pathlib.Path) -> None:
  layouts.write("msrvtt_retrieval", tmp_path)
  layouts.write_files({
      "train_list_miech.txt": "video11\nvideo12\n", "test_list_miech.txt": "video10\nvideo99\n",
  }, tmp_path)
  read = annotations.read("msrvtt_retrieval", tmp_path)
  assert [(item.item_id, item.text) for item in read.items if item.split.endswith("1k_b")] == [
      ("train_1k_b@video11@8", "two men play chess"),
      ("train_1k_b@video12@7", "a woman sings a song"),
      ("test_1k_b@video10@5", "a dog runs")]
  assert Count("train_1k_b videos", 2, 6656) in read.counts
  assert ("test_list_miech.txt: 1 of 2 videos are not in MSRVTT_data.json: left out" in read.notes)


def test_questions_as_jsonl_and_csv(tmp_path: pathlib.Path) -> None:
  layouts.write_files({**layouts_qa.QUESTIONS_JSONL, **layouts_qa.QUESTIONS_CSV}, tmp_path)
  read = annotations.read("msrvtt_qa", tmp_path)
  assert [(i.item_id, i.video_id, i.text, i.answer, i.question_type) for i in read.items] == [
      ("train@0", "video6513", "what do they sit on?", "couch", "what"),
      ("train@1", "video6513", "who runs?", "dog", "who"),
      ("test@170859", "video7010", "what is the video doing", "regard", "what"),
      ("test@170860", "video7010", "what, then", "show", "other")]
  layouts.write("msrvtt_qa", tmp_path)
  read = annotations.read("msrvtt_qa", tmp_path)
  assert "train.jsonl: not read, since train_qa.json is there" in read.notes
  assert read.items[0].item_id == "train@0"


def test_msvd_questions_in_other_forms(tmp_path: pathlib.Path) -> None:
  layouts.write("msvd_qa", tmp_path)
  (tmp_path / "val_qa.json").unlink()
  layouts.write_files({
      "val.csv": "video,width,height,question,answer,qid\n11,480,360,who cuts,man,3\n",
      "test_qa.json": [{"id": n, "question": "what", "answer": "a", "video_id": name}
                       for n, name in enumerate(("vid12", "mY_0_1", "mY_0_1.avi"))],
  }, tmp_path)
  read = annotations.read("msvd_qa", tmp_path)
  assert [item.video_id for item in read.items if item.split != "train"] == [
      "b2@x_1_9", "zz.5u_5_20", "mY_0_1", "mY_0_1"]
  layouts.write_files({"val.csv": "video,question,answer,qid\n99,who,man,3\n"}, tmp_path)
  with pytest.raises(UserError, match=r"'video_id' is 99, which youtube_mapping.txt does not"):
    annotations.read("msvd_qa", tmp_path)


@pytest.mark.parametrize(("content", "message"), [
    ("video\tquestion\tanswer\tqid\n1\twhat\ta\t1\n", r"separated by tabs, not by commas"),
    ("video,question,answer,qid\n1,what,a,x\n", r"row 2: 'qid' is 'x', not a whole number"),
    ("video,question,answer,qid\n1,what,,1\n", r"row 2: 'answer' is empty"),
    ("video,question,answer,qid\n1,what,a,1\n1,what,b,1\n", r"question id '1' is there twice"),
    ("video,question,answer,qid\n1,what, is it,a,1\n", r"row 2: has too many columns"),
    ("video,question,answer,answer,qid\n1,what,a,b,1\n", r"column 'answer' is there twice"),
])
def test_bad_question_tables(tmp_path: pathlib.Path, content: str, message: str) -> None:
  (tmp_path / "val.csv").write_text(content)
  with pytest.raises(UserError, match=message):
    annotations.read("msrvtt_qa", tmp_path)


def test_a_pickle_is_not_loaded(tmp_path: pathlib.Path) -> None:
  (tmp_path / "raw-captions.pkl").write_bytes(b"\x80\x04K\x01.")
  (tmp_path / "train_list.txt").write_text("a\n")
  with pytest.raises(UserError, match=r"pickles are never loaded: put captions_msvd.json"):
    annotations.read("msvd_retrieval", tmp_path)
