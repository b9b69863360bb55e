# Cludale Tickets. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
SEEDS ?= 10000
# No cache: what is installed is all that the disk has to hold.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-cache-dir --quiet

.PHONY: help run test test-slow reliability bench soak simulate hunt lock format clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.runs ## Start all of Cludale Tickets on http://127.0.0.1:8080, data in ./data
	@CLUDALE_DEMO=$${CLUDALE_DEMO-1} exec $(BIN)/cludale serve

test: $(VENV)/.checks ## Check everything: ruff, mypy, import-linter, pytest
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest $(PYTEST_ARGS)

test-slow: $(VENV)/.checks ## Hurt the server in more ways, for some minutes: crashes, disks, races, overload
	RELIABILITY_SCALE=slow $(BIN)/pytest tests/faults $(PYTEST_ARGS)

reliability: $(VENV)/.checks ## All fault tests and the simulator, for hours; the figures go to docs/reliability.md
	$(BIN)/python -m tools.reliability $(RELIABILITY_ARGS)

bench: $(VENV)/.checks ## Run the benchmark; results go to benchmarks/results/
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

simulate: $(VENV)/.runs ## Run the platform in virtual time with faults of every kind, SEEDS=10000 times
	$(BIN)/python -m cludale.simulator --seeds $(SEEDS) $(SIMULATE_ARGS)

hunt: $(VENV)/.checks ## Plant bugs, and see within how many seeds the simulator finds each
	$(BIN)/python -m tests.simulator.hunt $(HUNT_ARGS)

soak: $(VENV)/.checks ## Half a million orders in a row: memory, speed, restart
	$(BIN)/python -m benchmarks.soak $(SOAK_ARGS)

format: $(VENV)/.checks ## Put the sources into the agreed form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.runs ## Resolve the dependencies again into the lock files
	VENV=$(VENV) tools/lock.sh

clean: ## Remove the virtual environment and the caches, not the data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# A stamp is newer than what it was made from once that is installed, so a second start installs nothing.
$(VENV)/.runs: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing what Cludale Tickets needs into $(VENV) …"
	@$(PIP) install --require-hashes --no-deps -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.checks: $(VENV)/.runs requirements-dev.lock
	@echo "Installing what checks it into $(VENV) …"
	@$(PIP) install --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: apt install python3 python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$("$(PYTHON)" -V). Name another: make run PYTHON=…" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module; on Debian it comes with: apt install python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -m venv "$(VENV)" || { rm -rf "$(VENV)"; exit 1; }
