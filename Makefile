# `make help` says what there is. Every target does all the set-up it needs, on a bare machine with
# Python 3.11, a C compiler and cargo; what is done is remembered in .make/, so the second run is quick.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

BIN := .venv/bin
# The tools of the virtual environment first: cmake for libopus, and the Python that PyO3 builds for.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python
export CARGO_TERM_QUIET ?= true

ENGINE_SOURCES := Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name Cargo.toml -o -name '*.c' -o -name '*.h')

PEERS := phones node jvm pjsua asterisk older-client

say = @printf '\033[1m› %s\033[0m\n'

##@ Use it

.PHONY: demo
demo: .make/engine .make/network .make/agents ## an agent phones someone and they talk; ends by itself
	@tools/test-network $(BIN)/python examples/demo.py

.PHONY: dev
dev: .make/engine ## start a server to play with (the same as `switchroom dev`)
	@$(BIN)/switchroom dev

##@ Change it

.PHONY: check
check: .make/engine ## format, lint, types, import contracts, architecture, Rust lints and tests
	$(say) 'Python: format and lint'
	@ruff format --check --quiet . || { ruff format --check . | tail -n 20; echo 'Mend with: make format'; exit 1; }
	@ruff check --quiet .
	$(say) 'Python: types'
	@mypy
	$(say) 'Import contracts'
	@lint-imports --no-cache | tail -n +6
	$(say) 'Architecture'
	@python -m pytest -q tests/architecture
	$(say) 'Rust: format'
	@cargo fmt --all --check
	$(say) 'Rust: lint'
	@cargo clippy --workspace --all-targets --locked -- -D warnings
	$(say) 'Rust: tests'
	@cargo test --workspace --locked

.PHONY: test
test: ready ## all Python tests, with real peers, in private networks: three lanes beside each other
	@tools/test-lanes

.PHONY: unit
unit: .make/engine ## the fast tests only
	@$(BIN)/python -m pytest -q tests/unit tests/architecture

.PHONY: interop
interop: ready ## only the tests with programs that are not ours
	@tools/test-lanes heavy light -- -m 'interop and not soak and not go'

.PHONY: go
go: .make/engine .make/network .make/agents .make/phones .make/go ## LiveKit's SDK for Go and its `lk` against the server; minutes to compile them
	@tools/test-network $(BIN)/python -m pytest -m go tests/interop

.PHONY: soak
soak: .make/engine .make/network ## ten thousand calls, two hundred at a time: the second half must leave nothing behind
	@tools/test-network $(BIN)/python -m pytest -q -s -m soak tests/interop/test_soak.py

.PHONY: bench
bench: .make/engine .make/network ## measure capacity and call set-up; results in bench/RESULTS.md
	@bench/run

.PHONY: screenshots
screenshots: .make/engine .make/network .make/peers .make/agents ## take the pictures in docs/images anew
	@SWITCHROOM_SCREENSHOTS=docs/images tools/test-network $(BIN)/python -m pytest -q tests/interop/test_web_page.py

.PHONY: format
format: .make/python ## bring everything into the house style
	@ruff format --quiet . && ruff check --quiet --fix . ; cargo fmt --all

##@ Ship it

.PHONY: wheel
wheel: .make/python ## an installable wheel in dist/
	$(say) 'Building the wheel'
	@maturin build --release --locked --quiet --out dist
	@ls -lh dist/*.whl

.PHONY: clean
clean: ## remove everything that make made
	@rm -rf .make .venv .peers node_modules target dist .mypy_cache .ruff_cache .pytest_cache .hypothesis src/switchroom/media/_engine*.so

.PHONY: help
help: ## this list
	@printf 'Switchroom. Two commands matter: \033[1mmake demo\033[0m and \033[1mmake test\033[0m.\n'
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z]+:.*## / {printf "  \033[36mmake %-11s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ── what is set up once ──────────────────────────────────────────────────────

.make/venv: tools/set-up tools/constraints.txt
	@tools/set-up venv
	@touch $@

.make/python: .make/venv pyproject.toml
	@tools/set-up python
	@touch $@

# The compiler works while the Python packages are fetched, where make may do two things at a time.
.make/compiled: .make/venv $(ENGINE_SOURCES)
	@tools/set-up compile
	@touch $@

.make/engine: .make/compiled .make/python
	@tools/set-up engine
	@touch $@

.make/network: tools/set-up
	@tools/set-up network
	@touch $@

# livekit-agents, in an environment of its own: it pins the LiveKit client that it works with.
.make/agents: .make/venv tools/set-up tools/agents-constraints.txt
	@tools/set-up agents
	@touch $@

.make/phones .make/asterisk: tools/set-up
	@tools/set-up $(@F)
	@touch $@

.make/pjsua .make/older-client: .make/venv tools/set-up
	@tools/set-up $(@F)
	@touch $@

.make/node: tools/set-up tests/interop/javascript/package-lock.json
	@tools/set-up node
	@touch $@

.make/go: tools/set-up $(wildcard tests/interop/go/go.* tests/interop/go/*/*.go)
	@tools/set-up go
	@touch $@

.make/jvm: tools/set-up tests/interop/jvm/pom.xml
	@tools/set-up jvm
	@touch $@

.make/peers: $(PEERS:%=.make/%)
	@touch $@

# Everything that the tests need: what is fetched is waited for while the engine is compiled.
.PHONY: ready
ready:
	@$(MAKE) --jobs=5 .make/engine .make/network .make/agents .make/peers
