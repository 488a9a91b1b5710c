# Two commands matter: `make run` serves the site, `make test` proves it. `make help` lists the rest.
# A machine needs Python 3.11 and make; everything else comes from PyPI and npm into this folder.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PORT ?= 8000
HOST ?= 127.0.0.1
DATA ?= data
ROWS ?= 1000000
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.9
STAMPS := .venv/stamps
WEB := src/tako/web/index.html
WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -name schema.d.ts 2>/dev/null)
export UV_PROJECT_ENVIRONMENT := .venv
export UV_NO_PROGRESS := 1
# The page is built below, when its sources change; hatch_build.py need not fetch Node for it.
export PAGE_BUILT_BY := make
CHECKS := format lint types contracts web-check budget

.PHONY: help run web openapi test check format lint types contracts web-check budget pictures chromium nginx mariadb mysql \
	libfaketime pgloader fonts test-faults test-ferry bench bench-ferry \
	bench-follow clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: $(STAMPS)/installed $(WEB) ## Install, build the page, serve on http://127.0.0.1:8000 (PORT=, HOST=, DATA=)
	@exec $(BIN)/tako serve --host $(HOST) --port $(PORT) --data $(DATA)

web: $(WEB) ## Build the page

openapi: $(STAMPS)/installed ## Write web/openapi.json anew, after a route has changed
	@$(BIN)/tako openapi > web/openapi.json.new && mv web/openapi.json.new web/openapi.json

test: $(STAMPS)/dev $(STAMPS)/clients chromium nginx mariadb mysql libfaketime ## Everything: format, lint, types, contracts, web, all tests
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target $(CHECKS)
	@echo "== tests"
	@$(BIN)/pytest -q -n 4 -m "not hammer" tests

check: $(STAMPS)/dev ## The fast subset for the edit loop: no processes, no browser, SQLite alone
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target format lint types contracts
	@echo "== fast tests"
	@$(BIN)/pytest -q -n 2 -m "not slow and not browser" -k "not postgresql and not mysql and not mariadb" tests

format:
	@echo "== format"
	@$(BIN)/ruff format --check .

lint:
	@echo "== lint"
	@$(BIN)/ruff check .

types:
	@echo "== types"
	@$(BIN)/mypy

contracts:
	@echo "== import contracts"
	@$(BIN)/lint-imports

web-check: $(WEB)
	@echo "== web"
	@scripts/node npm --prefix web run --silent check

budget: $(WEB) ## How large each page is, against what it may be
	@echo "== size of the page"
	@scripts/node node web/scripts/budget.mjs

pictures: $(STAMPS)/dev $(WEB) chromium fonts ## Every state of the page into .screenshots/; those of the README into docs/pictures/
	@mkdir -p .screenshots && $(BIN)/pytest -q -n 2 --pictures .screenshots tests/end_to_end/page/test_looks.py
	@$(BIN)/python -m tests.pictures

test-faults: $(STAMPS)/dev $(WEB) libfaketime ## The site under faults: ten minutes of rounds and mutants, and a table (ferry: test-ferry)
	@$(BIN)/python -m tests.faults

test-ferry: $(STAMPS)/dev mariadb mysql ## Ferry with its long runs: 200 kills of tool, source and target
	@$(BIN)/pytest -q -n 2 --fault-rounds 50 tests/ferry

bench: $(STAMPS)/dev $(WEB) nginx ## The figures of docs/performance.md, beside the peers (20 minutes, 8 GB; BENCH="--rows idle")
	@$(BIN)/python -m bench $(BENCH)

bench-ferry: $(STAMPS)/dev mariadb pgloader ## The figures of docs/ferry.md (ROWS=1000000; some minutes)
	@$(BIN)/python -m bench.ferry --rows $(ROWS)

bench-follow: $(STAMPS)/dev mariadb ## The figures of docs/ferry.md for following
	@$(BIN)/python -m bench.ferry.following

clean: ## Remove all that was installed and built; data stays
	rm -rf .venv web/node_modules tests/clients/node_modules src/tako/web .mypy_cache .ruff_cache .pytest_cache

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tako needs Python 3.11 or newer: apt-get install python3"; exit 1; }
	@$(PYTHON) -m venv .venv >/dev/null || { echo "Python cannot make a virtual environment: apt-get install python3-venv"; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(STAMPS)/installed: $(UV) pyproject.toml uv.lock
	@echo "== installing"
	@$(UV) sync --quiet --frozen --inexact --no-default-groups
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: $(UV) pyproject.toml uv.lock
	@echo "== installing, with what the tests need"
	@$(UV) sync --quiet --frozen --inexact --group dev --group web
	@mkdir -p $(STAMPS) && touch $@ $(STAMPS)/installed $(STAMPS)/node

$(STAMPS)/node: $(UV) pyproject.toml uv.lock
	@$(UV) sync --quiet --frozen --inexact --no-default-groups --group web
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/node_modules: web/package-lock.json | $(STAMPS)/node
	@echo "== installing what builds the page"
	@scripts/node npm --prefix web ci --silent --no-audit --no-fund
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/clients: tests/clients/package-lock.json | $(STAMPS)/node
	@scripts/node npm --prefix tests/clients ci --silent --no-audit --no-fund
	@mkdir -p $(STAMPS) && touch $@

$(WEB): $(WEB_SOURCES) | $(STAMPS)/node_modules
	@echo "== building the page"
	@scripts/node npm --prefix web run --silent build
	@touch $@

chromium:
	@$(call debian,command -v chromium-headless-shell,chromium-headless-shell,The browser tests need Chromium)

nginx:
	@$(call debian,command -v nginx,nginx-light,The tests and the bench need nginx)

mariadb:
	@$(call debian,command -v mariadbd,mariadb-server-core mariadb-client-core,The tests of tako ferry need MariaDB)

mysql:
	@scripts/mysql

libfaketime:
	@$(call debian,ls /usr/lib/*/faketime/libfaketimeMT.so.1,libfaketime,The fault suite needs libfaketime)

pgloader:
	@$(call debian,command -v pgloader,pgloader,The bench of tako ferry compares with pgloader)

fonts:
	@$(call debian,fc-list | grep -i cjk,fontconfig fonts-noto-cjk,The pictures need Chinese fonts)

# What comes from Debian: $(1) finds it, $(2) packages, $(3) who needs it.
define debian
	export PATH="$$PATH:/usr/sbin"; { $(1); } >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ]; then \
	    echo "== installing $(2)"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2) >/dev/null; \
	  else echo "$(3). As root: apt-get install --no-install-recommends $(2)"; exit 1; fi; }
endef
