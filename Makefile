SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

SWEEP ?= quickstart
ENGINE ?= auto
PYTHON ?= python3
# What is given on the command line or by the environment is text: make expands nothing in it, and the shell sees it as
# the value of a variable alone. ARGS is different: words for the shell, of the person who types them.
NAMES := ALLOW_DIRTY BUILDER CONTEXT ENGINE FORCE IMAGE NAMESPACE PUSH PYTHON QUORUM SECONDS SEED SIGN_KEY SLOTS SWEEP TAKEOVER TO TRIAL UPLOAD USER YES
named := $(if $(filter file,$(origin SWEEP)),,--sweep "$$SWEEP")
$(foreach name,$(NAMES),$(if $(value $(name)),$(eval override $(name) := $$(value $(name)))$(eval export $(name))))

# -S: scripts/guard.py looks for packages itself, so that a Ctrl-C finds it in charge from the start.
RUN := .venv/bin/python -S scripts
CACHE := $${XDG_CACHE_HOME:-$$HOME/.cache}/helm-sweep
target := $(if $(CONTEXT),--context "$$CONTEXT") $(if $(NAMESPACE),--namespace "$$NAMESPACE")
engine := --engine "$$ENGINE" $(target)
flags := $(if $(ALLOW_DIRTY),--allow-dirty) $(if $(PUSH),--push) $(if $(TAKEOVER),--takeover) $(if $(YES),--yes)

## ---- sweeps (default: SWEEP=quickstart) ----

.PHONY: sweep
sweep: setup ## everything from space.yaml to best.yaml; ENGINE=auto|local|cluster
	@$(RUN)/drive.py "$$SWEEP" $(engine) $(if $(SLOTS),--slots "$$SLOTS") $(if $(QUORUM),--quorum "$$QUORUM") $(flags) $(ARGS)

.PHONY: new
new: setup ## create a sweep: make new SWEEP=name
	@$(RUN)/new.py "$$SWEEP" $(ARGS)

.PHONY: check
check: setup ## run one trial now, with the code as it is, and keep nothing
	@$(RUN)/check.py "$$SWEEP" $(ARGS)

.PHONY: expand
expand: setup ## write the trials of space.yaml into values.yaml, and commit them
	@$(RUN)/expand.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: replay
replay: setup ## recompute every round of a search, and show differences
	@$(RUN)/replay.py "$$SWEEP" $(ARGS)

.PHONY: plan
plan: setup ## show what would run and what it may cost
	@$(RUN)/plan.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: render
render: setup ## print the Kubernetes objects of a sweep
	@$(RUN)/render.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: submit
submit: setup ## start the Jobs of a sweep, here or on a cluster
	@$(RUN)/submit.py "$$SWEEP" $(engine) $(if $(SLOTS),--slots "$$SLOTS") $(flags) $(ARGS)

.PHONY: watch
watch: setup ## follow a sweep until it ends
	@$(RUN)/watch.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: status
status: setup ## show the state of every trial
	@$(RUN)/status.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: logs
logs: setup ## print the output of a trial: make logs TRIAL=id
	@$(RUN)/logs.py "$$SWEEP" "$${TRIAL-}" $(engine) $(ARGS)

.PHONY: fetch
fetch: setup ## copy the outputs of a trial to this machine: make fetch TRIAL=id|best TO=dir
	@$(RUN)/fetch.py "$$SWEEP" "$${TRIAL-best}" $(if $(TO),--to "$$TO") $(engine) $(ARGS)

.PHONY: trace
trace: setup ## show where a result came from: make trace TRIAL=id
	@$(RUN)/trace.py "$${TRIAL-}" $(named) $(ARGS)

.PHONY: reproduce
reproduce: setup ## run a trial again and compare: make reproduce TRIAL=id
	@$(RUN)/reproduce.py "$${TRIAL-}" $(named) $(target) $(ARGS)

.PHONY: retry
retry: setup ## create new Jobs for failed trials
	@$(RUN)/retry.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: stop
stop: setup ## suspend a sweep on a cluster
	@$(RUN)/stop.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: resume
resume: setup ## resume a suspended sweep
	@$(RUN)/resume.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: uninstall
uninstall: setup ## remove a sweep from its cluster; FORCE=1 does not collect first
	@$(RUN)/uninstall.py "$$SWEEP" $(engine) $(if $(FORCE),--force) $(if $(YES),--yes) $(ARGS)

.PHONY: doctor
doctor: setup ## check what a sweep needs on this machine and on the cluster
	@$(RUN)/doctor.py $(target) $(ARGS)

.PHONY: role
role: setup ## print the RBAC rights that a user needs: make role NAMESPACE=ml USER=ann
	@$(RUN)/role.py $(if $(NAMESPACE),--namespace "$$NAMESPACE") --user "$${USER:-someone}" $(ARGS)

.PHONY: collect
collect: setup ## collect results into values/<sweep>/results.csv, and commit it
	@$(RUN)/collect.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: report
report: setup ## show the ranking; write out/<sweep>/report.html and its charts
	@$(RUN)/report.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: best
best: setup ## write the winner to values/<sweep>/best.yaml
	@$(RUN)/best.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: ledger
ledger: setup ## show hours by sweep, commit, author and status
	@$(RUN)/ledger.py $(ARGS)

.PHONY: gc
gc: setup ## list results that no values file in Git's history names; YES=1 removes them
	@$(RUN)/tidy.py $(if $(YES),--yes) $(ARGS)

.PHONY: dataset
dataset: setup ## prepare and verify the data set; ARGS="--source folder DIR" UPLOAD=
	@$(RUN)/dataset.py $(engine) $(if $(UPLOAD),--upload "$$UPLOAD") "$$SWEEP" -- $(ARGS)

.PHONY: image
image: ## build the trainer's image: IMAGE=host/name:1 [BUILDER=buildah]
	@$(if $(IMAGE),,echo "error: IMAGE: is not set; name the image, as in \`make image IMAGE=registry.example.org/trainer:1\`" >&2; exit 2)
	@builder=$${BUILDER:-$$(command -v docker || command -v podman || command -v buildah || true)}; \
	  [ -n "$$builder" ] || { echo "error: image: no docker, podman or buildah in PATH; install one of them" >&2; exit 2; }; \
	  "$$builder" build --file trainer/Dockerfile --tag "$$IMAGE" .

## ---- development ----

.PHONY: setup
setup: .venv/.launcher ## create .venv, in seconds

.venv/.launcher: requirements/launcher.lock tools/setup.py
	@"$$PYTHON" tools/setup.py .venv requirements/launcher.lock

.venv/.dev: requirements/dev.lock .venv/.launcher
	@"$$PYTHON" tools/setup.py .venv requirements/dev.lock

.PHONY: test
test: test-scripts test-trainer ## all tests that need no cluster; minutes

.PHONY: test-scripts
test-scripts: .venv/.dev ## tests of scripts, chart and runner, and of local sweeps
	@.venv/bin/pytest -n 2 tests/unit tests/chart tests/e2e tests/browser $(ARGS)

.PHONY: test-trainer
test-trainer: .venv/.dev ## tests of the trainer, in its own environment
	@.venv/bin/python tools/trainer_python.py -m pytest tests/trainer $(ARGS)

.PHONY: test-cluster
test-cluster: .venv/.dev ## tests on a real Kubernetes, built from source
	@.venv/bin/python tests/cluster/build.py
	@.venv/bin/pytest -n 3 --dist loadscope tests/cluster $(ARGS)

.PHONY: cluster-up
cluster-up: .venv/.dev ## start that Kubernetes, to try things on: eval "$$(make -s cluster-up)"
	@.venv/bin/python tests/cluster/build.py >&2
	@.venv/bin/python -m tests.cluster.cluster up

.PHONY: cluster-down
cluster-down: .venv/.dev ## stop it
	@.venv/bin/python -m tests.cluster.cluster down

.PHONY: soak
soak: .venv/.dev ## inject kills, clock jumps and full disks for half an hour; SECONDS=, SEED=
	@PYTHONPATH=scripts .venv/bin/python -m tests.soak.soak $(if $(SECONDS),--seconds "$$SECONDS") $(if $(SEED),--seed "$$SEED") $(ARGS)

.PHONY: fuzz
fuzz: .venv/.dev ## damaged input for every parser, a minute each; SECONDS=, SEED=
	@PYTHONPATH=scripts .venv/bin/python -m tests.fuzz.fuzz $(if $(SECONDS),--seconds "$$SECONDS") $(if $(SEED),--seed "$$SEED") $(ARGS)

.PHONY: bench-trainer
bench-trainer: .venv/.dev ## images/s of the trainer, against a plain reference
	@.venv/bin/python tools/trainer_python.py bench/bench_trainer.py $(ARGS)

.PHONY: bench-grid
bench-grid: .venv/.dev ## the 16-trial grid, against the published one
	@.venv/bin/python bench/bench_grid.py $(ARGS)

.PHONY: bench-search
bench-search: .venv/.dev ## regret of every sampler on known functions, against Optuna
	@.venv/bin/python bench/bench_search.py $(ARGS)

.PHONY: gp
gp: .venv/.launcher ## install what the sampler gp needs (torch, 5 GB) into .venv
	@.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements/gp.lock

.PHONY: bench-odds
bench-odds: .venv/.dev ## calibration of the probability of being best, on simulated sweeps
	@.venv/bin/python bench/bench_odds.py $(ARGS)

.PHONY: bench-stopping
bench-stopping: .venv/.dev ## epochs saved and regret of stop rules, against Optuna and Ray Tune
	@.venv/bin/python -m uv run --quiet --no-project --isolated --with scikit-learn==1.9.1 \
	    --with optuna==5.0.0 --with "ray[tune]==2.60.0" python bench/bench_stopping.py $(ARGS)

.PHONY: bench-local
bench-local: .venv/.dev ## overhead of a local sweep, against xargs
	@.venv/bin/python bench/bench_local.py $(ARGS)

.PHONY: bench-expand
bench-expand: .venv/.dev ## time and memory of expanding 10,000 and 100,000 trials
	@.venv/bin/python bench/bench_expand.py

.PHONY: bench-report
bench-report: .venv/.dev ## time and size of reports of 1,000 and 10,000 trials
	@.venv/bin/python bench/bench_report.py

.PHONY: bench-collect
bench-collect: .venv/.dev ## time and memory of collecting 10,000 results
	@.venv/bin/python bench/bench_collect.py

.PHONY: lint
lint: .venv/.dev ## ruff, mypy, import-linter, helm lint
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/mypy && .venv/bin/mypy --config-file tests/trainer/mypy.toml
	@PYTHONPATH=scripts .venv/bin/lint-imports
	@for values in chart/ci/*-values.yaml; do .venv/bin/helm lint --strict --quiet chart -f $$values; done

.PHONY: docs
docs: .venv/.dev ## generate docs and defaults from schemas and samplers
	@.venv/bin/python tools/chart_docs.py
	@.venv/bin/python tools/sampler_docs.py

.PHONY: verify
verify: docs ## check that generated files are up to date
	@git diff --exit-code -- chart schemas docs/search.md || { echo "error: generated files are out of date; commit what \`make docs\` wrote" >&2; exit 1; }

.PHONY: wheel
wheel: .venv/.dev ## build the wheel, in dist/
	@.venv/bin/uv build --quiet --wheel --no-build-isolation --out-dir dist .

.PHONY: chart-package
chart-package: .venv/.dev ## build the chart's archive, reproducibly, in dist/; SIGN_KEY= signs it
	@.venv/bin/python tools/chart_package.py dist $(if $(SIGN_KEY),--sign "$$SIGN_KEY")

.PHONY: lock
lock: .venv/.dev ## update the lock files from pyproject.toml and requirements/*.in
	@lock() { .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-annotate --no-header --no-emit-index-url "$${@:2}" -o requirements/$$1.lock; }; \
	  lock launcher pyproject.toml; lock dev pyproject.toml requirements/dev.in; \
	  for name in trainer trainer-test sklearn programs gp; do lock $$name requirements/$$name.in; done

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^## /{print "\n" substr($$0, 4)} /^[a-z-]+:.*## /{gsub(/[$$][$$]/, "$$", $$2); printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
