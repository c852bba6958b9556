"""GPUs to compile for where there are none, as XLA's plugin for CUDA wants them described."""

import dataclasses
import textwrap


@dataclasses.dataclass(frozen=True)
class Gpu:
  """What the compiler asks of a GPU; sizes in bytes, per multiprocessor unless it says otherwise.

  Attributes:
    name: as its driver tells it.
    capability: CUDA's compute capability.
    processors: multiprocessors.
    lanes: float32 units of each.
    clock: GHz.
    shared, shared_block: shared memory, and the most of it that a block may ask for.
    cache: L2, of the whole.
    memory, memory_bandwidth: of the whole.
  """

  name: str
  capability: tuple[int, int]
  processors: int
  lanes: int
  clock: float
  shared: int
  shared_block: int
  cache: int
  memory: int
  memory_bandwidth: int


# NVIDIA's data sheets and CUDA C++ Programming Guide, "Compute Capabilities".
GPUS = {
    "a100": Gpu(
        "NVIDIA A100-SXM4-80GB", (8, 0), 108, 64, 1.41, 164 * 2**10, 163 * 2**10, 40 * 2**20,
        80 * 10**9, 2_039 * 10**9,
    ),
    "h100": Gpu(
        "NVIDIA H100 80GB HBM3", (9, 0), 132, 128, 1.98, 228 * 2**10, 227 * 2**10, 50 * 2**20,
        80 * 10**9, 3_350 * 10**9,
    ),
}


def target_config(gpu: Gpu) -> str:
  """Its `xla.gpu.GpuTargetConfigProto` as text; cuDNN 9."""
  return textwrap.dedent(f"""\
      gpu_device_info {{
        threads_per_block_limit: 1024
        threads_per_warp: 32
        threads_per_core_limit: 2048
        shared_memory_per_block: {48 * 2**10}
        shared_memory_per_core: {gpu.shared}
        shared_memory_per_block_optin: {gpu.shared_block}
        core_count: {gpu.processors}
        fpus_per_core: {gpu.lanes}
        registers_per_core_limit: 65536
        registers_per_block_limit: 65536
        block_dim_limit_x: {2**31 - 1}
        block_dim_limit_y: 65535
        block_dim_limit_z: 65535
        memory_bandwidth: {gpu.memory_bandwidth}
        device_memory_size: {gpu.memory}
        l2_cache_size: {gpu.cache}
        clock_rate_ghz: {gpu.clock}
        cuda_compute_capability {{ major: {gpu.capability[0]} minor: {gpu.capability[1]} }}
      }}
      platform_name: "CUDA"
      dnn_version_info {{ major: 9 minor: 8 }}
      device_description_str: "{gpu.name}"
  """)
