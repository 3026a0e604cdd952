SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

SWEEP ?= quickstart
ENGINE ?= auto
PYTHON ?= python3
export ENGINE

RUN := .venv/bin/python scripts
CACHE := $${XDG_CACHE_HOME:-$$HOME/.cache}/helm-sweep
engine := --engine $(ENGINE)
flags := $(if $(ALLOW_DIRTY),--allow-dirty) $(if $(PUSH),--push)

## ---- sweeps (SWEEP=quickstart unless told otherwise) ----

.PHONY: sweep
sweep: setup ## expand, plan, run, collect, report and pick the best; ENGINE=auto|local|cluster
	@$(RUN)/drive.py $(SWEEP) $(engine) $(if $(SLOTS),--slots $(SLOTS)) $(flags)

.PHONY: new
new: setup ## start another sweep: make new SWEEP=name
	@$(RUN)/new.py $(SWEEP)

.PHONY: expand
expand: setup ## write the trials that space.yaml describes into values.yaml, and commit them
	@$(RUN)/expand.py $(SWEEP) $(ARGS)

.PHONY: plan
plan: setup ## show what would run and what it may cost
	@$(RUN)/plan.py $(SWEEP) $(engine) $(ARGS)

.PHONY: render
render: setup ## print the Jobs
	@$(RUN)/render.py $(SWEEP) $(engine)

.PHONY: submit
submit: setup ## give the Jobs to the engine
	@$(RUN)/submit.py $(SWEEP) $(engine) $(if $(SLOTS),--slots $(SLOTS)) $(flags)

.PHONY: status
status: setup ## where every trial stands
	@$(RUN)/status.py $(SWEEP) $(engine)

.PHONY: logs
logs: setup ## what a trial printed: make logs TRIAL=id
	@$(RUN)/logs.py $(SWEEP) $(TRIAL) $(engine)

.PHONY: retry
retry: setup ## give failed trials new Jobs
	@$(RUN)/retry.py $(SWEEP) $(engine)

.PHONY: collect
collect: setup ## gather results into values/<sweep>/results.csv, and commit it
	@$(RUN)/collect.py $(SWEEP) $(engine)

.PHONY: report
report: setup ## leaderboard, and out/<sweep>/report.html
	@$(RUN)/report.py $(SWEEP) $(engine)

.PHONY: best
best: setup ## write the winner to values/<sweep>/best.yaml
	@$(RUN)/best.py $(SWEEP) $(engine)

.PHONY: dataset
dataset: setup ## fill the data folder of a sweep and check it; ARGS="--source folder DIR"
	@$(RUN)/dataset.py $(SWEEP) -- $(ARGS)

## ---- development ----

.PHONY: setup
setup: .venv/.launcher ## make .venv, in seconds

.venv/.launcher: requirements/launcher.lock tools/setup.py
	@$(PYTHON) tools/setup.py .venv requirements/launcher.lock

.venv/.dev: requirements/dev.lock .venv/.launcher
	@$(PYTHON) tools/setup.py .venv requirements/dev.lock

.PHONY: test
test: test-scripts test-trainer ## every test that needs no cluster, in minutes

.PHONY: test-scripts
test-scripts: .venv/.dev ## scripts, chart, runner, whole sweeps on this machine
	@.venv/bin/pytest -n 2 tests/unit tests/chart tests/e2e tests/browser $(ARGS)

.PHONY: test-trainer
test-trainer: .venv/.dev ## the trainer, in its own environment
	@.venv/bin/python tools/trainer_python.py -m pytest tests/trainer $(ARGS)

.PHONY: test-cluster
test-cluster: .venv/.dev ## the chart and the runner on a real Kubernetes, built here; helm 3 and helm 4
	@.venv/bin/python tests/cluster/build.py
	@.venv/bin/pytest -n 2 --dist loadgroup tests/cluster $(ARGS)

.PHONY: cluster-up
cluster-up: .venv/.dev ## that Kubernetes, to try things on: eval "$$(make -s cluster-up)"
	@.venv/bin/python tests/cluster/build.py >&2
	@.venv/bin/python -m tests.cluster.cluster up

.PHONY: cluster-down
cluster-down: .venv/.dev ## end it
	@.venv/bin/python -m tests.cluster.cluster down

.PHONY: bench-trainer
bench-trainer: .venv/.dev ## images/s of the trainer against a plain reference
	@.venv/bin/python tools/trainer_python.py bench/bench_trainer.py $(ARGS)

.PHONY: lint
lint: .venv/.dev ## ruff, mypy, import-linter, helm lint
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/mypy
	@PYTHONPATH=scripts .venv/bin/lint-imports
	@for values in chart/ci/*-values.yaml; do .venv/bin/helm lint --strict --quiet chart -f $$values; done

.PHONY: docs
docs: .venv/.dev ## write what is generated: chart/values.yaml, chart/README.md
	@.venv/bin/python tools/chart_docs.py

.PHONY: verify
verify: docs ## nothing generated is out of date
	@git diff --exit-code -- chart || { echo "error: chart/: out of date with values.schema.json; commit what \`make docs\` wrote" >&2; exit 1; }

.PHONY: lock
lock: .venv/.dev ## make the lock files again from requirements/*.in
	@for name in launcher dev trainer trainer-test sklearn; do .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --no-emit-index-url requirements/$$name.in -o requirements/$$name.lock; done

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^## /{print "\n" substr($$0, 4)} /^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
