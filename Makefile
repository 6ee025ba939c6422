# make alone prints the targets. PYTHON is the interpreter that makes .venv.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PEERS  := .venv-peers
# A CPU build of torch where one is offered: make setup PIP_ARGS='--extra-index-url ...'
PIP_ARGS ?=
# What is installed beside the package: dev,ray adds Ray, as CI does
EXTRAS ?= dev
MODEL ?= champion
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help setup reproduce test test-slow test-all lint types data train sweep compare serve ui bench bench-quick bench-more bench-peers studies clean

help:  ## print these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv with the package and the pinned versions

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) was not found. Install Python 3.11, or type make setup PYTHON=/path/to/python" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

reproduce: $(READY)  ## rebuild the seed document's experiment, its figures beside ours
	$(BIN)/python -m ste.reproduce

test: $(READY)  ## the fast tests, minutes on 2 cores
	$(BIN)/python -m pytest -n auto

test-slow: $(READY)  ## the slow tests
	$(BIN)/python -m pytest -m slow

test-all: test test-slow  ## both

lint: $(READY)  ## style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## types
	$(BIN)/mypy

data: $(READY)  ## the seed document's 35 rows, in data_output
	$(BIN)/python -m ste.generate

train: $(READY)  ## both models on the default synthetic world
	$(BIN)/python -m ste.train -m model=lstm,dual_tower

sweep: $(READY)  ## both models over three sequence lengths
	$(BIN)/python -m ste.train -m model=lstm,dual_tower data.sequence_length=3,5,10

compare: $(READY)  ## the leaderboard of the runs, in the terminal and as a page
	$(BIN)/python -m ste.compare

serve: $(READY)  ## serve the champion over HTTP (MODEL=model.onnx: another), http://127.0.0.1:8000
	$(BIN)/python -m ste.serve model=$(MODEL)

bench: $(READY)  ## speed, against yardsticks measured in the same run: about ten minutes, one table
	$(BIN)/python -m benchmarks

bench-quick: $(READY)  ## the same in two minutes, with fewer cases and rounds
	$(BIN)/python -m benchmarks --quick

bench-more: $(READY)  ## evaluation of a million rows, sweeps, replicas, ten million predictions, the service
	$(BIN)/python -m benchmarks.evaluation
	$(BIN)/python -m benchmarks.sweeping
	$(BIN)/python -m benchmarks.replicas
	$(BIN)/python -m benchmarks.prediction
	$(BIN)/python -m benchmarks.serving

$(PEERS)/.ready: benchmarks/peers/requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) was not found. Install Python 3.11, or type make bench-peers PYTHON=/path/to/python" >&2; exit 2; }
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet $(PIP_ARGS) --no-deps -r $<
	touch $@

bench-peers: $(READY) $(PEERS)/.ready  ## beside Qlib, in .venv-peers: training, and from bars to windows
	$(BIN)/python -m benchmarks peers --json outputs/bench-peers.json

studies: $(READY)  ## do the intervals cover, how often is the verdict right: about half an hour
	$(BIN)/python -m studies.coverage
	$(BIN)/python -m studies.verdicts --signal 0
	$(BIN)/python -m studies.verdicts --signal 0.4

ui: $(READY)  ## open the MLflow UI on the runs, http://127.0.0.1:5000
	$(BIN)/python -m ste.ui

clean:  ## remove what runs and tests made (outputs, data_output); .venv stays
	find outputs data_output -mindepth 1 ! -name .gitkeep -delete
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
