# Every verb does its own set-up: from a fresh clone, `make demo` or `make test` is all there is to
# type. Needed beforehand: python3 (3.11 or later, with venv), make, git, terraform.

PYTHON ?= python3
SCENARIO ?= scale-in
ARCHITECTURE ?= arm64
PYTHON_VERSION ?= 3.13
WORKERS ?= 3
MODEL_WORKERS ?= 2
SECONDS ?= 600
SEED ?= 1

# An environment made with another Python stays as it is, unless PYTHON is given.
ENVIRONMENT = $(PYTHON) tools/environment.py $(1) $(2) $(if $(filter file,$(origin PYTHON)),,--this-python)
VENV := .venv/bin/python
PROGRAMS := $(CURDIR)/build/programs
PYTEST = $(VENV) -m pytest -q
# Tests that need no server have no sockets; the others reach this machine only.
NO_SOCKETS := --disable-socket --allow-unix-socket
LOOPBACK_ONLY := --allow-hosts=127.0.0.0/8,::1,localhost

# Programs that the set-up had to bring along come last: the ones on the PATH are preferred.
export PATH := $(PATH):$(PROGRAMS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# No file is named after a verb.
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## list the verbs
	@echo "Usage: make VERB [NAME=value ...]"
	@echo
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | awk -F'\t' '{printf "  %-16s %s\n", $$1, $$2}'
	@echo
	@echo "PYTHON=$(PYTHON) chooses the interpreter that everything is set up with."

## See it work

demo: venv venv-ministack programs package-local ## scale a simulated fleet in, live; SCENARIO=scale-in|destination-down|exporter-dies|...
	@$(VENV) -m sandbox demo --scenario $(SCENARIO)

chaos: venv venv-ministack programs package-local ## scale in and out while calls fail and functions are killed; SECONDS=600 SEED=1
	@$(VENV) -m sandbox demo --scenario chaos --seconds $(SECONDS) --seed $(SEED) --output build/chaos

sandbox: venv venv-ministack programs package-local ## the local cloud on its own, until Ctrl-C
	@$(VENV) -m sandbox up

## Build

package: venv ## the zip for AWS Lambda; ARCHITECTURE=arm64|x86_64 PYTHON_VERSION=3.13
	@$(VENV) tools/package.py --architecture $(ARCHITECTURE) --python-version $(PYTHON_VERSION)

package-local: venv ## the same for this machine's architecture and Python, as the sandbox runs it
	@$(VENV) tools/package.py --local

release: venv ## a tag that carries the zips, and the module as an archive; VERSION=1.2.3
	@PYTHONPATH=. $(VENV) tools/release.py --runbooks "$(RUNBOOKS)" "$(VERSION)"

release-check: venv ## the zips of the release that is checked out, built once more and compared; VERSION=1.2.3
	@PYTHONPATH=. $(VENV) tools/release.py --check "$(VERSION)"

## Test

# A check after --beside waits often, or uses one core, so it runs at the same time as the others.
CHECKS := --beside terraform-test lint types unit integration package-tests model
# One more word is one more check of everything that there is.
FURTHER_CHECKS := sandbox-tests bugs runbooks conformance

test: venv venv-ministack programs package-local ## what must hold before each push, in half an hour on two cores; what CI runs
	@$(VENV) tools/run_checks.py --beside scenarios $(CHECKS)

test-all: venv venv-ministack programs package-local ## everything, in an hour: before a release
	@$(VENV) tools/run_checks.py --beside end-to-end $(CHECKS) $(FURTHER_CHECKS)

SCHEMA = .venv/bin/check-jsonschema --quiet --builtin-schema vendor
lint: venv ## style, imports between the floors, shell scripts, workflows, spelling, words to avoid
	@.venv/bin/ruff check --quiet
	@.venv/bin/ruff format --check --quiet
	@.venv/bin/lint-imports --no-logo --cache-dir build/import-linter
	@.venv/bin/lint-imports --no-logo --no-cache --config sandbox/importlinter.toml
	@git ls-files .ci/run '*.sh' | xargs .venv/bin/shellcheck
	@$(SCHEMA).github-workflows .github/workflows/*.yml
	@$(SCHEMA).github-issue-forms .github/ISSUE_TEMPLATE/*.yml
	@$(SCHEMA).dependabot .github/dependabot.yml
	@.venv/bin/zizmor --offline --quiet .github
	@.venv/bin/codespell
	@$(PYTEST) -q $(NO_SOCKETS) tests/unit/test_english.py

types: venv ## mypy, strict
	@.venv/bin/mypy --cache-dir build/mypy $(wildcard lifecycle handlers waiters sandbox tools tests)

unit: venv ## decisions, without a socket, every branch of them; then everything else of the package
	@$(PYTEST) $(NO_SOCKETS) -n 2 --cov=lifecycle.decisions tests/unit/decisions
	@$(PYTEST) $(NO_SOCKETS) -n 2 --ignore=tests/unit/decisions tests/unit

integration: venv ## the AWS calls, against moto; the script on the instance, against real processes
	@$(PYTEST) $(LOOPBACK_ONLY) -n 2 tests/integration
	@$(PYTEST) -n 4 tests/flush_document

model: venv ## random histories of everything that can go wrong; HISTORIES=2000 SEED=1
	@HISTORIES=$(or $(HISTORIES),2000) SEED=$(SEED) $(PYTEST) $(NO_SOCKETS) -n $(MODEL_WORKERS) --timeout=1200 \
		--ignore=tests/model/test_mutations.py tests/model

bugs: venv ## deliberate bugs in the product, each of which the check named with it catches
	@$(PYTEST) $(NO_SOCKETS) -n $(MODEL_WORKERS) --timeout=1200 tests/model/test_mutations.py

soak: venv ## many more random histories, for an hour or two; HISTORIES=50000 SEED=1
	@HISTORIES=$(or $(HISTORIES),50000) SEED=$(SEED) $(PYTEST) $(NO_SOCKETS) -n $(MODEL_WORKERS) \
		--timeout=21600 tests/model/test_histories.py

sandbox-tests: venv venv-ministack programs package-local ## the local cloud's own tests
	@$(PYTEST) $(LOOPBACK_ONLY) -n 3 --dist loadfile tests/sandbox

package-tests: venv ## the zip: reproducible, complete, small; and the set-up itself
	@$(PYTEST) -n 2 --dist loadfile tests/package tests/tools

terraform-test: venv programs ## the module: formatted, valid, its preconditions fire, each with its message
	@$(VENV) -m sandbox.terraform fmt-check terraform
	@$(VENV) -m sandbox.terraform validate terraform
	@$(VENV) -m sandbox.terraform test terraform
	@$(PYTEST) $(NO_SOCKETS) tests/terraform

scenarios: venv venv-ministack programs package-local ## the real module, applied to the local cloud, in the scenarios that show most
	@$(PYTEST) -n $(WORKERS) --timeout=600 -m core tests/end_to_end

end-to-end: venv venv-ministack programs package-local ## the same, in every scenario
	@$(PYTEST) -n $(WORKERS) --timeout=600 $(addprefix tests/end_to_end/,test_scenarios.py test_chaos.py test_examples.py test_releases.py)

runbooks: venv venv-ministack programs package-local ## the runbooks, typed into the local cloud as they stand
	@$(PYTEST) -n $(WORKERS) --timeout=600 $(wildcard tests/end_to_end/test_runbook*.py)

conformance: venv programs ## the simulated Fluentd in every state, against the product; FLUENTD=/path/to/fluentd: a real one
	@$(VENV) -m sandbox.conformance --fluentd "$(FLUENTD)"

## Keep house

venv: ## the development environment (.venv), made anew when its requirements change
	@$(call ENVIRONMENT,.venv,requirements-dev.txt)

venv-ministack: ## the Lambda emulator's own environment (.venv-ministack)
	@$(call ENVIRONMENT,.venv-ministack,sandbox/requirements-ministack.txt)

programs: ## check for terraform and prometheus; fetch prometheus from Debian's packages if missing
	@tools/programs.sh $(PROGRAMS)

format: venv ## let ruff and terraform rewrite what they can
	@.venv/bin/ruff check --quiet --fix
	@.venv/bin/ruff format --quiet
	@terraform fmt -recursive terraform

lock: ## resolve all requirements again: pinned and hashed, for every Python and platform
	@PYTHON="$(PYTHON)" tools/lock.sh

clean: ## remove what was built
	@rm -rf build

distclean: clean ## remove the environments, too
	@rm -rf .venv .venv-ministack
