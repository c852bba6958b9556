"""Tiny files in the layouts of the question-answering sets: see `layouts`."""

from collections.abc import Mapping
import json
from typing import Any

_ACTION = "gif_name\tquestion\ta1\ta2\ta3\ta4\ta5\tanswer\tvid_id\tkey\r\n"
_COUNT = "gif_name\tquestion\tanswer\tvid_id\tkey\r\n"
_FRAME = "gif_name\tquestion\tanswer\ttype\tvid_id\tkey\tdescription\r\n"
NEXT = "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n"
_GQA = NEXT.replace("video,", "video_id,")
_OE = "video,frame_count,width,height,question,answer,qid,type\n"
_MAP = {"4010069381": "1106/4010069381", "2435100235": "0024/2435100235"}

TVQA: dict[str, Any] = {
    "a0": "A martini glass", "a1": "Nachos ", "a2": "Her purse", "a3": "Marshall's book",
    "a4": "A beer bottle", "answer_idx": 4, "q": "What is Robin holding?", "qid": 7,
    "show_name": "How I Met You Mother", "ts": "1.21-8.49", "vid_name": "met_s06e22_seg01_clip_02",
}
_TVQA_TEST = {key: value for key, value in TVQA.items() if key != "answer_idx"} | {
    "qid": 9, "ts": "NaN-nan", "vid_name": "s03e21_seg02_clip_08"}
SUBTITLES = [
    {"vid_name": "met_s06e22_seg01_clip_02", "sub": [
        {"text": "Ted : Hi.", "start": 0.5, "end": 1.25}, {"text": " ", "start": 2, "end": 3},
        {"text": "Robin :\nWhat?", "start": 4.0, "end": 3.0}]},
    {"vid_name": "s03e21_seg02_clip_08", "sub": [{"text": "No.", "start": 0, "end": 1}]},
]
TVQA_PLUS = {key: value for key, value in TVQA.items() if key != "show_name"} | {
    "answer_idx": "3", "ts": [0.0, 5.4], "bbox": {"1": [{"img_id": 1, "label": "Raj"}]}}
HOW2QA = "vid_id,start_end,wrong1,wrong2,wrong3,question,answer\n"
_HOW2QA_ROWS = (
    'inUvyZl_hjA,[190.5:201],red,blue,green,"What colour, then, is it?",white\n',
    "AhVbBlMtsp4,[59:65],two,one,three,How many?,four\n")

# Dataset -> file -> its text, or what it holds.
FILES: dict[str, Mapping[str, Any]] = {
    "msrvtt_mc": {"MSR_MC_test.csv":
        "key\tvid_key\ta1\ta2\ta3\ta4\ta5\tanswer\n"
        "0\tmsr7010\ta man sings\ta dog runs\ta cat\ta car drives\ttwo boys\t3\n"
        '1\tmsr7011\ta "fast" car\ta bird\ta tree\ta house\ta boat\t0\n'.replace(
            'a "fast" car', '"a ""fast"" car"')},
    "tgif_qa_action": {
        "Train_action_question.csv": _ACTION +
            "tumblr_a_250\tWhat is done 4 times ?\tflick\tchew\tshake\tpat\trun\t2\tACTION1\t5\r\n"
            'tumblr_b_250\tWhat is done ?\tjump\tsit\t"say ""no"""\trun\tbark\t0\tACTION2\t6\r\n',
        "Test_action_question.csv": _ACTION +
            "tumblr_c_250\tWhat does she do ?\tflap\tfall\ttalk\twave\tspin\t4\tACTION4\t26\r\n",
    },
    "tgif_qa_transition": {
        "Train_transition_question.csv": _ACTION +
            "tumblr_a_250\tWhat after sing ?\ttilt\ttip\tbow\trun\tnod\t1\tTRANS1\t5\r\n",
        "Test_transition_question.csv": _ACTION +
            "tumblr_c_250\tWhat before ?\tpoint\tdance\tlick\tdrift\tblink\t0\tTRANS24\t23\r\n"
            "tumblr_c_250\tWhat then ?\tpoint\tdance\tlick\tdrift\tblink\t3\tTRANS25\t23\r\n",
    },
    "tgif_qa_count": {
        "Train_count_question.csv": _COUNT +
            "tumblr_a_250\tHow many times does he wave ?\t0\tCOUNT1\t5\r\n"
            "tumblr_b_250\tHow many times does it jump ?\t10\tCOUNT2\t6\r\n",
        "Test_count_question.csv": _COUNT +
            "tumblr_c_250\tHow many times does she nod ?\t3\tCOUNT12\t52\r\n",
    },
    "tgif_qa_frameqa": {
        "Train_frameqa_question.csv": _FRAME +
            "tumblr_a_250\twhat is in the cone ?\tcookie\t0\tFRAMEQA1\t5\ta cookie in a cone .\r\n"
            "tumblr_b_250\thow many men ?\ttwo\t1\tFRAMEQA2\t6\ttwo men .\r\n",
        "Test_frameqa_question.csv": _FRAME +
            "tumblr_c_250\twhat is the colour ?\tred\t2\tFRAMEQA3\t7\ta red car .\r\n"
            "tumblr_c_250\twhere is it ?\tstreet\t3\tFRAMEQA4\t7\ta car in a street .\r\n",
    },
    "activitynet_qa": {
        "train_q.json": [
            {"video_name": "okC18bPTils", "question": "are they men ",
             "question_id": "v_okC18bPTils_3"},
            {"video_name": "okC18bPTils", "question": "where is it",
             "question_id": "v_okC18bPTils_4"}],
        "train_a.json": [
            {"answer": "outdoor", "type": 6, "question_id": "v_okC18bPTils_4"},
            {"answer": "no", "type": 3, "question_id": "v_okC18bPTils_3"}],
        "test_q.json": [{"video_name": "v_iQUIV7WYK", "question": "what moves",
                         "question_id": "v_v_iQUIV7WYK_1"}],
        "test_a.json": [{"answer": "dog", "type": 0, "question_id": "v_v_iQUIV7WYK_1"}],
    },
    "nextqa": {
        "train.csv": NEXT +
            "2435100235,100,640,480,why did he stop,3,1,CW,tired,afraid,red light,phone,a call\n",
        "val.csv": NEXT +
            "4010069381,369,640,480,how do they play,0,6,CH,roll it,tap,strum,hit,pat \n"
            "4010069381,369,640,480,what was before,4,2,TP,\"sit, then run\",tap,strum,hit,pat\n",
        "map_vid_vidorID.json": _MAP,
    },
    "nextqa_oe": {
        "train.csv": _OE +
            "2435100235,100,640,480,is he old,yes,1,DB\n"
            "2435100235,100,640,480,what did he do,crawl,1,TN\n",
        "test.csv": _OE + "4010069381,369,640,480,where is it,room,2,DL\n",
        "map_vid_vidorID.json": _MAP,
        "add_reference_answer_test.json": {"4010069381": {"2": "home "}},
    },
    "nextgqa": {
        "val.csv": _GQA +
            "4010069381,369,640,480,why did he stop,red light,1,CW,tired,ill,red light,phone,tap\n"
            "4010069381,369,640,480,how does he go,on foot,3,CH,on foot,by car,by bus,bike,tap\n",
        "gsub_val.json": {"4010069381": {
            "duration": 34, "location": {"1": [[1.2, 5.8]], "3": [[12.1, 17.1], [30.0, 35.5]]},
            "fps": 29.97}},
        "map_vid_vidorID.json": _MAP,
    },
    "how2qa": {
        "how2QA_train_release.csv": HOW2QA + "".join(_HOW2QA_ROWS),
        "how2QA_val_release.csv": HOW2QA + _HOW2QA_ROWS[0].replace("hjA", "hjB"),
    },
    "tvqa": {
        "tvqa_train.jsonl": [TVQA, TVQA | {"qid": 8, "ts": "5-5", "answer_idx": 0}],
        "tvqa_val.jsonl": [TVQA | {"qid": 10, "ts": "0-12.5"}],
        "tvqa_test_public.jsonl": [_TVQA_TEST],
        "tvqa_preprocessed_subtitles.jsonl": SUBTITLES,
    },
    "tvqa_plus": {
        "tvqa_plus_train.json": [TVQA_PLUS],
        "tvqa_plus_val.json": [TVQA_PLUS | {"qid": 8, "answer_idx": 1}],
        "tvqa_plus_test_public.json": [
            {k: v for k, v in TVQA_PLUS.items() if k != "answer_idx"} | {"qid": 11}],
        "tvqa_plus_subtitles.json": {TVQA["vid_name"]: {
            "sub_text": "ted : hi . <eos> robin : what ?", "sub_time": [0.5, 4.0]}},
    },
}

# How2QA in VALUE's release: another layout of the same dataset.
HOW2QA_VALUE: Mapping[str, Any] = {
    "how2qa_train_release.jsonl": [
        {"a0": "red", "a1": "blue", "a2": "green", "a3": "white", "answer_idx": 3, "q": "What?",
         "qid": 1, "ts": "10.5-21", "vid_name": "0"},
        {"a0": "one", "a1": "two", "a2": "three", "a3": "four", "answer_idx": 0, "q": "How many?",
         "qid": 2, "ts": "1-2", "vid_name": "77"}],
    "how2qa_test_public_release.jsonl": [
        {"a0": "red", "a1": "blue", "a2": "green", "a3": "white", "q": "Why?", "qid": 3,
         "ts": "3-4", "vid_name": "1"}],
    "how2_vid_mapping.json": {"0": "inUvyZl_hjA_180_240", "1": "AhVbBlMtsp4_0_60"},
    "subtitles.jsonl": [{"vid_name": "inUvyZl_hjA_180_240", "sub": [
        {"text": "so now", "start": 1.0, "end": 2.5}]}],
}
QUESTIONS_JSONL: Mapping[str, Any] = {
    "train.jsonl": "\n".join(json.dumps(line) for line in (
        {"answer": "couch", "question": "what do they sit on?", "video_id": "video6513",
         "answer_type": "what"},
        {"answer": "dog", "question": "who runs?", "video_id": "video6513.mp4"})),
}
QUESTIONS_CSV: Mapping[str, Any] = {
    "test.csv": "video,question,answer,qid,type\n"
                "7010,what is the video doing,regard,170859,10\n"
                '7010,"what, then",show,170860,10\n',
}
