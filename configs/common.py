"""Every key a run has, with the values most runs keep; a run's own file changes what differs."""

import ml_collections
from ml_collections import ConfigDict


def base(name: str, task: str) -> ConfigDict:
  """Every key a run has, with the values most runs keep."""
  config = ConfigDict()
  config.name = name
  # "retrieval", "open_ended_qa", "multiple_choice_qa", "counting" or "localisation".
  config.task = task
  config.seed = 0
  config.data = data()
  config.model = model()
  config.loss = loss()
  config.optimizer = optimizer()
  config.train = train()
  config.eval = evaluation()
  config.mesh = ConfigDict({"data": -1, "fsdp": 1})  # -1: all devices that are left.
  config.sharding = sharding()
  return config


def sharding() -> ConfigDict:
  """Where parameters live, and with each its optimizer state and moving average."""
  config = ConfigDict()
  # (regex over the path, where), first match wins: "fsdp", or the mesh axis of each dimension.
  config.rules = ((".*", "fsdp"),)
  config.min_size = 2**14  # Of "fsdp": parameters of fewer elements are whole on every device.
  config.lint_bytes = 2**20  # A whole parameter larger than this is reported.
  return config


def data() -> ConfigDict:
  config = ConfigDict()
  config.dir = ml_collections.config_dict.placeholder(str)  # What `prepare --out` wrote.
  config.family = ml_collections.config_dict.placeholder(str)  # E.g. "msrvtt".
  config.sources = ConfigDict()  # Name -> source(); their rows fill the global batch.
  config.eval_texts = "retrieval"  # Folder of the evaluated texts inside the family.
  config.eval_split = "test"  # "dev": what selects the best step, to choose settings by.
  config.dev_fraction = 0.1  # Share of the train videos, by keyed hash, that select the best step.
  config.dev_split = ""  # Instead: an official split that selects, e.g. "val"; with dev_fraction 0.
  config.select_on_test = False  # Allows a dev_split that is the test split.
  # Inside the family's folder, or anywhere by a whole path; .model is SentencePiece, .json what the
  # tokenizers library writes. Not read where model.text.pretrained brings its own.
  config.tokenizer = "retrieval/tokenizer.model"
  config.candidates = 5  # Room for them in multiple choice; questions may have fewer.
  # Multiple choice: what is said, read behind each candidate: "all", or at the question's "moment".
  config.subtitles = ""
  config.captions = 1  # Texts a source draws for a video, which is encoded once for all of them.
  config.num_frames = 8
  config.frame_jitter = 1.0  # Where in its run a training frame is: 0 = the middle, 1 = anywhere.
  config.video_segments = 4
  config.text_length = 32
  config.text_segments = 4
  # Processes that make training rows; 0: this one, whose Python keeps one core busy. It changes no
  # batch.
  config.workers = 0
  config.image_size = 112  # Pixels only.
  config.crop_scale = 0.8  # Pixels only: smallest side of a training crop, as a share.
  return config


def source(
    texts: str,
    split: str,
    rows: int,
    *,
    unit: str = "video",
    sentences: int = 0,
    beside: dict[str, ConfigDict] | None = None,
) -> ConfigDict:
  """Where `rows` rows of every global batch come from.

  Args:
    texts: folder of the texts inside the family, e.g. "retrieval".
    split: split of those texts.
    rows: rows of the global batch.
    unit: "video" walks over videos and draws `data.captions` texts for each; "text" over texts.
    sentences: longest run of timed sentences drawn from a paragraph; 0 takes the whole text.
    beside: name -> beside(): texts of other tasks about the row's video, which is encoded once.
  """
  return ConfigDict({
      "texts": texts,
      "split": split,
      "rows": rows,
      "unit": unit,
      "sentences": sentences,
      "beside": beside or {},
  })


def beside(texts: str, count: int, *, sentences: int = 0) -> ConfigDict:
  """`count` texts of another folder, of the same split, for every row of a source."""
  return ConfigDict({"texts": texts, "count": count, "sentences": sentences})


def model() -> ConfigDict:
  config = ConfigDict()
  config.width = 256
  config.embed_dim = 256
  config.dtype = "float32"  # Of the activations; parameters, norms and losses stay float32.
  config.use_video = True  # False: the text-only twin of the same model.
  config.dropout = 0.1
  config.scan = False  # Over the layers of a stack: they are compiled once.
  config.remat = "none"  # What the backward pass computes again: "full", "dots", "no_batch_dots".
  config.video = ConfigDict({
      "kind": "features",  # Or "pixels".
      "feature_width": 1280,
      "feature_dropout": 0.0,  # Of the features, and of the hidden layer that follows.
      "head_hidden": 0,  # Width of an MLP from what is pooled to the shared space; 0: a projection.
      # Beside the encoder, of features: an MLP of this width that guesses where a pretrained text
      # encoder has a clip's texts, and its dropout; 0: none. See eval.regression_score.
      "regressor_hidden": 0,
      "regressor_dropout": 0.5,
      "patch_size": 16,
      "frame_layers": 4,
      "motion": False,  # Pixels only: show each patch what changed since the frame before.
      "temporal_layers": 1,
      "heads": 4,
      "max_frames": 64,
  })
  config.text = ConfigDict({
      "kind": "scratch",  # Or "bert": variants.bert_text(); keys behind token_dropout are its own.
      "vocab_size": 4000,
      "layers": 2,
      "heads": 4,
      "max_length": 256,
      "token_dropout": 0.0,
      "width": 0,  # 0: the model's.
      "norm_epsilon": 1e-12,
      "pretrained": ml_collections.config_dict.placeholder(str),  # Folder; its tokenizer is used.
      "frozen_layers": -1,  # 0: the embeddings are not trained; N: nor are the first N layers.
      # Folder, shared by runs, for what the frozen layers make of the training texts.
      "cache": ml_collections.config_dict.placeholder(str),
      # Start the shared space as this encoder's own; text.width = model.width = embed_dim.
      "identity_heads": False,
  })
  # "cross": each layer of one side looks at the other. For small data (hidden in place of layers:
  # the width of their layers; 0: the model's): "late", an MLP over both sides pooled; "gated", one
  # layer, in which the text says what of the video counts.
  # `words`: those two also read the mean of the text's tokens, before any layer; of a frozen BERT.
  config.fusion = ConfigDict(
      {"kind": "cross", "layers": 2, "heads": 4, "hidden": 0, "words": False}
  )
  # "answer"; "ordinal": P(count > k), k = 0 .. num_answers - 1; "span": start and end of a moment.
  config.head = "answer"
  # What the head puts out: answers of open-ended QA, 1 (a score) of multiple choice and of counting
  # by regression, 2 of "span"; 0: no head.
  config.num_answers = 1000
  return config


def loss() -> ConfigDict:
  config = ConfigDict()
  config.task_weight = 1.0
  config.global_weight = 1.0
  config.segment_weight = 0.5
  config.impl = "dense"  # Or "ring": the same, block by block around the devices (docs/scaling.md).
  config.duplicates = "positive"  # Or "mask": texts of one video are never each other's negatives.
  config.label_smoothing = 0.0  # Of the answer softmax.
  config.global_kind = "softmax"  # Or "sigmoid".
  config.segment_pairing = "latent"  # "timed", "latent", or "timed+latent": times where known.
  config.segment_variant = "softmax"  # Of latent: "max", "softmax", "sinkhorn", "mil_nce".
  config.segment_temperature = 0.1
  config.overlap_upper = 0.5
  config.overlap_lower = 0.2
  config.init_temperature = 0.07
  config.init_bias = -10.0  # Sigmoid only.
  return config


def optimizer() -> ConfigDict:
  config = ConfigDict()
  config.name = "adamw"
  config.learning_rate = 1e-3
  config.warmup_steps = 100
  config.schedule = "cosine"
  config.final_lr_fraction = 0.0
  config.weight_decay = 0.05
  config.no_decay = (r".*/(bias|scale|.*log_scale|.*_bias)$",)
  config.b1 = 0.9
  config.b2 = 0.98
  config.clip_norm = 1.0
  config.lr_multipliers = ()  # (regex, factor) pairs, first match wins.
  config.freeze = ()  # Regexes.
  config.ema_decay = 0.0  # 0: no moving average.
  return config


def train() -> ConfigDict:
  config = ConfigDict()
  config.steps = 1000
  config.micro_batches = 1  # Parts a batch is embedded in, one after the other; the loss has all.
  config.log_every = 50
  config.eval_every = 250
  config.checkpoint_every = 250
  config.keep_last = 2
  config.hang_seconds = 3600.0  # Ends a run that does nothing for so long; 0: waits for ever.
  return config


def evaluation() -> ConfigDict:
  return ConfigDict({
      "batch_size": 64,  # At least: it is made a multiple of the devices.
      "bootstrap": 1000,
      "examples": 12,  # In the report.
      # Multiple choice and localisation: "head", or "contrastive": the similarity of video and
      # text, for which any checkpoint that was aligned will do.
      "scoring": "head",
      # Localisation: "windows" (R@n at IoU), "didemo" (21 moments), "qvhighlights" or "nextgqa".
      "moments": "windows",
      "nms": 0.5,  # Localisation: of two windows that overlap by more IoU the better one counts.
      # Retrieval is ranked by the mean of three scores; their weights: of the global cosine,
      "global_score": 1.0,
      "segment_score": 0.0,  # of the segments' score,
      "regression_score": 0.0,  # of the cosine between the regressor's guess and a text.
      # Retrieval: "dual_softmax", "sinkhorn": rows beside the plain ones; they see all queries.
      "rescoring": (),
  })
