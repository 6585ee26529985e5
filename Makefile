# Two commands on a fresh machine: `make demo` and `make test`. Both need only Python >= 3.11, pip and make.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# An environment of its own, with the lowest versions that pyproject.toml allows.
LOWEST := .venv-lowest
# Networks here are small: more threads cost more than they bring.
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-slow test-lowest check dist bench reproduce clean

demo: $(VENV)/.installed
	$(RUN) -m case_studies quickstart --out out/quickstart

test: $(VENV)/.installed-dev
	$(RUN) -m pytest -n 2 --dist worksteal

test-slow: $(VENV)/.installed-dev
	$(RUN) -m pytest -n 2 --dist worksteal -m slow

test-lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/python -m pytest -n 2 --dist worksteal

check: $(VENV)/.installed-dev
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m pyright
	$(RUN) -m pytest --doctest-modules tests/conftest.py kan2 kanpiler treeconv case_studies

dist: $(VENV)/.installed-dev
	rm -rf dist
	$(RUN) -m build
	$(RUN) -m twine check --strict dist/*

bench: $(VENV)/.installed-bench
	$(RUN) -m benchmarks

reproduce: $(VENV)/.installed
	$(RUN) -m case_studies all --full --jobs 2 --out out --results docs/results.md

clean:
	rm -rf $(VENV) $(LOWEST) dist out

# A stamp for each set of extras, so that a second call reuses the environment.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(RUN) -m pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(RUN) -m pip install -q -c constraints.txt -e ".[dev]"
	touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(RUN) -m pip install -q -c constraints.txt -e ".[test,bench]"
	touch $@ $(VENV)/.installed

$(LOWEST)/bin/python:
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install -q packaging

$(LOWEST)/.installed: pyproject.toml constraints.txt .ci/lowest.py | $(LOWEST)/bin/python
	$(LOWEST)/bin/python .ci/lowest.py test > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install -q -c $(LOWEST)/lowest.txt -e ".[test]"
	touch $@
