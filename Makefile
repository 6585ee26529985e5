# Two commands on a fresh machine: `make demo` and `make test`. Both need only Python >= 3.11, pip and make.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Networks here are small: more threads cost more than they bring.
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test check bench reproduce clean

demo: $(VENV)/.installed
	$(RUN) -m case_studies quickstart --out out/quickstart

test: $(VENV)/.installed-dev
	$(RUN) -m pytest -n 2

check: $(VENV)/.installed-dev
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m pyright
	$(RUN) -m pytest --doctest-modules tests/conftest.py kan2 kanpiler treeconv case_studies

bench: $(VENV)/.installed-bench
	$(RUN) -m benchmarks

reproduce: $(VENV)/.installed
	$(RUN) -m case_studies all --full --jobs 2 --out out --results docs/results.md

clean:
	rm -rf $(VENV) out

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
