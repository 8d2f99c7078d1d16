# The commands people type. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
UV_COMPILE = $(BIN)/uv pip compile --no-config --universal --python-version 3.11 --generate-hashes \
	--no-strip-extras --no-emit-index-url --no-emit-find-links --no-emit-package vitald --quiet $(UPGRADE)

# A lock names every package there is to install. Without --no-deps pip would look up the dependencies again, and refuse a release that is
# newer than the lock; whether all of them were there is what `pip check` tells afterwards.
PIP_INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check --no-deps
PIP_CHECK = found=$$($(BIN)/pip check --disable-pip-version-check) || { printf '%s\n' "$$found" >&2; exit 1; }

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | column -t -s $$'\t'

# Two environments would cost a newcomer a minute more than one: `run` takes only what the program needs, everything else adds the tools.
$(VENV)/.run: requirements.lock setup.cfg
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --require-hashes -r requirements.lock
	$(PIP_INSTALL) --no-build-isolation --editable .
	@$(PIP_CHECK)
	touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(PIP_INSTALL) --require-hashes -r requirements-dev.lock
	@$(PIP_CHECK)
	touch $@

.PHONY: run
run: $(VENV)/.run ## start vitald here, with no settings file; Ctrl-C stops it (ARGS="--help" for more)
	@exec $(BIN)/vitald run --state.directory .state $(ARGS)

.PHONY: test
test: lint ## lint, types, unit and end-to-end tests
	$(BIN)/pytest $(ARGS)

.PHONY: unit
unit: $(VENV)/.dev ## the quick part of the tests, some minutes
	$(BIN)/pytest -m "not e2e" $(ARGS)

.PHONY: faults
faults: $(VENV)/.dev ## which faults of docs/faults.md have a test that makes them
	@$(BIN)/python -m tools.fault_coverage

.PHONY: virtual-clock
virtual-clock: $(VENV)/.dev ## 100,000 random steps of the runner, board and metrics under a virtual clock, about ten minutes
	@$(BIN)/python -m tests.kit.virtual_clock 100000 2>/dev/null

.PHONY: lint
lint: $(VENV)/.dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: $(VENV)/.dev ## let ruff rewrite the layout
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: lock
lock: $(VENV)/.dev ## resolve the pinned dependencies again (UPGRADE=--upgrade for newer ones)
	$(UV_COMPILE) -o requirements.lock requirements.in
	$(UV_COMPILE) -c requirements.lock -o requirements-dev.lock requirements-dev.in
	$(UV_COMPILE) -o requirements-fuzz.lock requirements-fuzz.in

.PHONY: pictures
pictures: $(VENV)/.dev ## draw the pictures of README.md and docs, and write the dashboard, after a change of what they show
	@$(BIN)/python -m tools.make_pictures
	@$(BIN)/python -m tools.make_dashboard

.PHONY: bench
bench: $(VENV)/.dev ## measure vitald beside its peers, into bench/RESULTS.md (ONLY=probe_cpu for one)
	@$(BIN)/python -m bench $(ONLY)

# Wheels of atheris are 37 MB and for x86-64 only, so they are not among the tools that everybody installs.
$(VENV)/.fuzz: requirements-fuzz.lock $(VENV)/.dev
	$(PIP_INSTALL) --require-hashes -r requirements-fuzz.lock
	touch $@

.PHONY: fuzz
fuzz: $(VENV)/.fuzz ## fuzz the parsers of foreign bytes by coverage, an hour, into bench/RESULTS.md (ONLY=logs.kmsg SECONDS=60 for one)
	@SECONDS_EACH='$(if $(filter command,$(firstword $(origin SECONDS))),$(SECONDS),60)' $(BIN)/python -m tests.fuzz $(ONLY)

.PHONY: soak
soak: $(VENV)/.dev ## run the daemon under constant change for half an hour, as root, into bench/RESULTS.md
	@$(BIN)/python -m tests.soak

.PHONY: drill
drill: $(VENV)/.dev ## make faults in a fleet of real parts and wait for the pages, as root, two hours (DRILLS="agent killed" for one)
	@DRILLS='$(DRILLS)' $(BIN)/python -m tests.drills

.PHONY: vm-fixtures
vm-fixtures: $(VENV)/.dev ## capture /proc of guests that swap, in qemu, as root, half an hour (GUESTS="6.1 zram" for one)
	@$(BIN)/python -m tests.vm.swap_fixtures $(GUESTS)

# PREFIX, DESTDIR, PYTHON, PURGE: see systemd/install.sh
.PHONY: install uninstall
install uninstall:
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' PYTHON='$(if $(filter file,$(origin PYTHON)),,$(PYTHON))' PURGE='$(PURGE)' systemd/install.sh $@
install: ## into /opt/vitald, with user and unit (as root; settings are kept)
uninstall: ## the program and its unit (as root; PURGE=1: settings, state and user, too)

.PHONY: lab
lab: $(VENV)/.dev ## a shell in a booted systemd container with vitald installed (as root)
	@$(BIN)/python -m tests.kit.container $(ARGS)
