# `make demo` and `make test` are all that a newcomer needs; both install what they use into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo demo-stack test moments check mutate bench docs dashboards preview lock tools clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## run with a simulated organisation, no credentials needed
	$(BIN)/engagement-exporter demo

demo-stack: $(VENV)/.runtime tools ## the same with Prometheus, its rules, and Alertmanager; HISTORY=30d adds the past
	$(BIN)/python -m prometheus.demo_stack $(if $(HISTORY),--history=$(HISTORY))

test: $(VENV)/.dev tools ## run all tests with branch coverage
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=95

moments: $(VENV)/.dev tools ## run the tests that read the clock at awkward moments, such as a leap day
	$(BIN)/python -m tests.moments

check: $(VENV)/.dev ## lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

mutate: $(VENV)/.dev tools ## change every alert in every way, and see that a test of the rules notices
	$(BIN)/python -m prometheus.mutate

bench: $(VENV)/.dev ## measure; the figures go into docs/performance.md
	$(BIN)/python -m bench.attempts
	$(BIN)/python -m bench.targets
	$(BIN)/python -m bench.start
	$(BIN)/python -m bench.storage
	$(BIN)/python -m bench.backfill
	$(BIN)/python -m bench.scrape

docs: $(VENV)/.dev ## write the generated documents anew
	$(BIN)/python docs/generate.py

dashboards: $(VENV)/.dev ## write grafana/dashboards/ anew
	$(BIN)/python -m grafana.generate

preview: $(VENV)/.dev tools ## draw the dashboards with Grafana's libraries; needs Node.js, pngquant, fonts-inter
	cd grafana/preview && npm ci && npm run build
	$(BIN)/python -m grafana.pictures

lock: $(VENV)/.dev ## resolve the dependencies anew, with hashes
	$(PIP) install uv
	$(BIN)/uv pip compile --quiet $(LOCK) pyproject.toml --extra fast --extra remote-write -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet $(LOCK) --group build -o requirements/build.txt
	$(BIN)/uv pip compile --quiet $(LOCK) pyproject.toml --extra fast --extra remote-write --group build --group dev -o requirements/dev.txt

LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	--no-header --upgrade

tools: ## install the programs that the tests use from Debian if they are missing
	@missing=$$(for program in $(PROGRAMS); do command -v $$program > /dev/null || echo $$program; done); \
	[ -z "$$missing" ] || { [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null || { \
			echo "the tests need these programs on the PATH; install them and run make test again:" $$missing >&2; exit 1; }; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $(PACKAGES) > /dev/null; }

PROGRAMS := curl prometheus promtool prometheus-alertmanager amtool jsonnet systemd-analyze chromium faketime victoria-metrics ip unshare
PACKAGES := curl prometheus prometheus-alertmanager jsonnet systemd chromium faketime victoria-metrics iproute2 \
	util-linux

$(VENV)/.python: requirements/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or later is needed; name one with make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements/build.txt
	touch $@

$(VENV)/.runtime: $(VENV)/.python requirements/runtime.txt pyproject.toml
	$(PIP) install --require-hashes -r requirements/runtime.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	$(PIP) install --require-hashes -r requirements/dev.txt
	touch $@

clean: ## remove what was installed and measured
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
