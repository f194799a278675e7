# facerec: plain `make` lists what can be done.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# --- where things are; every one can be given on the command line: make extract MOVIE=12345 FILMS=/films
VENV    ?= .venv
PYTHON  ?= $(VENV)/bin/python
BASE_PYTHON ?= python3.11
FILMS   ?= films
ACTOR_DB ?= actor_db
DEMO    ?= demo

REQUIREMENTS := requirements.in requirements-dev.in requirements-no-deps.in

# .venv is made when it is needed; with another PYTHON (a conda environment's, say) it is not
READY := $(if $(filter $(VENV)/bin/python,$(PYTHON)),$(VENV)/.ready)
# two processes of one thread each: a thread more for each would only wait for a core
PYTEST := OMP_NUM_THREADS=1 $(PYTHON) -m pytest

.PHONY: help env doctor lock models demo test test-slow test-gpu lint clean

help:  ## this list
	@echo "facerec: every actor of a film found, followed, grouped and named"
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1|/' | column -t -s '|'

env: $(VENV)/.ready  ## make .venv with all that is needed (about 3 minutes, 6 GB)

# -qq: pip's warnings tell of its own settings; errors are shown. --no-deps: the lock names all packages
$(VENV)/.ready: requirements.lock
	@"$(BASE_PYTHON)" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "make env: needs Python 3.11 with venv, and '$(BASE_PYTHON)' is not that: install it (Debian:" \
	    "apt-get install python3.11-venv) or run: make env BASE_PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "making $(VENV): torch and the other packages, about 6 GB"
	@"$(BASE_PYTHON)" -m venv $(VENV)
	@$(VENV)/bin/pip install -qq --disable-pip-version-check --no-deps -r requirements.lock
	@touch $@

# not $(READY): it also runs, and says so, where packages are missing. Names of films and folders pass the shell
# through the environment
doctor: export FACEREC_DOCTOR_FILMS = $(value FILMS)
doctor: export FACEREC_DOCTOR_ACTOR_DB = $(value ACTOR_DB)
doctor: export FACEREC_DOCTOR_OUT = $(if $(value OUT),$(value OUT),data)
doctor:  ## list what this machine has and lacks, and the command that adds what is missing [FILMS= ACTOR_DB= DETECTOR= EMBEDDER=]
	@python=$$(command -v "$(PYTHON)" || command -v "$(BASE_PYTHON)" || command -v python3) || { \
	  echo "make doctor: no Python here: install Python 3.11, then: make env" >&2; exit 1; }; \
	FACEREC_BY_LAUNCHER=1 "$$python" -u ./facerec/doctor.py --films "$$FACEREC_DOCTOR_FILMS" --actor-db "$$FACEREC_DOCTOR_ACTOR_DB" \
	  --out "$$FACEREC_DOCTOR_OUT" $(if $(DETECTOR),--detector "$(DETECTOR)") $(if $(EMBEDDER),--embedder "$(EMBEDDER)")

lock: $(READY)  ## renew requirements.lock after a change of requirements*.in [UPGRADE=1: newer transitive ones]
	$(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --custom-compile-command "make lock" \
	  $(if $(UPGRADE),--upgrade) --output-file requirements.lock $(REQUIREMENTS)

models: $(READY)  ## fetch weights once, on a machine with a network: make models [MODELS="yunet scrfd buffalo_l"]
	$(PYTHON) -u ./facerec/fetch_models.py $(MODELS)

demo: $(READY)  ## make a small film and take it through all stages, offline
	@echo "the demo: a film of two people, four shards, all stages, with the models that need no download"
	@$(PYTHON) -u -m facerec.demo --out $(DEMO)

test: $(READY)  ## the test suite, 5 to 10 minutes; what a machine cannot run is skipped with the reason
	@echo "running the tests"
	$(PYTEST) -n 2 --dist loadgroup -m "not slow and not slurm and not gpu"

test-slow: $(READY)  ## the long tests: kill points, all numbers of shards
	@echo "running the long tests"
	$(PYTEST) -n 2 --dist loadgroup -m slow

test-gpu: $(READY)  ## the tests that need an NVIDIA GPU; skipped without one
	$(PYTHON) -m pytest -m gpu -rs tests/models tests/bench

lint: $(READY)  ## ruff, mypy, and which package may import which
	@echo "checking style, types and imports"
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check --quiet .
	$(PYTHON) -m mypy
	$(PYTHON) -c 'from importlinter.cli import lint_imports_command as lint; lint()' --no-cache

clean:  ## remove what `make demo` and the tests made; never your films or data
	rm -rf $(DEMO) build facerec.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*

include slurm/slurm.mk
$(LAUNCHER_TARGETS) test-slurm: $(READY)
