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

## ---- sweeps (SWEEP=quickstart unless told otherwise) ----

.PHONY: sweep
sweep: setup ## from space.yaml to a picked winner; ENGINE=auto|local|cluster
	@$(RUN)/drive.py "$$SWEEP" $(engine) $(if $(SLOTS),--slots "$$SLOTS") $(if $(QUORUM),--quorum "$$QUORUM") $(flags) $(ARGS)

.PHONY: new
new: setup ## start another sweep: make new SWEEP=name
	@$(RUN)/new.py "$$SWEEP" $(ARGS)

.PHONY: check
check: setup ## run one trial now, from the code as it lies here, and keep nothing
	@$(RUN)/check.py "$$SWEEP" $(ARGS)

.PHONY: expand
expand: setup ## write the trials of space.yaml into values.yaml, and commit them
	@$(RUN)/expand.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: replay
replay: setup ## make every round of a search again, and show what differs
	@$(RUN)/replay.py "$$SWEEP" $(ARGS)

.PHONY: plan
plan: setup ## show what would run and what it may cost
	@$(RUN)/plan.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: render
render: setup ## print the Jobs
	@$(RUN)/render.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: submit
submit: setup ## give the Jobs to the engine
	@$(RUN)/submit.py "$$SWEEP" $(engine) $(if $(SLOTS),--slots "$$SLOTS") $(flags) $(ARGS)

.PHONY: watch
watch: setup ## look on until a sweep has ended
	@$(RUN)/watch.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: status
status: setup ## where every trial stands
	@$(RUN)/status.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: logs
logs: setup ## what a trial printed: make logs TRIAL=id
	@$(RUN)/logs.py "$$SWEEP" "$${TRIAL-}" $(engine) $(ARGS)

.PHONY: fetch
fetch: setup ## copy what a trial left to this machine: make fetch TRIAL=id|best TO=dir
	@$(RUN)/fetch.py "$$SWEEP" "$${TRIAL-best}" $(if $(TO),--to "$$TO") $(engine) $(ARGS)

.PHONY: trace
trace: setup ## everything a result came from: make trace TRIAL=id
	@$(RUN)/trace.py "$${TRIAL-}" $(named) $(ARGS)

.PHONY: reproduce
reproduce: setup ## run a trial once more, and compare: make reproduce TRIAL=id
	@$(RUN)/reproduce.py "$${TRIAL-}" $(named) $(target) $(ARGS)

.PHONY: retry
retry: setup ## give failed trials new Jobs
	@$(RUN)/retry.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: stop
stop: setup ## suspend a sweep on a cluster
	@$(RUN)/stop.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: resume
resume: setup ## let it go on
	@$(RUN)/stop.py "$$SWEEP" $(engine) --resume $(ARGS)

.PHONY: uninstall
uninstall: setup ## remove a sweep from its cluster; FORCE=1 does not collect
	@$(RUN)/uninstall.py "$$SWEEP" $(engine) $(if $(FORCE),--force) $(if $(YES),--yes) $(ARGS)

.PHONY: doctor
doctor: setup ## what a sweep needs on this machine and on the cluster: there, or what to do
	@$(RUN)/doctor.py $(target) $(ARGS)

.PHONY: role
role: setup ## the rights that are needed: make role NAMESPACE=ml USER=ann
	@$(RUN)/role.py $(if $(NAMESPACE),--namespace "$$NAMESPACE") --user "$${USER:-someone}" $(ARGS)

.PHONY: collect
collect: setup ## gather results into values/<sweep>/results.csv, and commit it
	@$(RUN)/collect.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: report
report: setup ## leaderboard, out/<sweep>/report.html, and its charts as SVG
	@$(RUN)/report.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: best
best: setup ## write the winner to values/<sweep>/best.yaml
	@$(RUN)/best.py "$$SWEEP" $(engine) $(ARGS)

.PHONY: ledger
ledger: setup ## hours by sweep, commit, author and status, and what was wasted
	@$(RUN)/ledger.py $(ARGS)

.PHONY: gc
gc: setup ## list what no values file in Git's history names; YES=1: remove
	@$(RUN)/tidy.py $(if $(YES),--yes) $(ARGS)

.PHONY: dataset
dataset: setup ## fill and check the data set; ARGS="--source folder DIR" UPLOAD=
	@$(RUN)/dataset.py $(engine) $(if $(UPLOAD),--upload "$$UPLOAD") "$$SWEEP" -- $(ARGS)

.PHONY: image
image: ## build the trainer's image: IMAGE=host/name:1 [BUILDER=buildah]
	@$(if $(IMAGE),,echo "error: IMAGE: is not set; name the image, as in \`make image IMAGE=registry.example.org/trainer:1\`" >&2; exit 2)
	@builder=$${BUILDER:-$$(command -v docker || command -v podman || command -v buildah || true)}; \
	  [ -n "$$builder" ] || { echo "error: image: no docker, podman or buildah in PATH; install one of them" >&2; exit 2; }; \
	  "$$builder" build --file trainer/Dockerfile --tag "$$IMAGE" .

## ---- development ----

.PHONY: setup
setup: .venv/.launcher ## make .venv, in seconds

.venv/.launcher: requirements/launcher.lock tools/setup.py
	@"$$PYTHON" tools/setup.py .venv requirements/launcher.lock

.venv/.dev: requirements/dev.lock .venv/.launcher
	@"$$PYTHON" tools/setup.py .venv requirements/dev.lock

.PHONY: test
test: test-scripts test-trainer ## every test that needs no cluster, in minutes

.PHONY: test-scripts
test-scripts: .venv/.dev ## scripts, chart, runner, whole sweeps on this machine
	@.venv/bin/pytest -n 2 tests/unit tests/chart tests/e2e tests/browser $(ARGS)

.PHONY: test-trainer
test-trainer: .venv/.dev ## the trainer, in its own environment
	@.venv/bin/python tools/trainer_python.py -m pytest tests/trainer $(ARGS)

.PHONY: test-cluster
test-cluster: .venv/.dev ## whole sweeps on a real Kubernetes that it builds
	@.venv/bin/python tests/cluster/build.py
	@.venv/bin/pytest -n 3 --dist loadscope tests/cluster $(ARGS)

.PHONY: cluster-up
cluster-up: .venv/.dev ## that Kubernetes, to try things on: eval "$$(make -s cluster-up)"
	@.venv/bin/python tests/cluster/build.py >&2
	@.venv/bin/python -m tests.cluster.cluster up

.PHONY: cluster-down
cluster-down: .venv/.dev ## end it
	@.venv/bin/python -m tests.cluster.cluster down

.PHONY: soak
soak: .venv/.dev ## kills, clock jumps and full disks for half an hour; SECONDS=, SEED=
	@PYTHONPATH=scripts .venv/bin/python -m tests.soak.soak $(if $(SECONDS),--seconds "$$SECONDS") $(if $(SEED),--seed "$$SEED") $(ARGS)

.PHONY: fuzz
fuzz: .venv/.dev ## damaged input for every reader, a minute each; SECONDS=, SEED=
	@PYTHONPATH=scripts .venv/bin/python -m tests.fuzz.fuzz $(if $(SECONDS),--seconds "$$SECONDS") $(if $(SEED),--seed "$$SEED") $(ARGS)

.PHONY: bench-trainer
bench-trainer: .venv/.dev ## images/s of the trainer against a plain reference
	@.venv/bin/python tools/trainer_python.py bench/bench_trainer.py $(ARGS)

.PHONY: bench-grid
bench-grid: .venv/.dev ## the 16-trial grid against the published one
	@.venv/bin/python bench/bench_grid.py $(ARGS)

.PHONY: bench-search
bench-search: .venv/.dev ## regret of every sampler on known functions, against Optuna
	@.venv/bin/python bench/bench_search.py $(ARGS)

.PHONY: gp
gp: .venv/.launcher ## what the sampler gp needs (torch, 5 GB) into .venv
	@.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements/gp.lock

.PHONY: bench-odds
bench-odds: .venv/.dev ## does the stated probability of being the best come true, in made-up sweeps
	@.venv/bin/python bench/bench_odds.py $(ARGS)

.PHONY: bench-stopping
bench-stopping: .venv/.dev ## what stop rules save and cost, beside Optuna's and Ray Tune's, over real learning curves
	@.venv/bin/python -m uv run --quiet --no-project --isolated --with scikit-learn==1.9.1 \
	    --with optuna==5.0.0 --with "ray[tune]==2.60.0" python bench/bench_stopping.py $(ARGS)

.PHONY: bench-local
bench-local: .venv/.dev ## how much longer a sweep takes here than xargs for the same commands
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
docs: .venv/.dev ## write what is generated from schemas and samplers
	@.venv/bin/python tools/chart_docs.py
	@.venv/bin/python tools/sampler_docs.py

.PHONY: verify
verify: docs ## nothing generated is out of date
	@git diff --exit-code -- chart schemas docs/search.md || { echo "error: generated files are out of date; commit what \`make docs\` wrote" >&2; exit 1; }

.PHONY: wheel
wheel: .venv/.dev ## the program as a wheel, in dist/
	@.venv/bin/uv build --quiet --wheel --no-build-isolation --out-dir dist .

.PHONY: chart-package
chart-package: .venv/.dev ## the chart as an archive, the same bytes each time, in dist/; SIGN_KEY= signs it
	@.venv/bin/python tools/chart_package.py dist $(if $(SIGN_KEY),--sign "$$SIGN_KEY")

.PHONY: lock
lock: .venv/.dev ## make the lock files again from pyproject.toml and requirements/*.in
	@lock() { .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-annotate --no-header --no-emit-index-url "$${@:2}" -o requirements/$$1.lock; }; \
	  lock launcher pyproject.toml; lock dev pyproject.toml requirements/dev.in; \
	  for name in trainer trainer-test sklearn programs gp; do lock $$name requirements/$$name.in; done

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^## /{print "\n" substr($$0, 4)} /^[a-z-]+:.*## /{gsub(/[$$][$$]/, "$$", $$2); printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
