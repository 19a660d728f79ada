# `make` builds the environment where it is missing and runs the MNIST study.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
SEARCH := tests/benchmarks/search

.DEFAULT_GOAL := study
.PHONY: study test test-slow test-kills check bench bench-torchdistill bench-search bench-search-peers clean

study: $(STAMP)
	$(BIN)/kd-study run mnist

# Two files at once: each process has a Ray of its own.
test: $(STAMP)
	$(BIN)/pytest -q --numprocesses 2 --dist loadfile

test-slow: $(STAMP)
	$(BIN)/pytest -q -m slow

# Workers, nodes and drivers killed in turn at 50 random moments, on a Ray cluster of this machine: half an hour.
test-kills: $(STAMP)
	$(BIN)/pytest tests/end_to_end/test_kills.py -m slow --log-cli-level=INFO

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/pytest tests/benchmarks -m 'benchmark and not race' -s

# Training against torchdistill's own loop, in an environment of its own; best on an idle machine: 20 minutes.
bench-torchdistill: .bench-torchdistill/venv/.installed
	$(BIN)/pytest tests/benchmarks/test_torchdistill_speed.py -m benchmark -s

# Our sampler against Optuna's on public tables, 20 seeds: what was run before (.bench-search/) is not run again.
bench-search: $(STAMP)
	$(BIN)/pytest tests/benchmarks/search -m benchmark -s

# Peers beyond Optuna, on the same tables, for the same comparison: hours.
bench-search-peers: .bench-search/venv/.installed .bench-search/venv-neps/.installed
	.bench-search/venv/bin/python -W ignore -m tests.benchmarks.search.peers
	.bench-search/venv-neps/bin/python -W ignore -m tests.benchmarks.search.peers --only 'NePS BO'
	$(BIN)/python -W ignore -m tests.benchmarks.search

# Leaves the environment and the studies: they took time.
clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Environments that see this project's own through a .pth file, so that torch is not installed again.
.bench-search/venv/.installed: $(SEARCH)/requirements-peers.txt $(SEARCH)/requirements-peers-bare.txt $(STAMP)
	$(call environment_on_ours,$(@D))
	$(@D)/bin/pip install --quiet -r $(SEARCH)/requirements-peers.txt
	$(@D)/bin/pip install --quiet --no-deps -r $(SEARCH)/requirements-peers-bare.txt
	touch $@

.bench-torchdistill/venv/.installed: tests/benchmarks/requirements-torchdistill.txt $(STAMP)
	$(call environment_on_ours,$(@D))
	$(@D)/bin/pip install --quiet -r $<
	touch $@

.bench-search/venv-neps/.installed: $(SEARCH)/requirements-peers-neps.txt $(STAMP)
	$(call environment_on_ours,$(@D))
	$(@D)/bin/pip install --quiet -r $<
	touch $@

define environment_on_ours
	$(BIN)/python -m venv $(1)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
		"$$($(1)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ours.pth"
endef

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "kd-study needs Python 3.11 or newer; $(PYTHON) is older or missing: try make PYTHON=python3.12"; exit 1; }
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
