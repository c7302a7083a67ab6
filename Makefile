# Each target is what a person would type. `make demo` and `make test` need Python 3.11 or newer, make and pip only.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PYTEST := $(BIN)/pytest -n 2 --dist loadfile

.PHONY: demo checked test test-all lint types bench ui docs screenshots clean

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "appline needs Python 3.11 or newer. Choose one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

demo: $(READY)  ## a short sweep for each application on real embedded data, then the leaderboards
	$(BIN)/appline text encoders --fetch minilm || echo "The demo goes on without a pretrained encoder."
	$(BIN)/appline demo

checked: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell $(SPELLED)
	$(BIN)/mypy

test: checked  ## lint, types and the default suite
	$(PYTEST) -m "not slow"

test-all: checked  ## the slow tests too, and which share of the lines all of them reach
	$(PYTEST) -m "not slow" --cov --cov-report=
	$(PYTEST) -m slow --cov --cov-append --cov-report=term:skip-covered

SPELLED := pipelines tuning apps tests benchmarks docs README.md CONTRIBUTING.md CHANGELOG.md

lint: $(READY)  ## format and repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/codespell $(SPELLED)

types: $(READY)
	$(BIN)/mypy

bench: $(READY)  ## overhead ratios on data that every machine has; see benchmarks/README.md
	$(BIN)/python -m benchmarks.trials
	$(BIN)/python -m benchmarks.vision

ui: $(READY)  ## MLflow on the local store
	$(BIN)/appline ui

docs: $(READY)  ## the --help texts in docs/
	$(BIN)/python docs/generate.py

screenshots: $(READY)  ## the pictures in docs/pages/, of MLflow's pages in a browser
	$(BIN)/python docs/screenshots.py

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
