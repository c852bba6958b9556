"""What is said in a video, read behind a question and its candidate."""

from collections.abc import Sequence

from mla_jax.data.annotations.schema import Subtitle
from mla_jax.data.record_format import TextRecord
from mla_jax.data.records import TextStore
from mla_jax.errors import UserError, check_choice

CHOICES = ("", "all", "moment")


def check_subtitles(which: str, task: str) -> None:
  """Raises UserError for what is none of `CHOICES`, and for a task that does not read them."""
  check_choice("data.subtitles", which, CHOICES)
  if which and task != "multiple_choice_qa":
    raise UserError(
        f"data.subtitles={which!r}: task {task!r} reads none: use 'multiple_choice_qa', or ''"
    )


def check_prepared(store: TextStore, which: str) -> None:
  """Raises UserError where subtitles are wanted and the texts were prepared without any.

  An absent subtitle file costs half of the accuracy on TVQA and looks like a weak model.
  """
  if which and "subtitles" not in store.manifest["fields"]:
    raise UserError(
        f"{store.directory}: data.subtitles={which!r}, and no text in it has subtitles: prepare it "
        "again with the subtitle file beside the annotations, or set --config.data.subtitles="
    )


def spoken(record: TextRecord, which: str) -> str:
  """The subtitles of a question as one text, in the order of the file.

  Args:
    record: the question.
    which: "all" lines of the video; those at the "moment" the question is about, of which a line
      may be a part, all where the question has no time stamps; "" none.
  """
  if not which:
    return ""
  lines: Sequence[Subtitle] = record.subtitles
  if which == "moment" and record.moments:
    lines = [
        line
        for line in lines
        if any(line.start <= end and line.end >= start for start, end in record.moments)
    ]
  return " ".join(line.text for line in lines)
