# One word per intent; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
PY := .venv/dev/bin/python

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
