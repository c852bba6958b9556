"""Further layouts of some datasets, by the dataset and a word: see `layouts`."""

from collections.abc import Mapping
from typing import Any

from tests.data.annotations import layouts, layouts_moments, layouts_qa

_MSRVTT: Mapping[str, Any] = {
    "videos": [{"video_id": video["video_id"]} for video in layouts.MSRVTT_VIDEOS],
    "sentences": layouts.MSRVTT_SENTENCES,
}
_CHOICES = [
    {"clip_name": "video7010", "options": ["a man sings", "a dog", "a cat", "a car", "two boys"],
     "answer": 3},
    {"clip_name": "video7011", "options": ["a car", "a bird", "a tree", "a house", " a boat"],
     "answer": 0},
]
_MAPPING = {"youtube_mapping.txt": layouts.FILES["msvd_qa"]["youtube_mapping.txt"]}
_HQGA = "video,width,height,question,answer,qid"


def _vatex(name: str) -> list[dict[str, Any]]:
  """A released file with one video."""
  captions = layouts.FILES["vatex_retrieval"]["vatex_data.json"][name]
  return [{"videoID": name, **captions}]


FILES: dict[str, Mapping[str, Any]] = {
    "how2qa value": layouts_qa.HOW2QA_VALUE,
    "msrvtt_qa jsonl": layouts_qa.QUESTIONS_JSONL,
    "msrvtt_qa csv": layouts_qa.QUESTIONS_CSV,
    "msrvtt_retrieval 7k": {
        "MSRVTT_data.json": layouts.FILES["msrvtt_retrieval"]["MSRVTT_data.json"],
        "MSRVTT_train.7k.csv": "video_id\nvideo12\nvideo10\n"},
    "msrvtt_retrieval full": {
        "MSRVTT_data.json": _MSRVTT,
        "MSRVTT_train.full.csv": "video_id\nvideo10\n",
        "MSRVTT_val.full.csv": "video_id\nvideo11\n",
        "MSRVTT_test.full.csv": "video_id\nvideo12\nvideo13\n"},
    "msrvtt_retrieval miech": {
        "MSRVTT_data.json": _MSRVTT,
        "train_list_miech.txt": "video11\nvideo12\n",
        "test_list_miech.txt": "video10\nvideo99\n"},
    "msrvtt_mc jsonl": {"msrvtt_retrieval_mc_test.jsonl": _CHOICES},
    "msrvtt_mc json": {"msrvtt_mc_test.json": [
        {"video": f"{choice['clip_name']}.mp4", "caption": choice["options"],
         "answer": choice["answer"]} for choice in _CHOICES]},
    "msvd_qa jsonl": _MAPPING | {"train.jsonl": [
        {"question": "what eats?", "answer": "squirrel", "video_id": "vid10"},
        {"question": "who cuts?", "answer": "man", "video_id": "b2@x_1_9.avi"}]},
    "msvd_qa csv": _MAPPING | {
        "val.csv": f"{_HQGA}\n11,480,360,who cuts,man,3\n11,480,360,\"what, then\",onion,4\n"},
    "tgif_qa_action hqga": {
        "train.csv": "video,width,height,question,a0,a1,a2,a3,a4,answer,qid\n"
                     "5,196,566,what does she do,flick,sing,chew,shake,pat,2,ACTION1\n"
                     "6,196,566,what does it do,jump,sit,bark,run,say,0,ACTION2\n"},
    "tgif_qa_frameqa hqga": {
        "train.csv": f"{_HQGA}\n5,196,566,what is it,cookie,FRAMEQA1\n"
                     "6,196,566,who runs,dog,FRAMEQA2\n",
        "test.csv": f"{_HQGA}\n7,196,566,what is red,car,FRAMEQA3\n"},
    "vatex_retrieval released": {
        "vatex_training_v1.0.json": _vatex("G9zN5TTuGO4_000179_000189"),
        "vatex_validation_v1.0.json": _vatex("sf2PPeXQrUA_000000_000010"),
        "vatex_public_test_english_v1.1.json": _vatex("rIJPGdtdaHg_000006_000016")},
    "youcook2_retrieval csv": {
        "validation_youcook.csv":
            layouts.FILES["youcook2_retrieval"]["validation_youcook.csv"] +
            "89,67,226,combine the rest,xHr8X2Wpmno\n"},
    "qvhighlights test_release": {"highlight_test_release.jsonl": [
        {key: layouts_moments.query(number)[key] for key in ("qid", "query", "vid", "duration")}
        for number in (4, 5)]},
}
