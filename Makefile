# `make` lists the commands. Everything runs in .venv, which `make setup` makes from requirements.lock.
PYTHON ?= python3
EXPERIMENT ?= quick
SEEDS ?=
BOUNDS ?=
UNTIL ?=
CHOSEN = $(if $(SEEDS),seed=$(SEEDS)) $(if $(BOUNDS),bounds=$(BOUNDS)) $(if $(UNTIL),hydra.sweeper.until=$(UNTIL))
BIN := .venv/bin
READY := .venv/.ready
PEERS := .venv/.peers
# A file a worker, in the order of tests/conftest.py: the longest first.
PYTEST := python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

DATA ?= digits
MODEL ?= small_cnn

.DEFAULT_GOAL := help
.PHONY: help setup sweep plan decide league range-test report verify ship dashboard wandb sync publish pictures screenshots test check lowest lint format bench clean

help:  ## list the commands
	@echo "make COMMAND, where COMMAND is one of"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {split($$2, said, "   "); printf "  %-11s %s\n", $$1, said[1]; \
	    for (at = 2; at in said; at++) if (said[at] != "") printf "      %s\n", said[at]}' $(MAKEFILE_LIST)
	@echo "One run: $(BIN)/python train.py policy=exp_range   (--help lists the choices)"

setup: $(READY)  ## make .venv and install the pinned packages

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "clrbench needs Python 3.11 or newer: make PYTHON=python3.12")'
	@echo "Setting up .venv: several GB are downloaded and unpacked once, which takes some minutes ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install -qq --disable-pip-version-check -r requirements.lock
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

sweep: $(READY)  ## run an experiment and end with its table   [EXPERIMENT=quick] [SEEDS=1,2,3,4,5 or UNTIL=settled] [BOUNDS=range_test]
	@$(BIN)/python train.py -m experiment=$(EXPERIMENT) $(CHOSEN)

plan: $(READY)  ## list what a sweep would do, and the hours left; start nothing   [EXPERIMENT=quick] [SEEDS=1,2,3,4,5 or UNTIL=settled]
	@$(BIN)/python train.py -m experiment=$(EXPERIMENT) $(CHOSEN) hydra.sweeper.plan_only=true

decide: $(READY)  ## which policy, at which rates, for these data   [DATA=digits] [MODEL=small_cnn] [ITERATIONS='8 epochs'] [HOURS=2]
	@$(BIN)/python train.py experiment=decide data=$(DATA) model=$(MODEL) $(if $(ITERATIONS),iterations='$(ITERATIONS)') \
	    $(if $(HOURS),decide.hours=$(HOURS))

league: $(READY)  ## run every policy on every task, and rank them: an hour or two   [TASKS=digits,friedman] [POLICIES=decide/cosine]
	@$(BIN)/python train.py experiment=league $(if $(TASKS),league.tasks='[$(TASKS)]') $(if $(POLICIES),decide.families='[$(POLICIES)]')

range-test: $(READY)  ## measure base_lr and max_lr   [DATA=digits] [MODEL=small_cnn]
	@$(BIN)/python scripts/range_test.py data=$(DATA) model=$(MODEL)

report: $(READY)  ## make outputs/report/index.html: verdicts, figures, every run
	@$(BIN)/python scripts/report.py

verify: $(READY)  ## compute every shipped number anew from its records, and compare
	@$(BIN)/python scripts/ship.py --verify

ship: $(READY)  ## for maintainers: make results/report and the tables of the docs
	@$(BIN)/python scripts/ship.py

dashboard: $(READY)  ## show the runs in the browser, live while a sweep goes on
	@$(BIN)/python scripts/dashboard.py

wandb: $(READY)  ## save the comparison of runs, and the verdicts, on Weights & Biases
	@$(BIN)/python scripts/wandb_dashboard.py

sync: $(READY)  ## upload to Weights & Biases the runs that it lacks   [OUTPUTS=outputs]
	@$(BIN)/python scripts/sync.py $(if $(OUTPUTS),--outputs $(OUTPUTS))

publish: $(READY)  ## copy an experiment's finished records to results/evidence   [EXPERIMENT=quick]
	@$(BIN)/python scripts/publish.py $(EXPERIMENT)

pictures: $(READY)  ## draw the policies, docs/policies/*.svg
	@$(BIN)/python scripts/draw_policies.py

screenshots: $(READY)  ## for maintainers: take the README's pictures of page and dashboard
	@$(BIN)/python scripts/screenshots.py

bench: $(READY) $(PEERS)  ## measure speed here, beside others' ways: half an hour   [PART=step|peers] [TO=outputs/bench]
	@PYTHONPATH=scripts $(BIN)/python -m bench $(PART) $(if $(TO),--to $(TO))

$(PEERS): requirements-bench.lock
	@echo "Installing what the suite is measured beside, into .venv: about a GB is downloaded and unpacked once ..."
	@for peer in keras tensorflow-cpu fastai; do \
	    $(BIN)/pip install -qq --disable-pip-version-check -c requirements.lock -c requirements-bench.lock $$peer \
	        2> .venv/$$peer.log || { echo "$$peer could not be installed: see .venv/$$peer.log"; lacking=1; }; \
	done; [ -n "$$lacking" ] || touch $@

test: $(READY)  ## run the tests
	@$(BIN)/$(PYTEST)

lowest: $(READY)  ## run tests with the lowest versions that pyproject.toml admits
	@$(BIN)/python scripts/lowest.py

check: $(READY)  ## run the quick half of the tests
	@$(BIN)/$(PYTEST) -m "not slow"

lint: $(READY)  ## check style, format and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check --quiet . && $(BIN)/mypy

format: $(READY)  ## mend style and format
	@$(BIN)/ruff check --fix --quiet . && $(BIN)/ruff format .

clean:  ## remove outputs/ and caches, but no record of a run
	rm -rf outputs .pytest_cache .mypy_cache .ruff_cache .hypothesis
