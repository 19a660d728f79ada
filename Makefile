# `make` builds the environment where it is missing and runs the MNIST study.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := study
.PHONY: study test test-slow test-kills check bench clean

study: $(STAMP)
	$(BIN)/kd-study run mnist

test: $(STAMP)
	$(BIN)/pytest -q

test-slow: $(STAMP)
	$(BIN)/pytest -q -m slow

# The driver killed at 20 random moments: minutes.
test-kills: $(STAMP)
	$(BIN)/pytest tests/end_to_end/test_kills.py -m slow --log-cli-level=INFO

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/pytest tests/benchmarks -m benchmark -s

# Leaves the environment and the studies: they took time.
clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "kd-study needs Python 3.11 or newer; $(PYTHON) is older or missing: try make PYTHON=python3.12"; exit 1; }
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
