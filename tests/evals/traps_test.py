"""Where other code bases went wrong in evaluation, each trap a test named after it.

The numbers quoted were counted from the public files; tests on those files read the folder of real
data and are skipped where it is absent.
"""

import collections
import csv
import gzip
import json
import pathlib

import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import (
  audit,
  counting,
  didemo,
  highlights,
  leakage,
  localisation,
  multiple_choice,
  qa,
  question_types,
  retrieval,
)


def test_open_ended_qa_denominator_is_the_full_split() -> None:
  """EMCL-QA drops test questions whose answer is outside the vocabulary: accuracy x 1.07."""
  vocabulary = ["man", "dog"]
  answers = ["man", "dog", "zebra", "man"]
  predicted = ["man", "man", "man", "man"]
  found = qa.accuracy(predicted, answers, ["what"] * 4, vocabulary, resamples=2)
  kept = [(p, a) for p, a in zip(predicted, answers, strict=True) if a in vocabulary]
  dropped = 100 * np.mean([p == a for p, a in kept])
  assert found["accuracy"] == 50.0
  assert dropped == pytest.approx(200 / 3)
  # And a label space with the test's own answers would let a model say "zebra".
  assert found["ceiling"] == 75.0


def test_open_ended_qa_ceiling_stands_beside_the_accuracy(real_data: pathlib.Path) -> None:
  """MSVD-QA, train answers only: 91.1 % with the 1,000 most frequent, 94.1 % with all 1,852."""
  folder = real_data / "annotations" / "msvd_qa"
  train = json.loads(gzip.decompress((folder / "train_qa.json.gz").read_bytes()))
  test = json.loads((folder / "test_qa.json").read_text())
  counts = collections.Counter(row["answer"] for row in train)
  by_frequency = [answer for answer, _ in counts.most_common()]
  answers = [row["answer"] for row in test]
  types = [row["question"].split()[0] for row in test]
  ceilings = []
  for vocabulary in (by_frequency[:1000], by_frequency):
    always = np.zeros(len(answers), int)  # The most frequent answer: 14.1 %.
    found = qa.accuracy(always, answers, types, vocabulary, resamples=2)
    ceilings.append(round(found["ceiling"], 1))
    assert round(found["accuracy"], 1) == 14.1
    assert found["questions"] == 13157
  assert len(by_frequency) == 1852
  assert ceilings == [91.1, 94.1]


def test_msvd_is_multi_caption_and_not_paragraph_retrieval() -> None:
  """UMT published 72.2 R@1 with paragraphs, 49.0 with the captions one by one."""
  rng = np.random.default_rng(0)
  video = rng.normal(size=(200, 32))
  owner = np.repeat(np.arange(200), 20)
  text = video[owner] + 3 * rng.normal(size=(4000, 32))
  captions = retrieval.summarise(retrieval.text_to_video(text, video, owner), resamples=2)
  assert captions["queries"] == 4000  # Each caption asks.
  paragraph = text.reshape(200, 20, 32).sum(axis=1)
  merged = retrieval.text_to_video(paragraph, video, np.arange(200))
  assert merged.recall_at(1).mean() > 0.95
  assert captions["recall_at_1"] < 60


def test_msvd_captions_of_several_videos_cannot_be_certain(real_data: pathlib.Path) -> None:
  """27,763 captions of 670 videos, 4,372 of them also of another: a perfect text encoder misses."""
  folder = real_data / "annotations" / "msvd_ret"
  captions = json.loads(gzip.decompress((folder / "captions_msvd.json.gz").read_bytes()))
  names = (folder / "test_list.txt").read_text().split()
  texts = [(text, i) for i, name in enumerate(names) for text in captions[name]]
  assert (len(names), len(texts)) == (670, 27763)
  owners: dict[str, set[int]] = {}
  for text, video in texts:
    owners.setdefault(text, set()).add(video)
  assert sum(len(owners[text]) > 1 for text, _ in texts) == 4372
  owner = np.array([video for _, video in texts])
  scores = np.zeros((len(texts), len(names)), np.float32)
  for row, (text, _) in enumerate(texts):
    scores[row, list(owners[text])] = 1.0
  found = retrieval.text_to_video_from_scores(scores, owner).recall_at(1).mean()
  assert found == pytest.approx(np.mean([1 / len(owners[text]) for text, _ in texts]))
  assert found < 0.95


def test_video_to_text_takes_the_best_of_several_captions() -> None:
  """One good caption of many finds the video; a mean over the captions would lose it."""
  scores = np.array([[0.9, 0.0], [0.0, 0.0], [0.0, 0.0], [0.5, 0.6], [0.5, 0.6], [0.5, 0.6]])
  owner = np.array([0, 0, 0, 1, 1, 1])
  ranks = retrieval.video_to_text_from_scores(scores, owner)
  assert ranks.rank.tolist() == [1.0, 1.0]
  assert len(ranks.rank) == 2  # A query a video, not a caption.
  means = scores.reshape(2, 3, 2).mean(axis=1)
  assert means[0, 0] < means[1, 0]


def test_retrieval_ties_give_one_rank_a_query() -> None:
  """CLIP4Clip, MIL-NCE and MMPT give a query several ranks; Frozen gives 100 % for constants."""
  scores = np.ones((40, 40))
  places = np.where(np.sort(-scores, axis=1) - np.diag(-scores)[:, None] == 0)[1]
  assert len(places) == 1600
  optimistic = 1 + (scores > np.diag(scores)[:, None]).sum(axis=1)
  assert (optimistic == 1).all()
  for rank in (retrieval.text_to_video_from_scores, retrieval.video_to_text_from_scores):
    found = retrieval.summarise(rank(scores, np.arange(40)), resamples=2)
    assert found["queries"] == 40
    assert found["recall_at_1"] == pytest.approx(2.5)
    assert found["mean_rank"] == pytest.approx(20.5)


def test_retrieval_targets_below_zero_are_no_misses() -> None:
  """torchmetrics' retrieval_recall zeroes targets whose score is at most 0."""
  scores = np.array([[-0.1, -0.2], [-0.3, -0.1]])
  found = retrieval.text_to_video_from_scores(scores, np.arange(2))
  assert found.recall_at(1).tolist() == [1.0, 1.0]


def test_activitynet_qa_free_is_by_type_id() -> None:
  """The official eval.py sums `list(type_count.values())[3:]`, in order of first occurrence.

  The correct answers it sums by id, so with yes/no first and motion fourth in the file its "Free"
  is a numerator of the free types over a denominator of others.
  """
  types = [3] * 6 + [8] * 4 + [6] * 2 + [0] * 2 + [1] * 2 + [2] * 2
  right = np.array([1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 1, 0] + [0] * 6, bool)
  type_count: dict[int, int] = {}
  corrects = dict.fromkeys(range(9), 0)
  for kind, correct in zip(types, right, strict=True):
    type_count[kind] = type_count.get(kind, 0) + 1
    corrects[kind] += int(correct)
  official = sum(list(corrects.values())[3:]) / sum(list(type_count.values())[3:])
  found = qa.accuracy(
      np.where(right, 0, 1), ["yes"] * 18, types, ["yes", "no"],
      dataset_types=question_types.ACTIVITYNET_QA, resamples=2,
  )
  assert official == pytest.approx(8 / 6)  # More than everything.
  assert found["by_group"]["free"] == {
      "accuracy": pytest.approx(100 * 8 / 12), "ceiling": 100.0, "questions": 12
  }
  assert found["accuracy"] == pytest.approx(100 * 8 / 18)


def test_tgif_count_names_its_labels() -> None:
  """A quarter of the labels is 0; clipping them as well as the predictions flatters the error."""
  rng = np.random.default_rng(0)
  labels = np.where(rng.random(4000) < 0.258, 0, rng.integers(1, 11, 4000))
  found = counting.errors(np.full(4000, 3.2), labels, resamples=2)
  zeros = np.mean(labels == 0)
  # (3 - 0)^2 against (3 - 1)^2 on every 0.
  gap = found["mse_raw_labels"] - found["mse_clipped_labels"]
  assert gap == pytest.approx(5 * zeros)
  ones = counting.errors(np.zeros(4000), labels, resamples=2)
  assert ones["accuracy_clipped_labels"] - ones["accuracy_raw_labels"] == pytest.approx(100 * zeros)
  assert "mse" not in found  # None without its kind.


def test_multiple_choice_constant_scores_are_chance() -> None:
  """How2QA's release has the right answer first, where an argmax looks first."""
  scores = np.zeros((50, 4))
  assert (scores.argmax(axis=1) == 0).mean() == 1.0
  found = multiple_choice.accuracy(scores, np.zeros(50, int), ["what"] * 50, resamples=2)
  assert found["accuracy"] == found["chance"] == 25.0


def test_leakage_of_msrvtt_9k_train_into_the_qa_test(real_data: pathlib.Path) -> None:
  """9k train holds 1,990 of the 2,990 videos of MSRVTT-QA's test (the standard split), 7k none."""
  lists = {
      name: [row["video_id"] for row in csv.DictReader(path.open(newline=""))]
      for name in ("train.9k", "train.7k", "test.full")
      for path in [real_data / "annotations" / "msrvtt_ret" / f"MSRVTT_{name}.csv"]
  }
  test = lists["test.full"]
  shared = {
      name: leakage.overlap(lists[name], lists[name], test, test)["videos"]["shared"]
      for name in ("train.9k", "train.7k")
  }
  assert len(test) == 2990
  assert shared == {"train.9k": 1990, "train.7k": 0}


def test_leakage_of_msvd_qa_val_into_the_retrieval_test(real_data: pathlib.Path) -> None:
  """MSVD-QA's val videos are 100 of the retrieval val and 150 of the retrieval test."""
  folder = real_data / "annotations"
  mapping = [
      line.split() for line in (folder / "msvd_qa" / "youtube_mapping.txt").read_text().splitlines()
  ]
  val = [name for name, number in mapping if 1201 <= int(number.removeprefix("vid")) <= 1450]
  shared = {}
  for split in ("val", "test"):
    names = (folder / "msvd_ret" / f"{split}_list.txt").read_text().split()
    shared[split] = leakage.overlap(val, val, names, names)["videos"]["shared"]
  assert shared == {"val": 100, "test": 150}


@pytest.mark.parametrize("devices", [1, 2, 3, 4, 8])
def test_padding_of_the_last_batch_is_not_scored(devices: int) -> None:
  """ALPRO's counts are those of the files + 3: the rows that filled the last batch of 8 GPUs."""
  count = 37
  rows = -count % (4 * devices) + count
  example_id = np.minimum(np.arange(rows), count - 1)
  mask = np.arange(rows) < count
  audit.check_ids(example_id[mask], count)
  if not mask.all():
    with pytest.raises(UserError, match="scored more than once"):
      audit.check_ids(example_id, count)


def test_didemo_counts_the_best_three_annotators() -> None:
  """Of four, one that disagrees does not matter; two that do, do."""
  scores = np.array([[float(moment == (1, 2)) for moment in didemo.MOMENTS]])
  one = didemo.accuracy(scores, [[[1, 2], [5, 5], [1, 2], [1, 2]]], resamples=2)
  assert (one["rank_at_1"], one["mean_iou"]) == (100.0, 100.0)
  two = didemo.accuracy(scores, [[[1, 2], [5, 5], [1, 2], [5, 5]]], resamples=2)
  assert two["rank_at_1"] == 0.0
  assert two["mean_iou"] == pytest.approx(200 / 3)


def test_qvhighlights_needs_several_moments_and_very_good_clips() -> None:
  """mAP asks for all moments, R1 for one; HIT@1 for a clip that one annotator finds very good."""
  truth = [{
      "qid": 1, "vid": "v", "duration": 20, "relevant_windows": [[0, 4], [10, 20]],
      "relevant_clip_ids": [0, 1, 5],
      "saliency_scores": [[3, 3, 3], [4, 1, 1], [2, 2, 2]],
  }]
  row = {
      "qid": 1, "pred_relevant_windows": [[0, 4, 0.9]],
      "pred_saliency_scores": [0.0, 1.0, *[0.0] * 8],
  }
  found = highlights.evaluate([row], truth, resamples=2)
  assert found["full"]["MR-R1"]["0.7"] == 100.0
  assert found["full"]["MR-mAP"]["average"] == 50.0
  assert found["HL-min-VeryGood"]["HL-Hit1"] == 100.0
  row["pred_saliency_scores"] = [1.0, *[0.0] * 9]
  found = highlights.evaluate([row], truth, resamples=2)
  assert found["HL-min-VeryGood"]["HL-Hit1"] == 0.0
  assert found["HL-min-Good"]["HL-Hit1"] == 100.0


def test_charades_rows_without_length_stay_in_the_denominator(real_data: pathlib.Path) -> None:
  """4 lines of train end before they start (`LEOL6 8.0 7.0`): counted, and never found."""
  path = real_data / "annotations" / "charades_sta" / "charades_sta_train.txt"
  rows = [line.split("##")[0].split() for line in path.read_text().splitlines()]
  truth = np.array([[float(start), float(end)] for _, start, end in rows])
  found = localisation.recall_at_iou(
      truth[:, None], np.zeros((len(truth), 1)), truth,
      clusters=np.array([name for name, _, _ in rows]), resamples=2,
  )
  assert found["queries"] == 12408
  assert found["moments_without_length"] == 4
  assert found["recall_at_1_iou_0.7"] == pytest.approx(100 * (12408 - 4) / 12408)
