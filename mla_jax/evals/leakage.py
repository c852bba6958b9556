"""What two sets of texts about videos share: videos and texts."""

from collections.abc import Sequence
from typing import Any

from mla_jax.errors import UserError

_SHOWN = 10


def overlap(
    videos_a: Sequence[str], texts_a: Sequence[str], videos_b: Sequence[str], texts_b: Sequence[str]
) -> dict[str, Any]:
  """Counts what of set B (say, a test split) is in set A (say, what a model was trained on).

  Args:
    videos_a, videos_b: the video of every text; ids are compared as they are.
    texts_a, texts_b: as many texts; compared without case, outer and repeated spaces and a final
      mark.

  Returns:
    A JSON-able dict: "videos" {"a", "b", "shared", "examples"}, distinct ids; "texts" {"a", "b"},
    all of them, "b_about_shared_videos", "b_in_a" (the text occurs in A, of whatever video),
    "b_in_a_same_video" and "examples" of b_in_a. The first ten examples, sorted.

  Raises:
    UserError: an empty set, or ids and texts that do not pair.
  """
  for name, videos, texts in (("A", videos_a, texts_a), ("B", videos_b, texts_b)):
    if not len(videos) or len(videos) != len(texts):
      raise UserError(
          f"leakage: {len(videos)} videos for {len(texts)} texts of {name}: give one a text, and "
          "a split that is not empty"
      )
  ids_a, ids_b = set(videos_a), set(videos_b)
  known = {_normal(text) for text in texts_a}
  pairs = set(zip(videos_a, map(_normal, texts_a), strict=True))
  normal_b = [_normal(text) for text in texts_b]
  repeated = [text for text, normal in zip(texts_b, normal_b, strict=True) if normal in known]
  return {
      "videos": {
          "a": len(ids_a),
          "b": len(ids_b),
          "shared": len(ids_a & ids_b),
          "examples": sorted(ids_a & ids_b)[:_SHOWN],
      },
      "texts": {
          "a": len(texts_a),
          "b": len(texts_b),
          "b_about_shared_videos": sum(video in ids_a for video in videos_b),
          "b_in_a": len(repeated),
          "b_in_a_same_video": sum(
              pair in pairs for pair in zip(videos_b, normal_b, strict=True)
          ),
          "examples": sorted(set(repeated))[:_SHOWN],
      },
  }


def _normal(text: str) -> str:
  return " ".join(text.lower().split()).rstrip("?.! ")
