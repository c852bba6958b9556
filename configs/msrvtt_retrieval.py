"""Text-video retrieval on MSR-VTT: trained on 9k, tested on 1k-A, from 12 frames of 224 px.

`...:split=7k` trains on 7k instead, which holds no test video of MSRVTT-QA; `...:split=full` is the
split of the data file, trained on 6,513 videos and tested on 2,990; `...:split=1k_b` is Miech's,
trained on 6,656 and tested on 1,000. `...:features` reads features instead of frames, `...:debug`
is tiny. Prepare: `msrvtt_retrieval --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg
from mla_jax.errors import check_choice

# Trained on, tested on. 1k-B has a list of its own: `train` holds 104 videos of its test split.
_SPLITS = {
    "9k": ("train_9k", "test_1k_a"),
    "7k": ("train_7k", "test_1k_a"),
    "full": ("train", "test"),
    "1k_b": ("train_1k_b", "test_1k_b"),
}


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, split="9k", features=False, debug=False)
  check_choice("config argument split", args.split, _SPLITS)
  config = common.base("msrvtt_retrieval", "retrieval")
  if args.split != "9k":
    config.name += f"_{args.split}"
  data = config.data
  data.family = "msrvtt"
  train, data.eval_split = _SPLITS[args.split]
  data.sources.captions = common.source("retrieval", train, 256)
  data.num_frames = 12
  config.model.num_answers = 0
  config.train.steps = 10_000
  if not args.features:
    variants.vit_base(config, frames=12)
  return variants.debug(config) if args.debug else config
