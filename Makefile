# make demo, make test and make lab set up all they need in .venv; nothing else is to be installed.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# threads that wait for work spin briefly only, or two programs on two cores slow each other down
export GOMP_SPINCOUNT ?= 2000

# prepared data and runs that make figures reads; data/ and runs/ here if neither is named
DATA ?= $(PROXYSR_DATA)
RUNS ?= $(PROXYSR_RUNS)

.DEFAULT_GOAL := help
.PHONY: help demo test lab figures lint types layers pytest format venv clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY)  ## prepare synthetic data, train, evaluate, run the notebooks: results in demo/
	rm -rf demo
	$(BIN)/proxysr prepare synthetic demo/data --format synthetic
	$(BIN)/proxysr train demo/data demo/run --preset proxysr-small
	$(BIN)/proxysr evaluate demo/run --task unseen
	$(BIN)/proxysr evaluate demo/run --task repeat
	$(BIN)/proxysr report demo/run demo/report.html
	$(BIN)/proxysr notebooks --out demo/notebooks
	@printf '%s\n' "" \
	  "Done. Where to look:" \
	  "  demo/report.html            sessions, proxies and what they stand for, on one page (in a browser)" \
	  "  demo/notebooks/index.html   the notebooks as pages, with figures (open in a browser)" \
	  "  demo/run                    the trained model, its history, metrics and ranks" \
	  "  demo/data                   the prepared sessions" \
	  "Next: make lab opens the notebooks; README.md shows how to use your own data."

test: lint types layers pytest  ## everything that can be tested

lab: $(READY)  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir=notebooks

figures: $(READY)  ## make figures/ again from DATA=folder and RUNS=folder, as far as these allow
	@PROXYSR_DATA="$(DATA)" PROXYSR_RUNS="$(RUNS)" $(BIN)/python -m proxysr.notebooks.figures

lint: $(READY)  ## style and formatting (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## types (mypy --strict)
	$(BIN)/mypy

layers: $(READY)  ## which part may import which (import-linter)
	$(BIN)/lint-imports --no-logo

pytest: $(READY)  ## unit tests, examples in docstrings, and the notebooks
	$(BIN)/pytest

format: $(READY)  ## put the code in its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

venv: $(READY)  ## only set up .venv

clean:  ## remove .venv and what make demo made
	rm -rf .venv demo

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) > /dev/null || { \
	  echo "$(PYTHON) was not found. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); 3.11 or newer is needed. Name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "Setting up .venv from requirements.lock; the first time this takes a few minutes and 2 GB."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)
