# make demo, make test and make lab set up all they need in .venv; nothing else is to be installed.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check

# threads that wait for work spin briefly only, or two programs on two cores slow each other down
export GOMP_SPINCOUNT ?= 2000

# prepared data and runs that make figures reads; data/ and runs/ here if neither is named
DATA ?= $(PROXYSR_DATA)
RUNS ?= $(PROXYSR_RUNS)

# the build of torch: cpu, or cuda for NVIDIA GPUs, which takes 3 GB more
TORCH ?= cpu
# processes that share the tests
JOBS ?= 2
# how long make hostile feeds damaged files
MINUTES ?= 10

.DEFAULT_GOAL := help
.PHONY: help demo test hostile lab notebooks figures lint types layers pytest facts format venv clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY)  ## make a synthetic log, train on it, and write a page to explore: demo/report.html
	$(BIN)/proxysr demo demo

notebooks: $(READY)  ## run all notebooks as small runs on the CPU: pages/index.html
	$(BIN)/proxysr notebooks --out pages

test: lint types layers pytest  ## everything that can be tested

hostile: $(READY)  ## attack files, disks and processes for half an hour: what is lost is told
	$(BIN)/python -m tests.hostile --minutes $(MINUTES)

lab: $(READY)  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir=notebooks

figures: $(READY)  ## make figures/ again from DATA=folder and RUNS=folder, as far as these allow
	@PROXYSR_DATA="$(DATA)" PROXYSR_RUNS="$(RUNS)" $(BIN)/python -m tools.figures

lint: $(READY)  ## style and formatting (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## types (mypy --strict)
	$(BIN)/mypy

layers: $(READY)  ## which part may import which (import-linter)
	$(BIN)/lint-imports --no-logo

pytest: $(READY)  ## unit tests, examples in docstrings, and the notebooks
	$(BIN)/pytest -n $(JOBS) --dist loadfile

facts: $(READY)  ## sizes of the code, each beside its target
	@$(BIN)/python -m benchmarks.facts

format: $(READY)  ## put the code in its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

venv: $(READY)  ## only set up .venv

clean:  ## remove .venv and what make demo and make notebooks made
	rm -rf .venv demo pages

$(READY): requirements.lock requirements-cuda.lock pyproject.toml
	@command -v $(PYTHON) > /dev/null || { \
	  echo "$(PYTHON) was not found. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); 3.11 or newer is needed. Name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "Setting up .venv from requirements.lock; the first time this takes a few minutes and 2 GB."
	@$(PYTHON) -m venv .venv
	@test $(TORCH) != cuda && $(INSTALL) -r requirements.lock || { \
	  test $(TORCH) = cuda || echo "No build of torch for the CPU alone can be had here; taking the one for GPUs, which works without." >&2; \
	  $(INSTALL) -r requirements-cuda.lock; }
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $(READY)
