# maskgate: `make` alone lists the targets.
SHELL := /bin/sh
PYTHON ?= python3
ARGS ?=
SETTINGS ?= $(wildcard image.toml)
VENV := .venv
# Not its script: that names the folder in which it was made, and in a moved or copied clone is another one's or gone.
MASKGATE = $(VENV)/bin/python -m edge
DEV := .venv-dev
DEV_PYTHON := $(DEV)/bin/python
# Training uses the environment for development where there is one, else an environment with what training needs.
TRAIN := $(if $(wildcard $(DEV)/.ready),$(DEV),.venv-train)
TRAIN_PYTHON := $(TRAIN)/bin/python
TRAIN_EXTRA := $(if $(shell command -v nvidia-smi 2>/dev/null),train,train-cpu)
QUICK := .venv-quick
# The device's tests without browsers and soaks: what a change to edge/ is tried with.
QUICK_TESTS := $(addprefix tests/,alerts board cameras commands config docs door people runtime sinks vision) $(wildcard tests/test_*.py)
DEPLOY := build/deploy-env
SCRIPTS := $(wildcard .ci/* deploy/*.sh deploy/*/*.sh)
DATA ?= ../shared/data/faces/val.json
MORE_DATA ?= $(wildcard ../shared/data/more/*/val.json)
PEERS ?= ../shared/peers
WEIGHTS ?= ../shared/weights/mobilenet_v2_1.0_224_imagenet_notop.weights.h5

# picamera2 and libcamera come from the distribution on a Raspberry Pi: the environment must see them,
# and must not replace the NumPy they were built against.
HAS_PICAMERA2 := $(wildcard /usr/lib/python3/dist-packages/picamera2)
CODENAME := $(shell . /etc/os-release 2>/dev/null && echo $$VERSION_CODENAME)
CONSTRAINTS := $(wildcard deploy/constraints/$(CODENAME).txt)
VENV_FLAGS := $(if $(HAS_PICAMERA2),--system-site-packages)
PIP_FLAGS := --quiet --disable-pip-version-check $(if $(HAS_PICAMERA2),$(addprefix --constraint ,$(CONSTRAINTS)))

# Arguments are for one target: a test that runs make again must not hand them on.
MAKEOVERRIDES :=
unexport ARGS

.DEFAULT_GOAL := help
.PHONY: help run demo desktop test test-quick fuzz soak lint format train convert edgetpu eval eval-peers bench demo-clip deploy rollback image test-training test-system test-boot clean

help: ## list the targets
	@echo "maskgate: doorway mask detection. Start with 'make run'; no camera is needed."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Add arguments with ARGS, for example: make run ARGS='--source usb:0 --events -'"

run: $(VENV)/.ready ## install what the device needs into .venv and run: Pi camera, else USB camera, else the demo clip
	@$(MASKGATE) run $(if $(findstring --source,$(ARGS)),,--source auto) $(ARGS)

demo: $(VENV)/.ready ## play the demo clip again and again, with its pages, until Ctrl-C
	@$(MASKGATE) run --source demo --loop $(ARGS)

desktop: ## run with a live window (installs opencv-python in place of the headless one)
	@[ "$$(uname)" != Linux ] || [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || { \
	  echo "There is no display for a window here: neither DISPLAY nor WAYLAND_DISPLAY is set." >&2; \
	  echo "Run it in a desktop session or over 'ssh -X'; or use 'make run', which serves pages for a browser." >&2; exit 1; }
	@$(MAKE) --no-print-directory $(VENV)/.desktop
	@$(MASKGATE) run --window $(if $(findstring --source,$(ARGS)),,--source auto) $(ARGS)

test: $(DEV)/.ready ## everything but containers and boards; says how long it takes and what it installs
	@echo "Running all tests: about 10 minutes on two idle cores ('make test-quick' takes under 2) ..."
	@$(DEV_PYTHON) -m pytest $(ARGS)

test-quick: $(QUICK)/.ready ## the device's tests, without TensorFlow, browser and soak
	@env -u CI $(QUICK)/bin/python -m pytest -q -m 'not system and not boot and not training and not slow' $(QUICK_TESTS) $(ARGS)

fuzz: $(DEV)/.fuzz ## look for input that breaks maskgate, for example: make fuzz ARGS='web --seconds 600'
	@$(DEV_PYTHON) -m tests.fuzz $(ARGS)

soak: $(DEV)/.ready ## try to kill it: camera, power, disk, network, clock, memory, 2 million frames: make soak ARGS=--help
	@$(DEV_PYTHON) -m tests.soak $(ARGS)

lint: $(DEV)/.ready ## ruff (lint and format), mypy in strict mode, shellcheck
	@$(DEV)/bin/ruff check .
	@$(DEV)/bin/ruff format --check .
	@$(DEV_PYTHON) -m mypy
	@PATH="$(CURDIR)/$(DEV)/bin:$$PATH" shellcheck $(SCRIPTS)

format: $(DEV)/.ready ## format the code
	@$(DEV)/bin/ruff check --fix .
	@$(DEV)/bin/ruff format .

train: $(TRAIN)/.ready ## train a model further on your own photos: make train ARGS='mask photos/'
	@$(TRAIN_PYTHON) -m train $(or $(ARGS),--help)

convert: $(TRAIN)/.ready ## quantize a trained model to int8 TFLite and measure it: make convert ARGS='mask'
	@$(TRAIN_PYTHON) -m convert $(or $(ARGS),--help)

edgetpu: $(TRAIN)/.ready ## compile the models for Google's Edge TPU, or predict what it would run: make edgetpu ARGS=--report
	@$(TRAIN_PYTHON) -m convert edgetpu $(ARGS)

eval: $(TRAIN)/.ready ## score the shipped models on annotated photos, by source: make eval DATA=faces/val.json MORE_DATA=
	@$(TRAIN_PYTHON) -m train.evaluate $(foreach file,$(DATA) $(MORE_DATA),--data $(file)) --cases tests/hard_cases.json $(ARGS)

eval-peers: $(TRAIN)/.ready ## score them and published models alike: make eval-peers DATA=faces/val.json PEERS=peers/
	@$(TRAIN_PYTHON) -m train.evaluate.against_peers --data $(DATA) --peers $(PEERS) $(ARGS)

bench: $(DEV)/.ready ## measure speed, memory and scaling, and compare with others: make bench ARGS=--help
	@$(DEV_PYTHON) -m tests.bench --peers $(PEERS) --weights $(WEIGHTS) --data $(DATA) $(ARGS)

demo-clip: $(DEV)/.ready ## make the demo clip again
	@$(DEV_PYTHON) -m train.demo_clip $(ARGS)

# A shell may export HOST itself, so only one that was given to make counts.
deploy rollback: export DEPLOY_HOSTS = $(if $(filter command,$(firstword $(origin HOST))),$(HOST)) $(HOSTS)
deploy rollback: export DEPLOY_INVENTORY = $(INVENTORY)
deploy: export DEPLOY_KIOSK = $(KIOSK)
deploy image: export DEPLOY_MODEL = $(if $(filter command,$(firstword $(origin MODEL))),$(MODEL))

deploy: $(DEPLOY)/.ready ## install on devices over SSH: make deploy HOST=pi@door1.local (HOSTS="a b", INVENTORY=FILE, MODEL=FOLDER)
	@$(DEPLOY)/bin/python -m deploy install $(ARGS)

rollback: $(DEPLOY)/.ready ## go back to the release before: make rollback HOST=pi@door1.local
	@$(DEPLOY)/bin/python -m deploy rollback $(ARGS)

image: export IMAGE_BASE = $(BASE)
image: export IMAGE_SETTINGS = $(SETTINGS)
image: $(DEPLOY)/.ready ## make a card to flash: make image BASE=raspios-lite-arm64.img.xz SETTINGS=image.toml
	@$(DEPLOY)/bin/python -m deploy image $(ARGS)

test-system: $(DEV)/.ready ## boot containers with their own systemd: deployment, card, kiosk (root; apt: see docs/how-to/deploy.md)
	@$(DEV_PYTHON) -m pytest -m system $(ARGS)

test-training: $(DEV)/.ready ## follow the page on training and make models again from their cards (some minutes)
	@$(DEV_PYTHON) -m pytest -m training $(ARGS)

test-boot: $(DEV)/.ready ## boot a card in an emulated arm64 board (root, a quarter of an hour; apt: see docs/how-to/deploy.md)
	@$(DEV_PYTHON) -m pytest -m boot -x -s tests/boot $(ARGS)

clean: ## remove the environments and what tools left behind
	@sh .ci/clean

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	  { echo "maskgate needs Python 3.10 to 3.13; name one with 'make run PYTHON=python3.12'." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV_FLAGS) $(VENV) || \
	  { echo "Python's venv module is missing: sudo apt install python3-venv" >&2; exit 1; }

$(VENV)/.ready: $(VENV)/bin/pip pyproject.toml
	@echo "Installing what the device needs into $(VENV) (about a minute, once) ..."
	@$(VENV)/bin/python -m pip install $(PIP_FLAGS) --editable .
	@touch $@

$(VENV)/.desktop: $(VENV)/.ready
	@echo "Replacing the headless OpenCV with the one that has windows ..."
	@$(VENV)/bin/python -m pip uninstall --quiet --yes opencv-python-headless
	@$(VENV)/bin/python -m pip install $(PIP_FLAGS) --force-reinstall --no-deps 'opencv-python<4.13'
	@touch $@

$(DEPLOY)/.ready: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Deploying needs Python 3.10 or later; name one with 'make deploy PYTHON=python3.12'." >&2; exit 1; }
	@$(PYTHON) -m venv $(DEPLOY) || { echo "Python's venv module is missing: sudo apt install python3-venv" >&2; exit 1; }
	@$(DEPLOY)/bin/python -m pip install --quiet --disable-pip-version-check packaging 'pydantic>=2.7,<3' 'tomli; python_version < "3.11"'
	@touch $@

$(QUICK)/.ready: pyproject.toml
	@$(PYTHON) -m venv $(QUICK) || { echo "Python's venv module is missing: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Installing the device's packages and pytest into $(QUICK) (about a minute and 550 MB, once) ..."
	@$(QUICK)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

.venv-train/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	  { echo "Training needs Python 3.10 to 3.13; name one with 'make train PYTHON=python3.12'." >&2; exit 1; }
	@$(PYTHON) -m venv .venv-train || { echo "Python's venv module is missing: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Installing what training needs into .venv-train: $(if $(filter train,$(TRAIN_EXTRA)),0.9 GB to download and 2.7 GB,0.5 GB to download and 2.1 GB) on the disk, a few minutes, once ..."
	@.venv-train/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(TRAIN_EXTRA)]'
	@touch $@

$(DEV)/.fuzz: $(DEV)/.ready
	@$(DEV_PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	@touch $@

$(DEV)/.ready: pyproject.toml
	@$(PYTHON) -m venv $(DEV) || { echo "Python's venv module is missing: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Installing what tests, training and conversion need into $(DEV) (TensorFlow: a few minutes and 3 GB, once) ..."
	@$(DEV_PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[test,lint,train,demo]'
	@touch $@
