# Each target is what a person would type. `make demo` and `make test` need Python 3.11 or newer, make and pip only.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test test-all lint types bench ui docs clean

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "appline needs Python 3.11 or newer. Choose one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

demo: $(READY)  ## a short sweep for each application on real embedded data, then the leaderboards
	$(BIN)/appline demo

test: $(READY)  ## lint, types and the default suite
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

test-all: test  ## the slow tests too
	$(BIN)/pytest -n 2 --dist loadfile -m slow

lint: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(READY)
	$(BIN)/mypy

bench: $(READY)  ## overhead ratios on data that every machine has; see benchmarks/README.md
	$(BIN)/python -m benchmarks.trials
	$(BIN)/python -m benchmarks.vision

ui: $(READY)  ## MLflow on the local store
	$(BIN)/appline ui

docs: $(READY)  ## the --help texts in docs/
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
