# Every target is a thin line over the real tool. `make setup` makes all that the others need; it is quick when nothing changed.

PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.9
EXTRAS := subscription schema-registry self-healing cold-starter deployer dataplane dev
SERDE := $(shell find libs/serde/src libs/serde/Cargo.toml libs/serde/pyproject.toml 2>/dev/null)
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup demo up down status test unit integration e2e fmt lint types protos requirements bench clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# ---- what everything needs -----------------------------------------------------------------------------------

setup: $(VENV)/.ready build/.serde ## Python environment and the native crate (minutes once, then nothing)

$(UV):
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11, or say make PYTHON=..."; exit 2; }
	@echo "setup: creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.ready: $(UV) requirements/all.txt pyproject.toml
	@echo "setup: installing the pinned packages"
	@$(UV) pip sync --quiet --python $(BIN)/python requirements/all.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@rm -f build/.serde
	@touch $@

build/.serde: $(VENV)/.ready $(SERDE)
	@command -v cargo >/dev/null || { echo "cargo not found: install Rust (rustup.rs), it builds libs/serde"; exit 2; }
	@echo "setup: building the native serialization crate (about 3 minutes the first time)"
	@mkdir -p build
	@$(BIN)/maturin build --quiet --release --manifest-path libs/serde/Cargo.toml --out build/wheels --interpreter $(BIN)/python
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --reinstall build/wheels/sluice_serde-*.whl
	@touch $@

# ---- running it ----------------------------------------------------------------------------------------------

demo: setup ## The main job on real events: brings up everything, shows rows, cleans up
	@$(BIN)/python -m deploy.demo

up: setup ## Kafka, Redis, Flink and the five services on loopback
	@$(BIN)/python -m deploy.local up

down: ## Stop what `make up` started
	@$(BIN)/python -m deploy.local down

status: ## What runs
	@$(BIN)/python -m deploy.local status

# ---- tests ---------------------------------------------------------------------------------------------------

test: setup ## All suites: unit, integration (real Kafka, Redis), e2e (with Flink)
	@$(BIN)/python -m deploy.local resolve
	$(PYTEST)

unit: setup ## Tests that need no server (budget: 4 minutes)
	$(PYTEST) -m "not integration and not e2e"

integration: setup ## Tests against real Kafka and Redis (budget: 10 minutes)
	$(PYTEST) -m integration

e2e: setup ## Tests against the whole stack (budget: 15 minutes)
	$(PYTEST) -m e2e

# ---- code ----------------------------------------------------------------------------------------------------

fmt: setup ## Format
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .
	$(BIN)/buf format --write protos
	cargo fmt --manifest-path libs/serde/Cargo.toml

lint: setup ## Style, layers, contracts, stale generated code
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/python protos/generate.py --check
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code protos
	$(BIN)/lint-imports
	cargo fmt --check --manifest-path libs/serde/Cargo.toml

types: setup ## Strict type check
	$(BIN)/mypy libs services deploy bench tests

protos: setup ## Generate libs/contracts
	$(BIN)/python protos/generate.py

requirements: $(UV) ## Pin all packages with hashes, per service and for all together
	@for extra in $(EXTRAS); do \
		$(UV) pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11 \
			--extra $$extra pyproject.toml --output-file requirements/$$extra.txt; done
	@$(UV) pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11 \
		--all-extras pyproject.toml --output-file requirements/all.txt

bench: setup ## Benchmarks; docs/benchmarks.md says what they measure
	@ls bench/*.py
	@echo "run one as: $(BIN)/python -m bench.NAME"

clean: down ## Remove what was built and all local state
	rm -rf build .local $(VENV) libs/serde/target
