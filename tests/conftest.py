"""Set before anything imports jax: eight virtual CPU devices, no GPU, few threads, quiet logs."""

import os
import pathlib

import hypothesis
import pytest

_XLA_FLAGS = (
    "--xla_force_host_platform_device_count=8",
    # A device that waits this long for the others ends the process; 40 s is short when busy.
    "--xla_cpu_collective_call_terminate_timeout_seconds=1200",
    "--xla_cpu_multi_thread_eigen=false",  # The pytest workers already fill the cores.
    "--xla_backend_optimization_level=0",  # Programs here are compiled often and run for moments.
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_use_fusion_emitters=false",  # They take two thirds longer to compile a train step.
)
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *_XLA_FLAGS]).strip()
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # Its results depend on the number of threads.
os.environ["NO_GCE_CHECK"] = "true"  # Nothing asks the network whether this is a cloud machine.
for _pool in ("OMP_NUM", "OPENBLAS_NUM", "TF_NUM_INTRAOP", "TF_NUM_INTEROP"):
  os.environ[f"{_pool}_THREADS"] = "1"

hypothesis.settings.register_profile(
    "mla_jax",
    deadline=None,  # The first example of a jitted function compiles it.
    max_examples=50,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("mla_jax")


def pytest_configure(config: pytest.Config) -> None:
  """Programs are compiled once for all processes of tests, and kept for the next time."""
  if not config.pluginmanager.hasplugin("cacheprovider"):
    return
  folder = str(config.cache.mkdir("compiled"))
  os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", folder)
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
  """The longest files first: at the end one process would run them while the other waits."""
  items.sort(key=lambda item: item.path.name not in ("readme_test.py", "experiment_test.py"))


_ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def features(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """A small dataset of features, prepared."""
  from tests import tiny  # Brings jax.

  return tiny.prepare(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
  """The folder of real videos and annotations: MLA_JAX_REAL_DATA, or `../shared/data`.

  A test that asks for it is skipped where the folder is absent, and fails there when
  MLA_JAX_REQUIRE_REAL_DATA=1 or when MLA_JAX_REAL_DATA names a folder that is not there.
  """
  named = os.environ.get("MLA_JAX_REAL_DATA")
  folder = pathlib.Path(named) if named else _ROOT.parent / "shared" / "data"
  if folder.is_dir():
    return folder.resolve()
  message = f"no real data: {folder}: set MLA_JAX_REAL_DATA to its folder"
  if named or os.environ.get("MLA_JAX_REQUIRE_REAL_DATA") == "1":
    pytest.fail(message)
  pytest.skip(message)
