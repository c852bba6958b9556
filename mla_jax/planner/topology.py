"""Devices to compile for, and what their makers say of them."""

from collections.abc import Mapping
import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import os
import re

import jax
from jax.experimental import topologies

from mla_jax.errors import UserError
from mla_jax.planner import gpus

_COMPILERS = {  # Of a platform: the package, and how to come by it.
    "tpu": ("libtpu", "pip install 'mla_jax[aot]'"),
    "cuda": (
        "jax_cuda12_plugin",
        "pip install --no-deps jax-cuda12-plugin jax-cuda12-pjrt, of jax's version",
    ),
}


@dataclasses.dataclass(frozen=True)
class Hosts:
  """Several hosts, of so many chips each, each with a port of so many bytes a second, one way."""

  chips: int
  port: float


@dataclasses.dataclass(frozen=True)
class Chip:
  """One chip.

  Attributes:
    memory_bytes: of its high-bandwidth memory.
    memory_bandwidth: bytes a second from it.
    flops: bfloat16 floating-point operations a second.
    link_bandwidth: bytes a second to its neighbours, over all links, one way.
    links: that lead to different neighbours; 1 where all of them lead to a switch.
    hosts: None where the links go on from host to host, or there is one host alone.
  """

  memory_bytes: float
  memory_bandwidth: float
  flops: float
  link_bandwidth: float
  links: int = 1
  hosts: Hosts | None = None


# docs.cloud.google.com/tpu/docs/v4, v5e, v5p-training and v6e, as read in 2026: "peak compute per
# chip (bf16)", "HBM capacity" and "bandwidth", and half of the "bidirectional inter-chip
# interconnect bandwidth (per chip)" (400, 1200, 800 GBps). The v4 page has none: 6 links of 50 GB/s
# (Jouppi et al. 2023, arXiv 2304.01433). A chip has four links in a torus of two dimensions (v5e,
# v6e), six in one of three. Capacities are in powers of ten although the chips have powers of two:
# the compiler keeps some for itself (of a v5e's 16 GiB it has 15.75 to give).
CHIPS = {
    "v4": Chip(32e9, 1200e9, 275e12, 300e9, links=6),
    "v5e": Chip(16e9, 819e9, 197e12, 200e9, links=4),
    "v5p": Chip(95e9, 2765e9, 459e12, 600e9, links=6),
    "v6e": Chip(32e9, 1600e9, 918e12, 400e9, links=4),
}
# NVIDIA's data sheets, bfloat16 without sparsity, of the SXM boards; links are NVLink's inside a
# host, half of what both ways have (600, 900 GB/s), and lead to a switch.
GPU_CHIPS = {
    "a100": Chip(gpus.GPUS["a100"].memory, gpus.GPUS["a100"].memory_bandwidth, 312e12, 300e9),
    "h100": Chip(gpus.GPUS["h100"].memory, gpus.GPUS["h100"].memory_bandwidth, 989e12, 450e9),
}
# Kinds of devices, each one chip, as JAX names them (TPUs as in the tpu_info.py of its pallas).
_KINDS = {
    "TPU v4": CHIPS["v4"],
    "TPU v5 lite": CHIPS["v5e"],
    "TPU v5e": CHIPS["v5e"],
    "TPU v5": CHIPS["v5p"],
    "TPU v5p": CHIPS["v5p"],
    "TPU v6 lite": CHIPS["v6e"],
    "TPU v6e": CHIPS["v6e"],
    **{gpus.GPUS[name].name: chip for name, chip in GPU_CHIPS.items()},
}
_PORT = 50e9  # Bytes a second out of a host, of each GPU: 400 Gb/s.
_USE = (
    "use cpu, cpu:N, a TPU such as v5e:16x16 (v4, v5e, v5p, v6e), or GPUs such as h100:8, on one"
    " host, or h100:4x8, on four (a100, h100)"
)


@dataclasses.dataclass(frozen=True)
class Target:
  """Devices, one a chip; `chip` is None where there is no table of it.

  `options` are the compiler's.
  """

  name: str
  devices: list[jax.Device]
  chip: Chip | None
  options: Mapping[str, bool] = dataclasses.field(default_factory=dict)


def peak_flops(kind: str) -> float | None:
  """bfloat16 FLOPs a second of a device of this `device_kind`; None where there is no table."""
  return _KINDS[kind].flops if kind in _KINDS else None


def open_target(name: str) -> Target:
  """The devices of "v5e:16x16", "cpu:8" or "h100:4x8"; call it before jax has looked for devices.

  Raises:
    UserError: no such topology, or the compiler of its devices is not installed.
  """
  os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # Nothing asks the network where this runs.
  os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # Compiling takes no device.
  jax.config.update("jax_platforms", "cpu")
  kind, _, layout = name.partition(":")
  if kind == "cpu" and re.fullmatch(r"([1-9]\d{0,4})?", layout):
    return Target(name, _cpus(int(layout or 1)), None)
  if kind in CHIPS and re.fullmatch(r"\d+(x\d+){1,2}", layout):
    # A v4 chip's two cores work as one, as they do on the machine.
    options = {"chip_config_name": "megacore"} if kind == "v4" else {}
    return Target(name, _describe(name, "tpu", name, options), CHIPS[kind])
  if kind in GPU_CHIPS and re.fullmatch(r"([1-9]\d{0,4}x)?[1-9]\d?", layout):
    hosts, _, each = layout.rpartition("x")
    options = {
        "topology": f"1x{hosts or 1}x{each}",  # Slices, hosts a slice, GPUs a host.
        "target_config": gpus.target_config(gpus.GPUS[kind]),
    }
    chip = GPU_CHIPS[kind]
    if int(hosts or 1) > 1:
      chip = dataclasses.replace(chip, hosts=Hosts(int(each), _PORT))
    # The tiles of XLA's own kernels for products are found by running them.
    return Target(
        name, _describe(name, "cuda", "", options), chip, {"xla_gpu_enable_triton_gemm": False}
    )
  raise UserError(f"--topology={name}: not known: {_USE}")


def compilers(name: str) -> dict[str, str]:
  """Versions of what compiles for a topology that `open_target` knows, by package."""
  kind = name.partition(":")[0]
  platform = "tpu" if kind in CHIPS else "cuda" if kind in GPU_CHIPS else ""
  package = _COMPILERS[platform][0] if platform else "jaxlib"
  return {each: importlib.metadata.version(each) for each in ("jax", package)}


def _cpus(count: int) -> list[jax.Device]:
  with contextlib.suppress(RuntimeError):  # Devices are there already; enough of them will do.
    jax.config.update("jax_num_cpu_devices", count)
  devices = jax.devices("cpu")
  if len(devices) < count:
    raise UserError(f"--topology=cpu:{count}: this process has {len(devices)} CPU devices")
  return devices[:count]


def _describe(
    name: str, platform: str, layout: str, options: dict[str, str]
) -> list[jax.Device]:
  try:
    found = topologies.get_topology_desc(platform=platform, topology_name=layout, **options)
  except (RuntimeError, NotImplementedError, ValueError) as error:
    package, install = _COMPILERS[platform]
    if importlib.util.find_spec(package) is None:
      raise UserError(
          f"--topology={name}: needs {package}, whose compiler needs no such device: {install}"
      ) from error
    reason = str(error).splitlines()[0]
    raise UserError(f"--topology={name}: {reason}: needs a layout that exists") from error
  return list(found.devices)
