"""Tiny files in the layouts of the sets with moments: see `layouts`."""

from collections.abc import Mapping
from typing import Any

ACTIVITYNET: Mapping[str, Any] = {
    "train.json": {
        "v_QOlSCBRmfWY": {"duration": 82.73, "timestamps": [[0.83, 19.86], [17.37, 90]],
                          "sentences": ["A woman stands.", " She dances around. "]},
        "v_ehGHCYKzyZ8": {"duration": 61.72, "timestamps": [[5.0, 4.0], [1, 61.72]],
                          "sentences": ["The video starts.", " It ends."]},
    },
    "val_1.json": {"v_uqiMw7tQ1Cc": {
        "duration": 55.15, "timestamps": [[0.28, 55.15]], "sentences": ["A weight is lifted."]}},
    "val_2.json": {"v_uqiMw7tQ1Cc": {
        "duration": 55.15, "timestamps": [[0, 4.14]], "sentences": ["Two men talk."]}},
}


def didemo(number: int, name: str, /, **change: Any) -> dict[str, Any]:
  return {
      "num_segments": 6, "description": f"thing {number} happens.", "dl_link": "x",
      "times": [[4, 4], [4, 5], [0, 0], [4, 5]], "video": name, "annotation_id": number} | change


DIDEMO: Mapping[str, Any] = {
    "train_data.json": [
        didemo(1, "26292851@N04_4253489686_265c3c8051.m4v"),
        didemo(2, "10052357@N03_7585070382_5762149bfc."),
        didemo(3, "26292851@N04_4253489686_265c3c8051.mp4", times=[[0, 2]], num_segments=5),
        didemo(4, "999@N04_1_a.mov")],
    "test_data.json": [didemo(5, "10149286@N00_5135045216_643d0b0a92", description=" it goes ")],
    "train_list.txt": "26292851@N04_4253489686_265c3c8051.avi\n10052357@N03_7585070382_5762149bfc."
                      "\n11@N0_2_c.null\n",
    "test_list.txt": "10149286@N00_5135045216_643d0b0a92.mov\n",
}

CHARADES_COLUMNS = (
    "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n")
_ROW = '{},HR43,Kitchen,6,7,Yes,"A person, cooking.",food;stove,x,c092 11.90 21.20,{}\n'


def query(number: int, /, **change: Any) -> dict[str, Any]:
  """Two windows in a video of QVHighlights."""
  return {
      "qid": number, "query": "A view of a hill from a boat", "duration": 150,
      "vid": "_6hnl_BrFvs_360.0_510.0", "relevant_clip_ids": [35, 36, 40],
      "saliency_scores": [[0, 3, 2], [3, 4, 3], [4, 4, 4]],
      "relevant_windows": [[70, 74], [80, 82]]} | change


QVHIGHLIGHTS: Mapping[str, Any] = {
    "highlight_train_release.jsonl": [query(1), query(2, vid="NUsG9BgSes0_210.0_360.0")],
    "highlight_val_release.jsonl": [query(
        3, relevant_windows=[[70, 76]], relevant_clip_ids=[35, 36, 37])],
    "highlight_test_with_gt.jsonl": [query(4, vid="j7rJstUseKg_60.0_210.0", duration=148)],
}

# Dataset -> file -> its text, or what it holds.
FILES: dict[str, Mapping[str, Any]] = {
    "activitynet_retrieval": ACTIVITYNET,
    "activitynet_localisation": ACTIVITYNET,
    "didemo_retrieval": DIDEMO,
    "didemo_localisation": DIDEMO,
    "charades_sta": {
        "charades_sta_train.txt":
            "AO8RW 0.0 6.9##a person is putting a book on a shelf.\n"
            "Y6R7T 20.8 31.0##person begins to play on a phone.\n"
            "LEOL6 8.0 7.0##person is holding medicine.\n",
        "charades_sta_test.txt": "3MSZA 24.3 30.4##person turn a light on.\n",
        "Charades_v1_train.csv": CHARADES_COLUMNS + "".join(
            _ROW.format(*row) for row in (("AO8RW", 33.67), ("Y6R7T", 30.5), ("LEOL6", 31.2))),
        "Charades_v1_test.csv": CHARADES_COLUMNS + _ROW.format("3MSZA", 30.96),
    },
    "qvhighlights": QVHIGHLIGHTS,
}
