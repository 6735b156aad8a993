# Two commands do everything on a new machine: `make up` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
STACK ?= local

# uv runs everything: the one on PATH, else one of our own in .tools.
export UV := $(or $(shell command -v uv),$(CURDIR)/.tools/bin/uv)
RUN := $(UV) run --locked --quiet

.PHONY: help up preview down outputs test check format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

up: .venv/ready ## deploy to the embedded AWS on this machine and ask it for a prediction
	@$(RUN) python -m local up --stack $(STACK)

preview: .venv/ready ## show what `make up` would change, touching nothing
	@$(RUN) python -m local preview --stack $(STACK)

outputs: .venv/ready ## print what the deployed program exports
	@$(RUN) python -m local outputs --stack $(STACK)

down: .venv/ready ## delete everything that `make up` made, and stop what it started
	@$(RUN) python -m local down --stack $(STACK)

test: check ## everything CI runs: make check, then all tests
	@$(RUN) pytest

check: .venv/ready ## format, lint and types
	@$(RUN) ruff format --check --quiet .
	@$(RUN) ruff check --quiet .
	@$(RUN) mypy .

format: .venv/ready ## format and mend what ruff can
	@$(RUN) ruff format .
	@$(RUN) ruff check --fix .

clean: ## remove the environment and what was built; `make down` first
	rm -rf .venv .tools .build

$(CURDIR)/.tools/bin/uv:
	@echo "uv is not on PATH: installing one into .tools ..."
	@python3 -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9

# The locked packages, once and whenever the lock changes. `uv sync` is silent without a terminal,
# so say first what takes the time.
.venv/ready: uv.lock pyproject.toml | $(UV)
	@echo "installing the locked packages (2.7 GB unpacked, most of it TensorFlow) ..."
	@$(UV) sync --locked --quiet
	@touch $@
