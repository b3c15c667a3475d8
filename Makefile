# One word per intent; `make help` lists them. Everything that a target needs is made by it.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
UV := .venv/tools/bin/uv
UV_VERSION := 0.13.9
BIN := .venv/dev/bin

# Where wheels lie beside the package index, if anywhere (pip's own variable is honoured).
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
# Which build of torch: a CPU wheel at hand if there is one, else PyTorch's own CPU index (uv knows where it is).
TORCH_BACKEND ?= $(if $(wildcard $(UV_FIND_LINKS)/torch-*cpu*.whl),,cpu)
TORCH := $(if $(TORCH_BACKEND),--torch-backend=$(TORCH_BACKEND))

# How many tests run at once; each may start services and train, so more than a few need a larger machine.
PROCESSES ?= 2

# Without cached bytecode every process compiles all of torch or vLLM anew: 5 to 10 s a start.
unexport PYTHONDONTWRITEBYTECODE

ROLES := control worker engine-cpu dev
ENVIRONMENTS := $(ROLES:%=.venv/%/.made)

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

.PHONY: demo
demo: .venv/control/.made .venv/worker/.made .venv/engine-cpu/.made ## Labels to a released model that answers, on this machine: 12 CPU minutes, under 15 minutes on two idle cores.
	.venv/control/bin/python -m examples.demo

.PHONY: test
test: check $(ENVIRONMENTS) system ## Checks, then every test but the demonstrations; prints the slowest.
	$(BIN)/python -m pytest -n $(PROCESSES) -m "not demonstration and not qualify" $(PYTEST)

.PHONY: test-cluster
test-cluster: .venv/dev/.made .venv/worker/.made ## Tests that need a cluster: that of KUBECONFIG, else the one beside this checkout, else skipped with the reason.
	$(BIN)/python -m pytest -m cluster $(PYTEST)

.PHONY: test-smoke
test-smoke: .venv/dev/.made .venv/worker/.made ## The shortest demonstration: images, helm install, kubectl apply, a streamed answer.
	$(BIN)/python -m pytest -m smoke $(PYTEST)

.PHONY: qualify
qualify: $(ENVIRONMENTS) system ## What takes longer than continuous integration may; docs/qualification.md is its record.
	$(BIN)/python -m pytest -m qualify --timeout 10800 $(PYTEST)

.PHONY: check
check: .venv/dev/.made ## Lint, types, import contracts, drift of generated code, breaking changes of the contract.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy services tests benchmarks examples charts checks docs
	$(BIN)/lint-imports
	$(BIN)/python -m checks.names
	$(BIN)/python -m checks.mirrors
	$(BIN)/python protos/generate.py --check
	$(BIN)/python -m charts.generate --check
	$(BIN)/python -m docs.generate --check
	$(BIN)/python protos/breaking.py

.PHONY: gen
gen: .venv/dev/.made ## Generate services/posology/v1alpha1 from protos/ and lint the contract.
	$(BIN)/python protos/generate.py

.PHONY: docs
docs: .venv/dev/.made ## Generate docs/reference/ from the contract and the settings.
	$(BIN)/python -m docs.generate

.PHONY: manifests
manifests: .venv/dev/.made ## Generate the custom resource from protos/, and k8s/ from the charts.
	$(BIN)/python -m charts.generate

# How an image is built: anything that is followed by a tag and options, such as `podman build -t`.
BUILD ?= $(firstword $(foreach tool,docker podman buildah,$(if $(shell command -v $(tool)),$(tool)))) build -t
REGISTRY ?= posology
TAG ?= 0.1.0
IMAGES ?= control worker engine-cpu evaluator
# Where these sources are published, for the images' labels.
SOURCE ?=
LOCAL_TORCH := $(wildcard $(PIP_FIND_LINKS)/torch-*cpu*.whl)

.PHONY: images
images: ## Build an image per role (IMAGES=, REGISTRY=, TAG=; CUDA: TORCH_INDEX=<index with CUDA builds>).
	for image in $(IMAGES); do $(BUILD) $(REGISTRY)/$$image:$(TAG) --target $$image \
	  --build-arg VERSION=$(TAG) --build-arg REVISION=$$(git rev-parse HEAD) --build-arg SOURCE=$(SOURCE) \
	  $(if $(TORCH_INDEX),--build-arg TORCH_INDEX=$(TORCH_INDEX)) \
	  $(if $(LOCAL_TORCH),--build-arg TORCH_INDEX= --build-arg PIP_FIND_LINKS=$(PIP_FIND_LINKS)) .; done

.PHONY: mirror
mirror: .venv/dev/.made ## List every image that an installation pulls (VALUES="my.yaml ..."), to copy them to a registry of your own.
	@$(BIN)/python -m charts.generate.images $(VALUES)

.PHONY: bench
bench: $(ENVIRONMENTS) system ## Run every benchmark; each prints what it measured, with versions and machine.
	for benchmark in benchmarks/[a-z]*.py; do echo "== $$benchmark"; $(BIN)/python $$benchmark; done

# torch is resolved anew each time: its lock says 2.x without "+cpu", which would hold it to the CUDA build of the index.
COMPILE := $(UV) pip compile -q --upgrade-package torch --python-version 3.11 --no-annotate --no-header --no-emit-find-links $(TORCH)

.PHONY: lock
lock: $(UV) ## Resolve requirements/*.in into one pinned lock per role.
	for role in control worker dev; do $(COMPILE) requirements/$$role.in -o requirements/$$role.txt; done
	$(COMPILE) requirements/engine-cpu.in --override requirements/engine-cpu-overrides.txt -o requirements/engine-cpu.txt
	sed -i 's/+cpu$$//' requirements/*.txt  # which build of torch to take is the machine's business

.PHONY: clean
clean: ## Remove what was built; environments stay (`rm -r .venv` removes them).
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# --- set-up ------------------------------------------------------------------------------------------

$(UV):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv/tools
	.venv/tools/bin/pip install -q uv==$(UV_VERSION)

# The engine's environment holds vLLM alone; the others also hold this project. Byte code is compiled once: importing
# torch and vLLM without it costs several seconds in every process.
.venv/%/.made: requirements/%.txt pyproject.toml | $(UV)
	$(UV) venv -q --allow-existing --python $(PYTHON) .venv/$*
	VIRTUAL_ENV=.venv/$* $(UV) pip sync -q --compile-bytecode $(TORCH) requirements/$*.txt
	$(if $(filter engine-cpu,$*),,VIRTUAL_ENV=.venv/$* $(UV) pip install -q --no-deps -e .)
	touch $@

.PHONY: system
system: build/tools/promtool # What tests use beside Python: PostgreSQL's programs, Chromium, Node, and promtool.
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -qqy postgresql >/dev/null; } || \
	  echo "PostgreSQL is not installed: its tests will be skipped"
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -qqy chromium >/dev/null; } || \
	  echo "Chromium is not installed: the tests of the console in a browser will be skipped"
	@command -v npm >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -qqy nodejs npm >/dev/null; } || \
	  echo "Node is not installed: the tests of the console's sign-in at a provider will be skipped"

# Out of its package, so that no Prometheus starts on this machine.
build/tools/promtool:
	@mkdir -p build/tools/prometheus && cd build/tools && \
	  { command -v promtool >/dev/null && ln -sf "$$(command -v promtool)" promtool; } || \
	  { command -v apt-get >/dev/null && cd prometheus && apt-get download -qq prometheus >/dev/null 2>&1 && \
	    dpkg -x prometheus_*.deb . && mv usr/bin/promtool .. && cd .. && rm -r prometheus; } || \
	  echo "promtool is not to be had: the tests of alerts will be skipped"
