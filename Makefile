# One verb per habit. `make` alone is the whole check: lint, then test.
#
#   make demo     build the release and serve examples/guestbook       (PYTHON=, DEMO_PORT=)
#   make dev      build into .venv with everything for development; quick when little changed
#   make test     all tests, from nothing; `make unit`, `e2e`, ... run one suite (PYTEST_ARGS=, CARGO_ARGS=)
#   make lint     every check that is not a test; `make fix` repairs what can be repaired
#   make bench    compare with other servers on this machine            (BENCH_ARGS=)
#   make fuzz     feed the parsers, and HTTP/2, garbage for FUZZ_SECONDS each
#   make docs     renew the generated reference documentation
#   make lock     renew the lock files
#   make clean    remove what was built
#
# Nothing here is needed twice: stamp files in .venv remember what is installed and built.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# The newest interpreter from 3.11 on, unless one is named: make PYTHON=python3.12 test
PYTHON ?= $(shell scripts/find-python)
DEMO_HOST ?= 127.0.0.1
DEMO_PORT ?= 8000
PYTEST_ARGS ?=
CARGO_ARGS ?=
BENCH_ARGS ?=
FUZZ_SECONDS ?= 60

VENV := .venv
BIN := $(VENV)/bin
CARGO := cargo
MANIFEST := --manifest-path rust/Cargo.toml --locked
export PIP_DISABLE_PIP_VERSION_CHECK := 1

RUST_SOURCES := $(shell find rust -path rust/target -prune -o -path rust/fuzz -prune -o \( -name '*.rs' -o -name 'Cargo.*' \) -print)

.PHONY: all demo dev test unit conformance e2e interop rust-test lint fix bench fuzz docs lock packages clean

all: lint test

# Environments and builds

$(VENV)/pyvenv.cfg:
	scripts/make-venv "$(PYTHON)" $(VENV)

$(VENV)/.stamp-run: requirements/run.txt | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements/run.txt
	touch $@

$(VENV)/.stamp-dev: requirements/dev.txt | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements/dev.txt
	touch $@ $(VENV)/.stamp-run

# The extension goes into src/hostler, the package is linked into the environment.
$(VENV)/.stamp-build: $(RUST_SOURCES) pyproject.toml | $(VENV)/.stamp-run
	scripts/require-cargo
	@echo "building the extension (the first time takes a minute or two)"
	PATH="$(CURDIR)/$(BIN):$$PATH" VIRTUAL_ENV="$(CURDIR)/$(VENV)" PIP_QUIET=1 $(BIN)/maturin develop --release --locked --quiet
	touch $@

demo: $(VENV)/.stamp-build
	exec scripts/demo $(BIN)/hostler $(DEMO_HOST) $(DEMO_PORT)

dev: $(VENV)/.stamp-dev $(VENV)/.stamp-build

# Tests: scripts/run_tests.py runs suites, adds up their counts and prints the sum as its last line.

test: dev packages
	$(BIN)/python scripts/run_tests.py rust unit conformance e2e interop -- $(PYTEST_ARGS)

unit conformance e2e interop: dev
	$(BIN)/python scripts/run_tests.py $@ -- $(PYTEST_ARGS)

rust-test: $(VENV)/pyvenv.cfg
	scripts/require-cargo
	$(BIN)/python scripts/run_tests.py rust -- $(CARGO_ARGS)

# Debian packages that tests run Hostler against; does nothing where it cannot.
packages:
	scripts/packages test

# Checks. Each line is one; `make -k lint` shows the failures of all.

.PHONY: lint-ruff lint-mypy lint-imports lint-stub lint-rustfmt lint-clippy lint-modules lint-docs
lint: lint-ruff lint-mypy lint-imports lint-modules lint-docs lint-stub lint-rustfmt lint-clippy

lint-ruff: $(VENV)/.stamp-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

lint-mypy: $(VENV)/.stamp-dev
	$(BIN)/mypy

# Layers: see the table in docs/architecture.md and [tool.importlinter].
lint-imports: $(VENV)/.stamp-dev
	PYTHONPATH=src $(BIN)/lint-imports

# The stub of the extension against the extension.
lint-stub: dev
	PYTHONPATH=src $(BIN)/stubtest hostler._engine --allowlist scripts/stubtest-allowlist.txt

# The order of Rust modules, and who may name pyo3.
lint-modules: $(VENV)/pyvenv.cfg
	$(BIN)/python scripts/check_rust_modules.py rust/src

lint-docs: dev
	$(BIN)/python -m hostler.cli.reference --check
	$(BIN)/python scripts/check_links.py

lint-rustfmt:
	scripts/require-cargo
	$(CARGO) fmt --manifest-path rust/Cargo.toml --check
	$(CARGO) fmt --manifest-path rust/fuzz/Cargo.toml --check

# With the bridges, and without them as the pure parts are tested.
lint-clippy: $(VENV)/pyvenv.cfg
	scripts/require-cargo
	PYO3_PYTHON="$(CURDIR)/$(BIN)/python" $(CARGO) clippy $(MANIFEST) --quiet --all-targets --all-features -- -D warnings
	$(CARGO) clippy $(MANIFEST) --quiet --all-targets --no-default-features -- -D warnings

fix: $(VENV)/.stamp-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(CARGO) fmt --manifest-path rust/Cargo.toml
	$(CARGO) fmt --manifest-path rust/fuzz/Cargo.toml

# Measurements, fuzzing, documentation

# The peers go into an environment of their own, .venv-bench, on first use.
bench: dev
	scripts/packages bench
	$(BIN)/python -m bench $(BENCH_ARGS)

fuzz:
	scripts/require-cargo
	scripts/fuzz $(FUZZ_SECONDS)

docs: dev
	$(BIN)/python -m hostler.cli.reference

lock:
	scripts/lock
	$(CARGO) generate-lockfile --manifest-path rust/Cargo.toml

clean:
	rm -rf $(VENV) $(VENV)-bench $(VENV)-lock build dist rust/target rust/fuzz/target
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -f src/hostler/_engine*.so
	find src tests scripts bench examples -name __pycache__ -type d -prune -exec rm -rf {} +
