"""What a training run and its evaluation share: the workdir's files, the reader, the model."""

import dataclasses
import json
import pathlib
import re
import shutil

import jax
from ml_collections import ConfigDict

from mla_jax import checkpoints, config_lib, processes, sharding, whole_files
from mla_jax.data import answers as answers_lib
from mla_jax.data import record_format, selection, sources, subtitles
from mla_jax.data.annotations.files import read_json
from mla_jax.data.examples import Shapes
from mla_jax.data.prepared import family_dir, fingerprint, only_grew
from mla_jax.data.reader import Reader
from mla_jax.data.records import MediaStore
from mla_jax.data.sources import Texts
from mla_jax.data.text import (
  TOKENIZER_FILES,
  TOKENIZER_JSON,
  Tokenizer,
  stored_name,
  stored_tokenizer,
)
from mla_jax.errors import UserError
from mla_jax.log import logger
from mla_jax.models.build import build_model
from mla_jax.models.mla import MLA
from mla_jax.models.pretrained import check_pretrained
from mla_jax.models.text_encoder import TextConfig
from mla_jax.tasks.base import Evaluate, Task
from mla_jax.tasks.registry import make_task

BEST_METRIC = "dev_score"  # Evaluation.main on the texts kept for selection.
# What says where and how a run is computed, and not what: it may change when the run goes on. (More
# micro-batches, and of several those on another number of devices, draw another dropout, as another
# seed would.) Not so a folder of pretrained weights, which may hold others.
_HOW = re.compile(
    r"(mesh|sharding)\..+|loss\.impl|model\.(remat|text\.cache)|data\.(dir|workers)"
    r"|train\.(micro_batches|log_every|eval_every|checkpoint_every|keep_last|hang_seconds)"
    r"|eval\.(batch_size|bootstrap|examples)"
)


@dataclasses.dataclass(frozen=True)
class Run:
  """A config made real: everything but the data split and the parameters."""

  config: ConfigDict
  workdir: pathlib.Path
  mesh: jax.sharding.Mesh
  model: MLA
  task: Task
  reader: Reader
  evaluate: Evaluate
  shown_examples: int  # In the report.


def open_run(config: ConfigDict, workdir: pathlib.Path) -> Run:
  """Opens the media and the workdir's tokenizer and answers; builds model, task and mesh.

  Raises:
    UserError: no run could have such a config, or the prepared data does not fit it (kind or width
      of the media, vocabulary).
  """
  task = make_task(config)
  model = build_model(
      config.model,
      init_temperature=config.loss.init_temperature,
      init_bias=config.loss.init_bias,
  )
  found = stored_tokenizer(workdir)
  tokenizer = Tokenizer.load(found)
  if tokenizer.vocab_size > config.model.text.vocab_size:
    raise UserError(
        f"{found}: has {tokenizer.vocab_size} pieces, the model embeds "
        f"{config.model.text.vocab_size}; set --config.model.text.vocab_size"
    )
  mesh = sharding.make_mesh(config.mesh)
  reader = Reader(
      media=_open_media(config) if config.model.use_video else None,
      tokenizer=tokenizer,
      shapes=_shapes(config.data),
      answers=_answers(workdir, config) if task.needs_answers else None,
      wanted=task.wanted,
      devices=mesh.size,
      places=sharding.batch_places(mesh),
      workers=_workers(config.data),
  )
  evaluate = task.evaluator(model, mesh, reader)
  return Run(config, workdir, mesh, model, task, reader, evaluate, config.eval.examples)


def _workers(data: ConfigDict) -> int:
  count: int = data.workers
  if count < 0:
    raise UserError(f"data.workers={count}: must be at least 0, which is the process itself")
  return count


def open_sources(run: Run) -> tuple[sources.Source, ...]:
  """What fills the training batches: texts without a moment only where the task can do without."""
  wanted = run.task.wanted
  return sources.open_sources(
      run.config.data,
      with_video=run.config.model.use_video,
      moments=wanted.moment and not wanted.optional,
  )


def open_dev(run: Run) -> Texts | None:
  """The texts that select the best step; None when the last one is kept."""
  dev = selection.open_dev(run.config.data, with_video=run.config.model.use_video)
  return None if dev is None else _evaluable(run, dev)


def _evaluable(run: Run, texts: Texts) -> Texts:
  return sources.with_moments(texts) if run.task.wanted.moment else texts


def open_evaluated(run: Run) -> Texts:
  """The texts of `data.eval_split`; "dev" is what selects the best step.

  Raises:
    UserError: there is no such split, nothing in it can be used, or it lacks wanted subtitles.
  """
  data = run.config.data
  with_video = run.config.model.use_video
  if data.eval_split == sources.DEV:
    texts = selection.require_dev(data, with_video=with_video)
  else:
    texts = sources.open_texts(data, data.eval_texts, data.eval_split, with_video=with_video)
  subtitles.check_prepared(texts.store, run.task.wanted.subtitles)
  return _evaluable(run, texts)


def open_checkpoints(run: Run, *, read_only: bool = False) -> checkpoints.Checkpointer:
  """The run's checkpoints; where there are texts that select, the best is kept too."""
  return checkpoints.Checkpointer(
      run.workdir / "checkpoints",
      keep_last=run.config.train.keep_last,
      metric=BEST_METRIC if selection.selected_on(run.config.data) else None,
      read_only=read_only,
  )


def start_workdir(config: ConfigDict, workdir: pathlib.Path) -> None:
  """Gives a new workdir what a run reads from it; a used one must hold the same run.

  It may be computed elsewhere and in another way than before (another mesh, ring losses, more
  workers), with its data in another folder: the workdir's config is then the new one. The media may
  have got more videos. Of several processes the first writes; the others may read after
  `processes.wait_for_all`. What a new workdir lacks is its config: `keep_config`.

  Raises:
    UserError: the workdir holds a run of another config or on other data, or the prepared data is
      not there.
  """
  saved, prepared = workdir / "config.json", workdir / "data.json"
  family, tokenizer = family_dir(config), _tokenizer(config)
  text = TextConfig.from_config(config.model.text, config.model.width)
  if saved.exists():
    changes = _check_same_run(config, saved)
    _check_same_data(config, prepared)
    if changes and processes.is_first():
      logger.info("%s: goes on with %s", workdir, "; ".join(changes))
      config_lib.save_config(config, saved)
    return
  if not processes.is_first():
    return
  if text.pretrained:  # Before its tokenizer is copied.
    check_pretrained(text)
  for name in (*TOKENIZER_FILES, record_format.ANSWERS):  # Left by a start that failed.
    (workdir / name).unlink(missing_ok=True)
  _copy(tokenizer, workdir / stored_name(tokenizer))
  for source in config.data.sources.values():
    found = family / source.texts / record_format.ANSWERS
    if found.exists():
      _copy(found, workdir / record_format.ANSWERS)
  whole_files.write_text(prepared, json.dumps(fingerprint(config), indent=2) + "\n")


def keep_config(config: ConfigDict, workdir: pathlib.Path) -> None:
  """Makes a started workdir complete and this run's own: another config is refused from now on.

  So it comes with the first checkpoint: until then an error may tell to mend the config.
  """
  saved = workdir / "config.json"
  if processes.is_first() and not saved.exists():
    config_lib.save_config(config, saved)


def _check_same_run(config: ConfigDict, saved: pathlib.Path) -> list[str]:
  """What differs from the saved config and may."""
  changes = config_lib.diff_configs(config_lib.read_config(saved), config)
  different = [change for change in changes if not _HOW.fullmatch(change.split(":")[0])]
  if different:
    raise UserError(
        f"{saved.parent}: holds a run of another config ({'; '.join(different[:3])}); "
        "use another --workdir or the same config"
    )
  return changes


def _check_same_data(config: ConfigDict, prepared: pathlib.Path) -> None:
  if not prepared.exists():
    raise UserError(
        f"{prepared}: not there, so nobody knows on which data the run was trained (by an older "
        "version?); use another --workdir"
    )
  before, now = read_json(prepared, dict), fingerprint(config)
  for name in sorted(before | now):
    if before.get(name) != now.get(name) and not only_grew(config, name, before.get(name)):
      raise UserError(
          f"{prepared.parent}: was trained on other data than {family_dir(config) / name} holds "
          "now (prepared anew from other files, or otherwise?); use another --workdir"
      )


def _open_media(config: ConfigDict) -> MediaStore:
  directory = family_dir(config) / "media"
  media = MediaStore.open(directory)
  kind = {"features": "features", "pixels": "jpeg"}[config.model.video.kind]  # A model's: checked.
  if media.kind != kind:
    raise UserError(
        f"{directory}: holds {media.kind}, model.video.kind={config.model.video.kind!r} needs "
        f"{kind}; prepare such media, or change the config"
    )
  if kind == "features" and media.feature_width != config.model.video.feature_width:
    raise UserError(
        f"{directory}: features are {media.feature_width} wide, the model reads "
        f"{config.model.video.feature_width}; set --config.model.video.feature_width"
    )
  if kind == "jpeg":
    _warn_of_small_frames(directory, media, config.data.image_size)
  return media


def _warn_of_small_frames(directory: pathlib.Path, media: MediaStore, image_size: int) -> None:
  stored = media.manifest["settings"]["short_side"]
  if stored < image_size:
    logger.warning(
        "%s: frames are stored with a short side of %d px and enlarged to data.image_size=%d: "
        "prepare them with --short_side=%d or more", directory, stored, image_size, image_size
    )


def _shapes(data: ConfigDict) -> Shapes:
  return Shapes(
      frames=data.num_frames,
      video_segments=data.video_segments,
      text_length=data.text_length,
      text_segments=data.text_segments,
      captions=sources.slots(data),
      image_size=data.image_size,
      crop_scale=data.crop_scale,
      frame_jitter=data.frame_jitter,
  )


def _answers(workdir: pathlib.Path, config: ConfigDict) -> dict[str, int]:
  path = workdir / record_format.ANSWERS
  if not path.exists():
    raise UserError(f"{path}: not there; no training source of this config has answers")
  ranked = answers_lib.read_answers(path)
  return {answer: number for number, (answer, _) in enumerate(ranked[: config.model.num_answers])}


def _tokenizer(config: ConfigDict) -> pathlib.Path:
  """The file a new workdir gets its tokenizer from: pretrained weights bring their own."""
  given, pretrained = config.data.tokenizer, config.model.text.pretrained
  return pathlib.Path(pretrained) / TOKENIZER_JSON if pretrained else family_dir(config) / given


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
  if not source.exists():
    others = [source.with_name(name) for name in TOKENIZER_FILES]
    near = next((f"there is {other.name}" for other in others if other.exists()), "")
    raise UserError(
        f"{source}: not there{near and f' ({near})'}; prepare the dataset that makes it (see"
        " data.tokenizer)"
    )
  shutil.copyfile(source, target)
