# Thin lines over real tools; `make help` tells what there is.

PORT ?= 8000
FLOWER_PORT ?= 5555
STATE ?= var
ENGINES ?=

SHELL := /bin/sh
BIN := .venv/bin
SETUP := sh deploy/setup
# Files in the order of tests/conftest.py.
IN_PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help up test bench lint lock

help:  ## show this
	@echo "Usage: make TARGET [PORT=$(PORT)] [FLOWER_PORT=$(FLOWER_PORT)] [STATE=$(STATE)] [ENGINES=all]"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile

# setpriv: make passes SIGTERM on to what it runs, but has no chance to when it is killed.
up:  ## run the farm here until Ctrl-C; sets up what is missing
	@$(SETUP) base
	@exec setpriv --pdeathsig TERM $(BIN)/voicefarm up --port "$(PORT)" --flower-port "$(FLOWER_PORT)" --state "$(STATE)" --engines "$(ENGINES)"

test: lint  ## run every check and test; sets up what they need
	@sh deploy/debian-packages redis-server postgresql chromium chromium-headless-shell curl prometheus
	@$(SETUP) torch
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest $(IN_PARALLEL)
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 .venv-torch/bin/pytest $(IN_PARALLEL) --timeout 300 \
	  tests/torch tests/workers/test_provider_contract.py

bench:  ## measure the farm against others in one run, and write the README's table
	@$(SETUP) test
	@$(SETUP) torch
	@sh deploy/debian-packages redis-server nginx-light wrk
	@$(BIN)/python -m tests.bench

lint:  ## check style, types and layers
	@$(SETUP) test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock:  ## lock pyproject's requirements anew (delete a lock first to upgrade all of it)
	@$(SETUP) lock
