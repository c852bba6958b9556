"""Videos that are cut out of longer ones."""

import re

from mla_jax.data.annotations.schema import Video

_SECONDS = r"([0-9]{1,6}(?:\.[0-9]{1,6})?)"
_NAME = re.compile(rf"(.+)_{_SECONDS}_{_SECONDS}")


def cut_video(name: str) -> Video:
  """The video of a name such as "inUvyZl_hjA_180_240" or "_6hnl_BrFvs_360.0_510.0".

  It has a file of that name, or is those seconds of a file that is called what stands before them.
  """
  match = _NAME.fullmatch(name)
  if match is None or float(match[2]) >= float(match[3]):
    return Video(name, (name,))
  return Video(name, (name,), (match[1],), (float(match[2]), float(match[3])))
