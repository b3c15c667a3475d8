# One word per intent; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
PY := .venv/dev/bin/python

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: gen
gen: ## Generate services/posology/v1alpha1 from protos/ and lint the contract.
	PATH="$(CURDIR)/.venv/dev/bin:$$PATH" $(PY) protos/generate.py
