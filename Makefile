# Everything a newcomer needs; `make help` lists it. All of it happens in .venv, .venv-relay, .venv-lint and build/.

PYTHON ?= python3
VENV := .venv
RELAY := .venv-relay
LINT := .venv-lint
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=
# One more than processors: some tests wait for devices that do not answer.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 4 ? n + 1 : 4)))

.DEFAULT_GOAL := help
.PHONY: help demo test relay fuzz exports lint bench gpu-pack gpu-bench mca board models clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Upscale a photograph with the two demo networks; results in build/demo/
	$(BIN)/python scripts/demo.py $(ARGS)

# Bytecode of tests is kept in any case (containers often say not to): each worker, and each process
# that a test starts, would compile all anew.
test: $(VENV)/.test ## Run the test suite (ARGS="-k name" passes options to pytest)
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --numprocesses $(WORKERS) \
		--dist loadfile --no-loadscope-reorder $(ARGS)

relay: $(RELAY)/.made ## Set up TVM 0.16 with Relay in .venv-relay, and run the demo networks there (docs/relay.md)
	$(RELAY)/bin/python scripts/relay_demo.py $(ARGS)

fuzz: $(VENV)/.test ## Compile random models, compare with other runtimes (ARGS="--cases 10000 --seed 1")
	PYTHONPATH=tests $(BIN)/python -m fuzz $(ARGS)

exports: $(VENV)/.test $(VENV)/.train ## Compile what PyTorch's exporters make of 24 architectures; docs/exports.md (an hour or two)
	PYTHONPATH=tests $(BIN)/python -m exports $(ARGS)

# In an environment of their own: mypy says other things where a package is installed that is not
# always there. mypy and import-linter cannot follow the mapping of schedules/ to
# tvm_deconv.schedules, so they get the package as a wheel would lay it out.
lint: $(LINT)/.made ## Check style and types
	$(LINT)/bin/ruff check .
	rm -rf build/typed && mkdir -p build/typed
	cp -R tvm_deconv schedules scripts build/typed/ && mv build/typed/schedules build/typed/tvm_deconv/
	cd build/typed && ../../$(LINT)/bin/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache
	cd build/typed && MYPYPATH=scripts ../../$(LINT)/bin/mypy --config-file ../../pyproject.toml \
		--cache-dir ../../.mypy_cache scripts/*.py
	cd build/typed && ../../$(LINT)/bin/lint-imports ../../pyproject.toml --no-cache

bench: $(VENV)/.bench ## Measure against other runtimes; results in build/ (half an hour; keep the machine idle)
	mkdir -p build
	$(BIN)/tvm-deconv bench --plot build/bench.svg $(ARGS)

gpu-pack: $(VENV)/.test ## Compile the GPU benchmark's kernels into build/gpu (ARGS="--arch sm_90"; no GPU needed)
	$(BIN)/python scripts/gpu_pack.py $(ARGS)

gpu-bench: $(VENV)/.test ## Check and time them on an NVIDIA GPU; results in build/ (docs/gpu-benchmark.md)
	$(BIN)/python scripts/gpu_bench.py $(ARGS)

mca: $(VENV)/.test ## Hold the inner loops for Cortex-A53, A55, A72 and A76 against the multiply-add bound
	$(BIN)/python scripts/mca.py $(ARGS)

board: $(VENV)/.tune ## Start an emulated ARM board with a TVM RPC tracker (ARGS=stop ends it)
	$(BIN)/python scripts/board.py $(or $(ARGS),start)

models: $(VENV)/.train ## Train and export the demo networks again (minutes; ARGS="--steps 2 --out build/models" tries it)
	$(BIN)/python scripts/train_demo_models.py $(ARGS)

clean: ## Remove the virtual environments and everything built
	[ ! -e build/board ] || $(PYTHON) scripts/board.py stop
	rm -rf $(VENV) $(RELAY) $(LINT) build

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo 'Python 3.10 or newer is needed: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
		{ echo 'Python cannot make a virtual environment here: apt install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RELAY)/.made: scripts/relay_environment.py
	@echo 'Installing TVM with Relay into $(RELAY), once: this can take a minute' >&2
	@$(PYTHON) scripts/relay_environment.py $(RELAY)
	@touch $@

$(LINT)/.made: pyproject.toml | $(BIN)/python
	@echo 'Installing what "lint" needs into $(LINT), once: this can take a minute' >&2
	$(PYTHON) -m venv $(LINT)
	$(LINT)/bin/python -m pip --disable-pip-version-check --quiet install --editable '.[lint]'
	@touch $@

# One stamp for each set of extras, so that nothing is installed twice.
$(VENV)/.bench $(VENV)/.demo $(VENV)/.test $(VENV)/.tune $(VENV)/.train: $(VENV)/.%: pyproject.toml | $(BIN)/python
	@echo 'Installing what "$*" needs into $(VENV), once: this can take a minute or two' >&2
	$(PIP) install --editable '.[$*]'
	@touch $@
