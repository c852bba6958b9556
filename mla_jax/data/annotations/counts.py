"""Sizes to print beside the published ones."""

from collections.abc import Mapping, Sequence

from mla_jax.data.annotations.schema import Count, TextItem


def split_counts(
    items: Sequence[TextItem],
    what: str,
    official: Mapping[str, int | None],
    videos: Mapping[str, int | None],
) -> list[Count]:
  """The texts and the videos of every split that is there; `official` and `videos` by split."""
  counts = []
  for split in dict.fromkeys(item.split for item in items):
    texts = [item for item in items if item.split == split]
    counts += [
        Count(f"{split} {what}", len(texts), official.get(split)),
        Count(f"{split} videos", len({item.video_id for item in texts}), videos.get(split)),
    ]
  return counts


def type_counts(
    types: Mapping[str, Sequence[str]],
    order: Sequence[str],
    official: Mapping[str, Mapping[str, int]],
) -> list[Count]:
  """The questions of each type; `types` by split, in the order `order`, those found none left out.

  Args:
    types: split -> the type of each question.
    order: the types.
    official: split -> type -> published number.
  """
  return [
      Count(f"{split} questions: {kind}", list(found).count(kind),
            official[split].get(kind, 0) if split in official else None)
      for split, found in types.items()
      for kind in order if kind in found or kind in official.get(split, ())]
