# Two commands do everything on a new machine: `make up` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
STACK ?= local

# uv runs everything: the one on PATH, else one of our own in .tools.
export UV := $(or $(shell command -v uv),$(CURDIR)/.tools/bin/uv)
RUN := $(UV) run --locked --quiet
MODEL ?= models/digits
OUT ?= .build/convert
ACTIONLINT := $(or $(shell command -v actionlint),$(CURDIR)/.tools/bin/actionlint)
ACTIONLINT_SOURCE := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

.PHONY: help bench up preview cost down outputs convert explain-image architectures rehearse test fuzz check actionlint format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

up: .venv/ready ## deploy to the embedded AWS on this machine and ask it for a prediction
	@$(RUN) python -m local up --stack $(STACK)

preview: .venv/ready ## show what `make up` would change, touching nothing
	@$(RUN) python -m local preview --stack $(STACK)

cost: .venv/ready ## say what the stack would cost on AWS
	@$(RUN) python -m release cost --local .local --stack $(STACK)

outputs: .venv/ready ## print what the deployed program exports
	@$(RUN) python -m local outputs --stack $(STACK)

down: .venv/ready ## delete everything that `make up` made, and stop what it started
	@$(RUN) python -m local down --stack $(STACK)

convert: .venv/ready ## convert the model alone: make convert OUT=out [MODEL=models/digits]
	@$(RUN) python -m convert $(MODEL) --out $(OUT)

architectures: .venv/ready ## convert ten architectures and write the README's table of them
	@$(RUN) python -m bench.architectures

explain-image: .venv/ready ## say what each MB of the deployed image is for [IMAGE=...]
	@$(RUN) python -m local.explain $(IMAGE)

rehearse: .venv/ready ## play a release through three emulated environments, and back
	@$(RUN) python -m local.rehearse

bench: .venv/ready ## compare handlers and servers, on this machine (half an hour)
	@$(RUN) python -m bench

test: check ## everything CI runs: make check, then all tests
	@$(RUN) pytest -n 2

fuzz: .venv/ready ## send 220,000 broken requests to the handler and the server; schemathesis
	@$(RUN) python -m tests.fuzz

check: .venv/ready actionlint ## format, lint, types and workflows
	@$(RUN) ruff format --check --quiet .
	@$(RUN) ruff check --quiet .
	@$(RUN) mypy .
	@$(RUN) zizmor --offline --quiet --persona pedantic .github

# Made with Go where it is missing; where there is no Go either, only CI insists.
actionlint: .venv/ready
	@if [ -x "$(ACTIONLINT)" ] || GOBIN=$(CURDIR)/.tools/bin go install $(ACTIONLINT_SOURCE) 2>/dev/null; \
	then "$(ACTIONLINT)" -shellcheck= -pyflakes=; \
	else echo "actionlint is not checked: it is not on PATH, nor is Go to make it" >&2; [ -z "$$CI" ]; fi

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
	@echo "installing the locked packages (TensorFlow takes a while) ..."
	@$(UV) sync --locked --quiet
	@touch $@
