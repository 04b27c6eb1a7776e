# What a user types. `make help` lists it.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The default torch wheel brings gigabytes of CUDA; name PyTorch's CPU index here to avoid it:
#   make test TORCH_INDEX=<the "CPU" index URL from pytorch.org>
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
REPOSITORY ?= model_zoo/bundles
RECIPE ?= shakespeare-lstm
MINUTES ?= 5
export TOKENIZERS_PARALLELISM := false

.PHONY: help demo test chaos reloads serve check format bench table train protos image clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(VENV)/.serving: pyproject.toml constraints.txt  # what serving needs: no torch
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[server,cli]'
	touch $@

$(VENV)/.everything: $(VENV)/.serving
	$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	$(PIP) --editable '.[dev]'
	touch $@

demo: $(VENV)/.serving  ## start a server on the bundled zoo and tour it
	$(BIN)/python clients/demo.py

serve: $(VENV)/.serving  ## the server on the bundled zoo, in the foreground
	$(BIN)/stepwire-server --model-repository $(REPOSITORY)

test: $(VENV)/.everything  ## every test
	$(BIN)/python -m pytest

chaos: $(VENV)/.everything  ## servers killed under many sessions: make chaos MINUTES=5
	$(BIN)/python tests/chaos.py --minutes $(MINUTES)

reloads: $(VENV)/.everything  ## a model loaded again 1,000 times under 64 streams
	$(BIN)/python tests/reloads.py

check: $(VENV)/.everything  ## style, types, contract, imports, generated code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/buf lint protos
	$(BIN)/lint-imports
	$(BIN)/python protos/generate.py --check

format: $(VENV)/.everything  ## put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.everything  ## the benchmark suite; its last line is JSON
	$(BIN)/python -m benchmarks

table: $(VENV)/.serving  ## write model_zoo/README.md, the table of the zoo
	$(BIN)/stepwire-zoo table --out model_zoo/README.md

train: $(VENV)/.everything  ## train and publish: make train RECIPE=shakespeare-lstm [SEEDS=3]
	$(BIN)/stepwire-train $(RECIPE) $(if $(SEEDS),--seeds $(SEEDS))

protos: $(VENV)/.everything  ## generate the code of the contract
	$(BIN)/python protos/generate.py

image:  ## build the server's container image
	deploy/build_image.sh

clean:  ## remove what was built
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
