"""What a step's collectives ask of the links between chips, and how long that takes at least."""

from collections import Counter
from collections.abc import Sequence

from mla_jax.planner.hlo import Collective
from mla_jax.planner.topology import Chip


def seconds_at_least(collectives: Sequence[Collective], chip: Chip, chips: int) -> float:
  """Seconds that no step is below, whatever goes on at the same time: the longest of three.

  - All that a chip sends, at the full rate of all its links, and of its port to other hosts. A ring
    sends (n - 1) / n of the whole, and twice that to sum it up everywhere.
  - All that one chip sends to one other: a message takes one link, or one port.
  - What leaves a host, over the ports of all its chips in equal shares.

  Args:
    collectives: of a step.
    chip: each of them.
    chips: how many.
  """
  pairs = _between_pairs(collectives)
  senders: Counter[int] = Counter()
  for (sender, _), size in pairs.items():
    senders[sender] += size
  port = chip.hosts.port if chip.hosts else 0.0
  shared = sum(_whole(one) * (1 - 1 / (one.group or chips)) for one in collectives)
  return max(
      (shared + max(senders.values(), default=0)) / (chip.link_bandwidth + port),
      max((size / _rate(pair, chip) for pair, size in pairs.items()), default=0.0),
      _port_bytes(collectives, chip, chips) / port if port else 0.0,
  )


def _between_pairs(collectives: Sequence[Collective]) -> Counter[tuple[int, int]]:
  """Bytes that permutations send, by sender and receiver."""
  found: Counter[tuple[int, int]] = Counter()
  for one in collectives:
    for sender, receiver in one.pairs:
      if sender != receiver:
        found[sender, receiver] += one.size * one.count
  return found


def _whole(one: Collective) -> int:
  """Bytes that all chips of a group have to see, as often as they do; 0 of a permutation."""
  rounds = {"all-reduce": 2, "collective-permute": 0}.get(one.kind, 1)
  return rounds * one.size * one.count


def _rate(pair: tuple[int, int], chip: Chip) -> float:
  """Bytes a second from one chip to one other. The chips of a host are consecutive."""
  if chip.hosts and pair[0] // chip.hosts.chips != pair[1] // chip.hosts.chips:
    return chip.hosts.port
  return chip.link_bandwidth / chip.links


def _port_bytes(collectives: Sequence[Collective], chip: Chip, chips: int) -> float:
  """Of a chip's port at least: of each group a host is taken to have as many chips as it can."""
  each = chip.hosts.chips if chip.hosts else chips
  return sum(
      _whole(one) * max(0.0, 1 / each - 1 / (one.group or chips)) for one in collectives
  )
