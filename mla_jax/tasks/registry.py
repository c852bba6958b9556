"""The tasks by the name a config gives."""

from collections.abc import Callable

from ml_collections import ConfigDict

from mla_jax.errors import check_choice
from mla_jax.tasks.base import Task
from mla_jax.tasks.counting import Counting
from mla_jax.tasks.localisation import Localisation
from mla_jax.tasks.multiple_choice_qa import MultipleChoiceQA
from mla_jax.tasks.open_ended_qa import OpenEndedQA
from mla_jax.tasks.retrieval import Retrieval

TASKS: dict[str, Callable[[ConfigDict], Task]] = {
    "retrieval": Retrieval.from_config,
    "open_ended_qa": OpenEndedQA.from_config,
    "multiple_choice_qa": MultipleChoiceQA.from_config,
    "counting": Counting.from_config,
    "localisation": Localisation.from_config,
}


def make_task(config: ConfigDict) -> Task:
  """The task `config.task` names.

  Raises:
    UserError: there is none of that name, or it cannot be done without video.
  """
  check_choice("task", config.task, TASKS)
  return TASKS[config.task](config)
