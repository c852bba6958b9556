"""Multi-level alignment of video and language in JAX."""

__version__ = "0.1.0"
