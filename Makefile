# Every command of the project. `make help` lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin

.PHONY: help demo test chaos servers image-test check bench run format clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: .venv/demo.done ## the main job on real photographs, in one command
	@$(BIN)/python examples/demo.py

run: .venv/demo.done ## the whole engine on this machine, until Ctrl-C
	@$(BIN)/trigger-engine up

# The long files come first by their folders' names, and the short ones of tests/unit even out the end.
test: .venv/dev.done ## every test, on real servers that it starts itself; WORKERS=1: one after the other
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

chaos: .venv/dev.done ## kill and cut every server of the cluster profile, on a machine that does nothing else
	@$(BIN)/python -m pytest -m chaos

servers: .venv/dev.done ## RabbitMQ, and Kafka's jars, for `make test` to start: what this machine lacks
	@.ci/servers
	@$(BIN)/python -m tests.support.kafka > /dev/null

image-test: .venv/dev.done ## the image, built by this machine's docker engine and run in every role
	@base=$$(.ci/image-base) && TRIGGER_ENGINE_TEST_IMAGE_BASE=$$base $(BIN)/python -m pytest tests/acceptance/test_image.py

check: .venv/dev.done ## format, lint, types, import arrows, generated files: all in half a minute
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports --no-cache > .venv/imports.log || { cat .venv/imports.log; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/python -m schemas --check

format: .venv/dev.done ## what `make check` can mend by itself
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

bench: .venv/bench.done ## the figures of the README, measured side by side on this machine
	@$(BIN)/python -m benchmarks.startup
	@$(BIN)/python -m benchmarks.tracked_path bulk single latency
	@$(BIN)/python -m benchmarks.side_by_side --rounds 3

clean: ## everything that was installed or made here
	rm -rf .venv demo .trigger-engine

# Installing. A marker is newer than what it was made from, or it is made again.
.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "trigger-engine needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv is missing; on Debian: apt-get install python3-venv"; exit 1; }

.venv/demo.done: pyproject.toml constraints.txt | .venv/bin/pip
	@echo "installing into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo]'
	@touch $@

.venv/dev.done: pyproject.toml constraints.txt | .venv/bin/pip
	@echo "installing into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,dev,cluster]'
	@touch $@ .venv/demo.done

.venv/bench.done: .venv/dev.done benchmarks/requirements.txt
	@echo "installing the peers into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	@touch $@
