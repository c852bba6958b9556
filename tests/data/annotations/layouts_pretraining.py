"""Tiny files in the layouts of the sets that models are pretrained on: see `layouts`."""

from collections.abc import Mapping
from typing import Any

WEBVID_HEADER = "videoid,contentUrl,duration,page_dir,name\n"
WEBVID: Mapping[str, Any] = {
    "results_10M_train.csv": WEBVID_HEADER + (
        "21179416,https://x/21179416.mp4,PT00H00M11S,006001_006050,Aerial shot winter forest\n"
        '5629184,https://x/5629184.mp4,PT00H01M29S,071501_071550,"Senior couple, looking"\n'
        "1063125190,https://x/1063125190.mp4,PT00H00M09S,120801_120850, A beautiful cookie \n"
        "28755790,https://x/28755790.mp4,PT00H00M00S,096801_096850,Waves\n"
        "2774,https://x/2774.mp4,PT00H00M09S,120801_120850,\n"),
    "results_10M_val.csv": WEBVID_HEADER + (
        "11111,https://x/11111.mp4,PT01H00M19S,000001_000050,A dog runs\n"),
}
HOWTO100M: Mapping[str, Any] = {
    "raw_caption.json": {
        "nVbIUDjzWY4": {
            "start": [0.84, 5.1, 30.0, 70.5], "end": [6.0, 9, 35.5, 74.0],
            "text": ["hello and welcome back", "today we are\ngoing to make", " a cake ", "enjoy"]},
        "-abcdefghij": {"start": [1, 2.5], "end": [3, 4.5], "text": ["cut the wood", "sand it"]},
        "silent_one0": {"start": [], "end": [], "text": []},
    },
}
FILES: dict[str, Mapping[str, Any]] = {"webvid_retrieval": WEBVID, "howto100m": HOWTO100M}
