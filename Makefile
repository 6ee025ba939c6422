# `make` prints the targets. PYTHON is the interpreter that creates .venv.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PEERS  := .venv-peers
# Options of pip, such as an index with CPU builds of torch: make setup PIP_ARGS='--extra-index-url ...'
PIP_ARGS ?=
# Optional dependencies to install; CI installs dev,ray
EXTRAS ?= dev
MODEL ?= champion
# Further options of pytest: make test PYTEST_ARGS=-x
PYTEST_ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help setup reproduce test test-slow test-all lint types data train sweep compare serve docs notebooks screenshots ui bench bench-quick bench-more bench-peers studies clean

help:  ## print these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## create .venv with the package and the pinned versions

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) was not found. Install Python 3.11 to 3.13, and type make setup PYTHON=/path/to/python" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

reproduce: $(READY)  ## repeat the seed document's experiment and compare the figures
	$(BIN)/python -m ste.reproduce

test: $(READY)  ## run the fast tests (4 minutes on 2 cores)
	$(BIN)/python -m pytest -n auto $(PYTEST_ARGS)

test-slow: $(READY)  ## run the slow tests (6 minutes on 2 cores)
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow $(PYTEST_ARGS)

test-all: test test-slow  ## run all tests

lint: $(READY)  ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## check types
	$(BIN)/mypy

data: $(READY)  ## write the seed document's 35 rows to data_output
	$(BIN)/python -m ste.generate

train: $(READY)  ## train both models on the default synthetic market
	$(BIN)/python -m ste.train -m model=lstm,dual_tower

sweep: $(READY)  ## train both models with two learning rates
	$(BIN)/python -m ste.train -m model=lstm,dual_tower optimizer.lr=0.001,0.003

compare: $(READY)  ## print the leaderboard of the runs and write it as a page
	$(BIN)/python -m ste.compare

serve: $(READY)  ## serve the champion, or MODEL=model.onnx, on http://127.0.0.1:8000
	$(BIN)/python -m ste.serve model=$(MODEL)

bench: $(READY)  ## measure speed against references of the same run (10 minutes)
	$(BIN)/python -m benchmarks

bench-quick: $(READY)  ## measure fewer cases in fewer rounds (1 minute)
	$(BIN)/python -m benchmarks --quick

bench-more: $(READY)  ## measure bulk prediction of ten million rows and the service
	$(BIN)/python -m benchmarks.prediction
	$(BIN)/python -m benchmarks.serving

$(PEERS)/.ready: benchmarks/peers/requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) was not found. Install Python 3.11 to 3.13, and type make bench-peers PYTHON=/path/to/python" >&2; exit 2; }
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet $(PIP_ARGS) --no-deps -r $<
	touch $@

bench-peers: $(READY) $(PEERS)/.ready  ## compare training, data and features with Qlib, which is installed in .venv-peers
	$(BIN)/python -m benchmarks peers peers.features --json outputs/bench-peers.json

studies: $(READY)  ## measure coverage of the intervals and errors of the verdict (an hour)
	$(BIN)/python -m studies.coverage
	$(BIN)/python -m studies.regimes
	$(BIN)/python -m studies.verdicts --signal 0
	$(BIN)/python -m studies.verdicts --signal 0.4

docs: $(READY)  ## build the documentation site in outputs/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "outputs/site/index.html"

notebooks: $(READY)  ## execute the notebooks of the documentation and store their outputs
	$(BIN)/python -m docs.run_notebooks

screenshots: docs  ## make the pictures of the documentation, with Chromium
	$(BIN)/python -m docs.screenshots

ui: $(READY)  ## open the MLflow UI on http://127.0.0.1:5000
	$(BIN)/python -m ste.ui

clean:  ## delete the files of runs and tests (outputs, data_output), not .venv
	find outputs data_output -mindepth 1 ! -name .gitkeep -delete
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
