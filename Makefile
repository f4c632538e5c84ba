# make lab   JupyterLab on a shared kernel, from a fresh clone
# make test  set up and run the tests

VENV := .venv
BIN := $(VENV)/bin
# Tomorrow's release of a dependency must not break today's green.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help lab test check bench thorough conformance conformance-api differential soak lock clean

help:
	@sed -n 's/^# //p' Makefile
	@echo "make check        lint, types and layering, in seconds"
	@echo "make bench        measure against direct ZMQ, zmq_proxy and jupyter_server"
	@echo "make conformance  other projects' test suites, directly and through kmux"
	@echo "make differential  10,000 random conversations, directly and through kmux: an hour"
	@echo "make conformance-api  the HTTP API against its OpenAPI document: four minutes"
	@echo "make thorough     the tests, and those that take long: JupyterLab in each way to attach"
	@echo "make soak         the long runs: a million messages, floods of garbage"

$(VENV)/ready: pyproject.toml constraints.txt
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "kmux needs Python 3.11 or later as python3"; exit 1; }
	@python3 -m venv $(VENV) || \
		{ echo "python3 has no venv module; on Debian: sudo apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet pip
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

# The notebook is a copy: playing with it changes nothing that is tracked.
lab: $(VENV)/ready
	@mkdir -p build/lab
	@cp -n docs/examples/shared.ipynb build/lab/
	$(BIN)/kmux lab build/lab/shared.ipynb

test: $(VENV)/ready check
	$(BIN)/python -m pytest -n 2 --dist loadfile
	$(BIN)/python -m pytest -m alone

check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -p no:randomly tests/test_layering.py

bench: $(VENV)/ready
	$(BIN)/python -m bench

conformance: $(VENV)/ready
	$(BIN)/python -m conformance

conformance-api: $(VENV)/ready
	$(BIN)/python -m conformance.api

differential: $(VENV)/ready
	$(BIN)/python -m conformance.differential

thorough: $(VENV)/ready
	$(BIN)/python -m pytest --thorough

soak: $(VENV)/ready
	$(BIN)/python -m pytest -m soak --timeout 1800

# Resolve the lock anew, from the lower bounds in pyproject.toml.
lock:
	rm -rf $(VENV)
	python3 -m venv $(VENV)
	PIP_CONSTRAINT= PIP_BUILD_CONSTRAINT= $(BIN)/python -m pip install --quiet --upgrade pip
	PIP_CONSTRAINT= PIP_BUILD_CONSTRAINT= $(BIN)/python -m pip install --quiet hatchling \
		--editable . --group dev "soupsieve<3"  # 3 needs Python 3.11.5; Debian 12 has 3.11.2
	$(BIN)/python -m pip freeze --all --exclude-editable > constraints.txt
	@touch $(VENV)/ready

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis conformance/work
