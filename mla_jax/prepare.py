"""Prepares a dataset: python -m mla_jax.prepare DATASET --annotations=DIR --media=DIR --out=DIR."""

from absl import app, flags

from mla_jax import log
from mla_jax.errors import UserError, check_folder, exit_on_user_error

_ANNOTATIONS = flags.DEFINE_string("annotations", None, "Folder of the dataset's annotation files.")
_MEDIA = flags.DEFINE_string(
    "media", None,
    "Folder of videos (NAME.mp4 ...), of folders of images (NAME/) or of features (NAME.npy);"
    " without it the texts alone are prepared.")
_OUT = flags.DEFINE_string("out", None, "Folder to write OUT/FAMILY/media and OUT/FAMILY/TASK to.")
_FAMILY = flags.DEFINE_string("family", None, "Family to put the dataset in, if not its own.")
_SKIP_BROKEN = flags.DEFINE_bool("skip_broken", False, "Go on without broken and missing videos.")
_FRAME_RATE = flags.DEFINE_float(
    "frame_rate", None,
    "Frames a second: taken from a video (default 2), assumed of image folders and features"
    " (default 1).")
_SHORT_SIDE = flags.DEFINE_integer("short_side", 128, "Pixels of a stored frame's shorter side.")
_JPEG_QUALITY = flags.DEFINE_integer("jpeg_quality", 90, "Quality of the stored JPEG frames.")
_MAX_FRAMES = flags.DEFINE_integer(
    "max_frames", 0, "Thin longer videos evenly to so many frames; 0 keeps all.")
_WORKERS = flags.DEFINE_integer("workers", 0, "Processes that read media; 0: one a core.")
_SHARD_VIDEOS = flags.DEFINE_integer(
    "shard_videos", 256, "Videos a shard; an interrupted run loses at most one.", lower_bound=1)
_TOKENIZER = flags.DEFINE_string(
    "tokenizer", None, "SentencePiece model or tokenizer.json; none: train a SentencePiece model.")
_VOCAB_SIZE = flags.DEFINE_integer("vocab_size", 4000, "Pieces of the trained tokenizer.")
_SPACY_MODEL = flags.DEFINE_string("spacy_model", None, "spaCy model that cuts the phrases.")

_RUNNER = flags.DEFINE_string(
    "runner", None,
    "Apache Beam's runner, e.g. DirectRunner or FlinkRunner, that does the work on many machines;"
    " they must see all folders. --workers then counts the processes of each of its workers.")
_BEAM_FLAGS = flags.DEFINE_multi_string(
    "beam_flag", [], "Flag for Beam, e.g. --beam_flag=--direct_num_workers=2; may be repeated.")


@exit_on_user_error
def main(argv: list[str]) -> None:
  if len(argv) != 2 or _ANNOTATIONS.value is None or _OUT.value is None:
    raise UserError(
        "usage: python -m mla_jax.prepare DATASET --annotations=DIR --out=DIR [--media=DIR]")
  for flag in (_ANNOTATIONS, _MEDIA, _OUT):
    check_folder(f"--{flag.name}", flag.value)
  if _BEAM_FLAGS.value and _RUNNER.value is None:
    raise UserError("--beam_flag: there is no --runner to give it to: give one")
  log.configure()
  from mla_jax.data import prepare_dataset  # Heavy, and not needed for --help.
  from mla_jax.data.beam_tasks import Beam

  options = prepare_dataset.Options(
      dataset=argv[1],
      annotations=_ANNOTATIONS.value,
      media=_MEDIA.value,
      out=_OUT.value,
      family=_FAMILY.value,
      skip_broken=_SKIP_BROKEN.value,
      frame_rate=_FRAME_RATE.value,
      short_side=_SHORT_SIDE.value,
      jpeg_quality=_JPEG_QUALITY.value,
      max_frames=_MAX_FRAMES.value,
      num_workers=_WORKERS.value,
      shard_videos=_SHARD_VIDEOS.value,
      tokenizer=_TOKENIZER.value,
      vocab_size=_VOCAB_SIZE.value,
      spacy_model=_SPACY_MODEL.value,
      beam=Beam(_RUNNER.value, tuple(_BEAM_FLAGS.value)) if _RUNNER.value else None,
  )
  try:
    prepare_dataset.prepare(options)
  except KeyboardInterrupt:
    raise UserError("interrupted: run the same command again to go on where it stopped") from None


if __name__ == "__main__":
  app.run(main)
