# Needs make and Python 3.11 or newer; everything else is installed into two folders here:
#   .venv       what a user gets, the core alone     (make demo, make size)
#   .venv-dev   the same, editable, with all checks  (make test, make lint, make format, make bench)
# An environment is made anew when pyproject.toml changes.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
WORKERS ?= 2
TORCH ?= torch==2.13.0
SOURCES := $(shell find src -type f ! -name '*.pyc') README.md LICENSE
USER := .venv/bin
DEV := .venv-dev/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench size clean
.DELETE_ON_ERROR:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

demo: .venv/installed  ## install the core and make a synthetic copy of Adult, in demo/
	@mkdir -p demo
	$(USER)/verosim synth examples/data/adult.parquet --seed 7 -o demo/adult.synthetic.parquet
	@echo
	@echo "The results lie here:"
	@ls -1 demo/adult.* | sed 's/^/  /'
	@echo "Next: $(USER)/verosim synth YOUR_FILE.csv"

test: lint  ## every check: lint, format, types, tests, examples in the docs
	OMP_WAIT_POLICY=PASSIVE $(DEV)/python -m pytest -n $(WORKERS)
	@echo "verosim: all checks passed."

lint: .venv-dev/installed  ## ruff and mypy
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/mypy

format: .venv-dev/installed  ## let ruff mend what it can
	$(DEV)/ruff check --fix .
	$(DEV)/ruff format .

bench: .venv-dev/bench  ## speed and quality, written to benchmarks/results
	$(DEV)/python benchmarks/run.py

size: .venv/installed  ## what the core install weighs, package by package, with licences
	$(USER)/python .ci/size.py

clean:  ## remove environments, results and caches
	rm -rf .venv .venv-dev demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/made .venv-dev/made: pyproject.toml
	@test -n "$(PYTHON)" || { echo "verosim needs Python 3.11 or newer: install it, or set PYTHON=/path/to/python." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(@D)
	@touch $@

.venv/installed: .venv/made $(SOURCES)
	$(USER)/python -m pip install --quiet .
	@touch $@

.venv-dev/installed: .venv-dev/made
	$(DEV)/python -m pip install --quiet '$(TORCH)'
	$(DEV)/python -m pip install --quiet -e '.[dev,deep]'
	@touch $@

.venv-dev/bench: .venv-dev/installed
	$(DEV)/python -m pip install --quiet -e '.[dev,bench]'
	@touch $@
