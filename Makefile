# Everything here needs only Python >= 3.11, make and a package index.
PYTHON ?= python3
PROFILE ?= default
DEVICE ?= cpu
EXECUTOR ?= processes
VENV ?= .venv
SWEEP ?= smoke
BROWSER ?= chromium
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
SLOW_TESTS := $(if $(SLOW),,-m "not slow")

.DEFAULT_GOAL := help
.PHONY: help install test lint reproduce report reference scores bench picture sweep lab exercises data wheel clean

help:  ## show this list
	@echo "make reproduce    run the notebooks, build reports/index.html    PROFILE=smoke|default|full DEVICE=cpu|cuda WORKERS=N"
	@echo "make test         run the tests, with coverage                   SLOW=1 for the slow ones too"
	@echo "make lab          open JupyterLab on the start page of the notebooks"
	@echo "make exercises    copy the lessons without solutions to notebooks/exercises; what you worked in stays"
	@echo "make report       build the report from what the notebooks left  PROFILE=..."
	@echo "make picture      take the README's picture of the report        BROWSER=chromium|google-chrome"
	@echo "make reference    reproduce, then ship the verdicts in data/reference; needs all public data"
	@echo "make scores       extend the shipped scores, resumable           DEVICE=cpu|cuda EXECUTOR=processes|dask[:ADDRESS]"
	@echo "make sweep        run notebooks/sweeps/NAME.yml, resumable       SWEEP=NAME WORKERS=N"
	@echo "make bench        measure speed as ratios                        DEVICE=cpu|cuda"
	@echo "make data         fetch public accuracies, say which are present NBNAS_OFFLINE=1 to fetch nothing"
	@echo "make lint         check style and format"
	@echo "make wheel        build the wheel, install it in an empty environment, score a network there"
	@echo "make install      set up $(VENV)                                  PYTHON=python3 TORCH=2.12.0"
	@echo "make clean        delete what is generated; scores and data stay"
	@echo "NBNAS_DATA=DIR    folder with nasbench201.csv.gz, for reproduce and test"

install: $(INSTALLED)

# TORCH replaces the pinned version, to test others.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nbnas needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@echo "installing the pinned packages into $(VENV): a few minutes, once"
	$(PYTHON) -m venv $(VENV)
	sed '$(if $(TORCH),s/^torch==.*/torch==$(TORCH)/)' constraints.txt > $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(VENV)/constraints.txt -e ".[lab,data,dask,train,dev]"
	@touch $@

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 $(SLOW_TESTS) --cov=nbnas --cov-report=term --cov-fail-under=90 $(TESTS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

reproduce: $(INSTALLED)
	$(BIN)/nbnas reproduce --profile $(PROFILE) --device $(DEVICE) $(if $(WORKERS),--workers $(WORKERS))

report: $(INSTALLED)
	$(BIN)/nbnas report --profile $(PROFILE)

picture: report
	$(BROWSER) --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1200,900 \
	  --blink-settings=preferredColorScheme=1 --screenshot=data/reference/verdict-page.png "file://$(CURDIR)/reports/index.html"

reference: reproduce picture
	cp reports/verdicts.csv reports/run.json reports/vkdnw/table1-comparison.png data/reference/

scores: $(INSTALLED)
	$(BIN)/nbnas score-all --device $(DEVICE) --executor $(EXECUTOR)

bench: $(INSTALLED)
	$(BIN)/python -m tests.bench_proxies --device $(DEVICE)
	$(BIN)/python -m tests.bench_search

sweep: $(INSTALLED)
	$(BIN)/nbnas sweep notebooks/sweeps/$(SWEEP).yml $(if $(WORKERS),--workers $(WORKERS))

lab: $(INSTALLED)
	if [ -n "$$NBNAS_DATA" ]; then export NBNAS_DATA="$$(realpath "$$NBNAS_DATA")"; fi; \
	$(BIN)/jupyter lab --notebook-dir=. notebooks/index.ipynb

exercises: $(INSTALLED)
	$(BIN)/nbnas exercises

# Without a network, the status still says what is present.
data: $(INSTALLED)
	$(BIN)/nbnas data fetch || true
	$(BIN)/nbnas data status

# Outside the checkout, so that Python finds the installed package and no other.
wheel: $(INSTALLED)
	rm -rf build/wheel && mkdir -p build/wheel
	$(BIN)/python -m build --wheel --outdir build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check -c $(VENV)/constraints.txt build/wheel/*.whl
	cp .ci/score_from_wheel.py build/wheel
	cd build/wheel && venv/bin/python score_from_wheel.py && venv/bin/nbnas --version

clean:
	git clean -fdXq reports
	find . -name __pycache__ -not -path "./$(VENV)/*" -prune -exec rm -rf {} +
	rm -rf .pytest_cache .ruff_cache .hypothesis .coverage* build *.egg-info
