# `make` alone lists the commands. Each sets up what it needs, from nothing but Python and make.

.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= python3
PORT ?= 8000
SOUND ?= example:piano
K ?= auto
OUT ?= out
OPTIONS ?=
NAME ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SCRIPTS := node_modules/.ready
HTML := _build/html

# The package has threads of its own, so linear algebra keeps to one.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal tests cdlnmf_lit --ignore=tests/browser
CHAPTERS := $(BIN)/python book/_ext/execution.py
export JUPYTER_PLATFORM_DIRS := 1

# Tests and book find each other's results of long sweeps.
export CDLNMF_SWEEPS ?= $(CURDIR)/_build/sweeps
# FRESH=1 computes all kept numbers of the sweeps again, and holds them to what is kept.
ifeq ($(FRESH),1)
export CDLNMF_KEPT := check
endif

# LITE=self puts what is compiled into the book too: its notebooks need no other server.
export LITE ?=

.PHONY: help decompose book sweeps verdicts pdf archive figure slides serve chapters test test-fast test-browser test-nightly lint format picture clean distclean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

decompose: $(READY) ## take a recording apart, the book's piano without SOUND (SOUND=file or folder, K=auto, OUT=out, OPTIONS=)
	$(BIN)/cdlnmf-lit decompose "$(SOUND)" -K $(K) -o "$(OUT)" $(OPTIONS)
	@test "$(SOUND)" != example:piano || \
	  echo "That was the book's piano, of four notes: each component should be one of them, alone. Yours: make decompose SOUND=my.wav"

book: $(READY) $(SCRIPTS) ## execute every chapter whose code changed and build the HTML (FRESH=1: every sweep is run again; LITE=self: it needs no other server)
	@# A build that did not reach its end is not trusted: its warnings would not be repeated.
	@test -f _build/.complete || rm -rf _build/.doctrees _build/lite $(HTML)
	@rm -f _build/.complete
	$(BIN)/jupyter-book build --warningiserror --nitpick --keep-going .
	@touch _build/.complete
	@echo "The book is built: file://$(CURDIR)/$(HTML)/index.html"

sweeps: $(READY) ## compute anew the kept numbers of sweeps that are missing or stale
	@# One chapter at a time: each takes all processors. What was computed before a stop is found again.
	CDLNMF_KEPT=renew $(BIN)/python -m pytest -q $$(grep -l '"kept/' book/*/*.md)
	$(BIN)/python -m cdlnmf_lit.experiments.verdicts

verdicts: $(READY) ## write what follows from the kept numbers into the README and all pages that repeat a verdict
	$(BIN)/python -m cdlnmf_lit.experiments.verdicts

pdf: book ## print the whole book as a PDF (needs Chromium: CHROMIUM=/path/to/it)
	$(BIN)/python book/_ext/pdf.py

archive: book ## put source, built book, what was installed and the claims into one file, to be kept (after make pdf: the PDF too)
	$(BIN)/python book/_ext/archive.py

figure: $(READY) ## make one figure or table of the book again, with its numbers (NAME=fig-gabor-phase)
	$(BIN)/python book/_ext/figures.py "$(NAME)"

slides: book ## make slides of the pictures of all chapters
	$(BIN)/python book/_ext/slides.py

serve: book ## build the book and open it on localhost (PORT=8000)
	@echo "The book is at http://localhost:$(PORT)/ (Ctrl-C ends)"
	@(sleep 1; $(BIN)/python -m webbrowser "http://localhost:$(PORT)/" >/dev/null 2>&1) & \
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory $(HTML) $(PORT)

test: $(READY) ## unit, property and doctest tests with coverage, then the chapters
	$(PYTEST) --cov
	$(CHAPTERS)

test-fast: $(READY) ## the same without chapters, long tests and coverage
	$(PYTEST) -m "not long"

chapters: $(READY) ## execute every chapter whose code or library changed; an assertion fails it
	$(CHAPTERS)

test-browser: book ## open every page of the built book in Chromium (CHROMIUM=/path/to/it), run every chapter there
	$(BIN)/python book/_ext/chromium.py
	$(BIN)/python book/_ext/official.py
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/browser

test-nightly: $(READY) ## the same with at least 200 examples of each property, and every sweep run again
	$(PYTEST) --cov --hypothesis-profile=nightly
	CDLNMF_KEPT=check $(CHAPTERS)

lint: $(READY) ## formatting, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

picture: $(READY) ## draw the picture of the README anew
	$(BIN)/python book/_ext/picture.py

clean: ## remove what was built, keep the environment
	rm -rf _build dist htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove the environment too
	rm -rf $(VENV) node_modules

# The environment. Made anew only when pyproject.toml changes.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "'$(PYTHON)' is not Python 3.11 or newer: install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments: install its venv package (Debian, Ubuntu: apt install python3-venv)" >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# The scripts of the pages. Without npm or a network the book is built all the same, and says so.
$(SCRIPTS): package.json .npmrc | $(READY)
	@if $(BIN)/npm install --loglevel=error; then touch $@; else \
	  echo "npm could not install what package.json names: the book is built without it." >&2; fi
