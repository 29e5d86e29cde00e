# Two commands for a fresh machine: `make quickstart` and `make test`. Each sets up what it needs, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: quickstart test slow bench bench-train gpu docs clean

quickstart: $(VENV)/installed
	$(BIN)/harness run suites/quickstart.yaml

test: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_WAIT_POLICY=PASSIVE $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --benchmark-disable

slow: $(VENV)/installed-dev
	OMP_WAIT_POLICY=PASSIVE $(BIN)/pytest -m slow

bench: $(VENV)/installed-dev
	OMP_WAIT_POLICY=PASSIVE $(BIN)/pytest tests/perf -m bench --benchmark-columns=min,median,iqr,rounds

# Races training against torchvision's, transformers' and libreyolo's plain loops: make bench-train ARGS="--pairs 3"
bench-train: $(VENV)/installed-dev
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m tests.perf.bench_train $(ARGS)

# Proves the paths that only a GPU takes, in eight minutes and without a network; writes results/examples/gpu/. Where a
# GPU machine has its packages already: make gpu PROVE=python3
PROVE ?= $(BIN)/python
gpu: $(if $(filter $(PROVE),$(BIN)/python),$(VENV)/installed-dev)
	$(PROVE) -m tests.gpu

# The site: references written again from the program, links checked offline, warnings as errors.
docs: $(VENV)/installed-docs
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/links.py
	$(BIN)/sphinx-build -W --keep-going -n -E -q -b html docs docs/_build/html
	@echo "The site is in docs/_build/html: open index.html in a browser."

clean:
	rm -rf $(VENV)

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/python pyproject.toml constraints.txt
	@echo "Installing torch and the rest into $(VENV): several GB, some minutes, once."
	$(PIP) --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) --editable '.[dev]'
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(PIP) --editable '.[docs]'
	touch $@
