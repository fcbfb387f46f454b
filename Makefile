# edge-agent: `make run` drives a simulated train, `make test` runs every test; `make help` lists the rest.

VENV := .venv
BIN := $(VENV)/bin
# The first Python that is new enough; RHEL 9 calls it python3.11 or python3.12.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && { echo $$p; break; }; done)
TORCH := torch==2.13.0
COSMIC_RAY := cosmic-ray==8.7.0
ATHERIS := atheris==3.0.0
CYCLONEDX := cyclonedx-bom==7.5.0
ARGS ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 16
	@echo; echo "$(CALL)"

# --- run ---------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: $(VENV)/.agent ## create .venv with the locked versions

$(VENV)/.agent: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is needed (packages: python3 on Debian 12, python3.11 on RHEL 9)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "make: Python's venv is missing; install the package python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.PHONY: run
CALL := the program is $(BIN)/edge-agent (after \`make run\` or \`make setup\`): try $(BIN)/edge-agent --help
run: setup ## drive the simulated train through one mission (ARGS="--seed 7")
	$(BIN)/edge-agent run --dry-run $(ARGS)
	@echo "make: $(CALL)"

# --- test --------------------------------------------------------------------------------------------------------

$(VENV)/.test: requirements-dev.lock $(VENV)/.agent
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@touch $@

# PyTorch is hundreds of MB, on some machines GB: only what trains needs it.
$(VENV)/.train: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -c 'import torch'
	@touch $@

.PHONY: test
test: $(VENV)/.test ## run every test but those that need PyTorch, and say which those are (ARGS="-k guard")
	@tests/system-packages
	$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

.PHONY: test-train
test-train: $(VENV)/.train ## fetch PyTorch and run the tests that need it
	@tests/system-packages
	$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS) $$(grep -rl --include='*.py' 'importorskip("torch"' tests)

.PHONY: seeds
seeds: $(VENV)/.test ## drive the default world with 50 seeds on a virtual clock (ARGS="--count 5 --films DIR")
	$(BIN)/python -m tests.seeds $(ARGS)

.PHONY: coverage
COVERED := edge_agent/control/guard.py,edge_agent/control/power.py,edge_agent/control/policy.py,edge_agent/perception/tracking.py,edge_agent/hub/lwp3/*
coverage: $(VENV)/.test ## fail unless guard, policy, lwp3 and power are tested in every branch
	$(BIN)/python -m coverage run --branch --include='$(COVERED)' -m pytest -q \
		tests/control/test_guard.py tests/control/test_guard_edges.py tests/control/test_policy.py tests/control/test_power.py tests/perception/test_tracking.py tests/hub/lwp3
	$(BIN)/python -m coverage report --include='$(COVERED)' --show-missing --skip-covered --fail-under=100

$(VENV)/mutation/bin/cosmic-ray:
	$(BIN)/python -m venv $(VENV)/mutation
	$(VENV)/mutation/bin/python -m pip install --quiet --disable-pip-version-check $(COSMIC_RAY)

.PHONY: mutation
mutation: $(VENV)/.test $(VENV)/mutation/bin/cosmic-ray ## mutate guard.py and the order of control's steps; tests must fail each time (20 minutes)
	$(BIN)/python -m tests.mutation --cosmic-ray $(VENV)/mutation/bin

.PHONY: chaos
chaos: $(VENV)/.test ## inject each fault 20 times into the emulated hub and write docs/chaos.md (25 minutes)
	@tests/system-packages
	$(BIN)/python -m tests.chaos --runs 20 --output docs/chaos.md $(ARGS)

.PHONY: device
device: $(VENV)/.test ## try the service, the hub and the camera on a real kernel, BlueZ and systemd, and write docs/device.md (root; two hours; ARGS=--unit: 5 minutes)
	$(BIN)/python -m tests.device $(ARGS)

.PHONY: cases
cases: $(VENV)/.test ## read the inputs of tests/fixtures/cases and print what is right and what is not (10 seconds)
	$(BIN)/python -m tests.cases $(ARGS)

.PHONY: attack
attack: $(VENV)/.test ## attack MQTT, Kafka and the console 20 times in each way and write docs/chaos.md (20 minutes)
	@tests/system-packages
	$(BIN)/python -m tests.attack --runs 20 --jobs 2 --output docs/chaos.md $(ARGS)

$(VENV)/fuzz/atheris:
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(VENV)/fuzz $(ATHERIS)

.PHONY: fuzz
fuzz: $(VENV)/.test $(VENV)/fuzz/atheris ## fuzz what reads bytes from outside, five minutes a target (ARGS="--only event --seconds 60"; 45 minutes)
	PYTHONPATH=$(VENV)/fuzz $(BIN)/python -m tests.fuzz $(ARGS)

FIXTURES := limit-and-stop danger nothing

.PHONY: fixtures
fixtures: setup ## record the videos in tests/fixtures again
	@for name in $(FIXTURES); do \
		$(BIN)/edge-agent record tests/fixtures/$$name.mp4 --layout tests/fixtures/tracks/$$name.yaml --no-realtime || exit; \
	done

.PHONY: docs
docs: setup ## regenerate the generated parts of docs/
	$(BIN)/python -m tools.configuration docs/configuration.md
	$(BIN)/python -m tools.events docs/events.md
	$(BIN)/python -m tools.schemas docs/schemas
	$(BIN)/python -m tests.view docs/images/train-view.jpg

.PHONY: rules
rules: $(VENV)/.test ## regenerate the alerts for the Prometheus operator from config/prometheus
	$(BIN)/python -m tests.deploy.prometheusrule

.PHONY: screenshots
screenshots: $(VENV)/.test ## regenerate the pictures of the console in docs/images
	@tests/system-packages
	$(BIN)/python -m tests.browser.screenshots docs/images

.PHONY: tensorrt-api
tensorrt-api: $(VENV)/.test ## compare our calls of TensorRT and pycuda with the published bindings (needs cc, network)
	$(BIN)/python -m tests.tensorrt_api

.PHONY: gpu
gpu: $(VENV)/.test ## test context, stream, memory, threads and 10,000 inferences on a GPU, if there is one
	$(BIN)/python -m tests.gpu $(ARGS)

.PHONY: samples
samples: $(VENV)/.test ## render the pictures on which engines are compared with ONNX Runtime again
	$(BIN)/python -m tools.engine_samples engines/samples

.PHONY: soak
soak: $(VENV)/.test ## 1,000 reconnects; a million steps of orders; 30 minutes of random faults in virtual time, then in real time
	@tests/system-packages
	EDGE_AGENT_SOAK_RECONNECTS=1000 $(BIN)/python -m pytest -q --timeout 3600 tests/hub/test_ble_bluez.py -k leak
	$(BIN)/python -m tests.soak.orders --steps 1000000
	$(BIN)/python -m tests.soak.virtual --minutes 30
	$(BIN)/python -m tests.soak.real --minutes 30 $(ARGS)

.PHONY: bench
bench: $(VENV)/.test ## measure the twelve ratios and write docs/benchmarks.md (75 minutes; ARGS=--quick: 5)
	@tests/system-packages
	$(BIN)/python -m tools.benchmarks $(ARGS)

.PHONY: startup-cost
startup-cost: $(VENV)/.test ## measure what each start-up trick brings (ARGS="--only timerfd"; 10 minutes)
	@tests/system-packages
	$(BIN)/python -m tools.startup_cost $(ARGS)

.PHONY: compare
compare: $(VENV)/.test ## measure start, loop lag and CPU a frame of this build against another one (ARGS="REVISION --rounds 6"; 10 minutes)
	@tests/system-packages
	$(BIN)/python -m tools.compare_builds $(ARGS)

.PHONY: viewers
viewers: $(VENV)/.test ## measure what 50 viewers cost a train, and 20 trains on one console (ARGS="--seconds 60"; 20 minutes)
	$(BIN)/python -m tests.soak.viewers --kafka $(ARGS)

# --- train -------------------------------------------------------------------------------------------------------

SYNTH = $(BIN)/edge-agent dataset synth
SETS := rooms synth-a synth-b synth-c synth-d

.PHONY: train
train: $(VENV)/.train ## render the pictures and train the detector into runs/signs (about 2.5 hours on two cores)
	test -d data/synth-a || $(SYNTH) --count 4000 --seed 1 --out data/synth-a
	test -d data/synth-b || $(SYNTH) --count 30000 --seed 2 --out data/synth-b
	test -d data/synth-c || $(SYNTH) --count 20000 --seed 3 --out data/synth-c
	test -d data/synth-d || $(SYNTH) --count 6000 --seed 4 --negatives 0.55 --clutter 0.9 --out data/synth-d
	test -d data/rooms || $(BIN)/python -m tools.room_pictures --count 600 --seed 5000 --out data/rooms
	$(BIN)/edge-agent train $(foreach set,$(SETS),--data data/$(set)) --shares 0.08,0.03,0.33,0.34,0.22 \
		--out runs/signs --samples 264000 $(ARGS)

.PHONY: quantise
quantise: $(VENV)/.test ## write fp16, int8 and uint8 beside the shipped detector (a minute; ARGS="--out DIR")
	$(BIN)/python -m edge_agent.mlops.quantise engines/signs.onnx $(ARGS)

# --- check -------------------------------------------------------------------------------------------------------

.PHONY: lint
lint: $(VENV)/.train ## ruff, mypy (strict, and the names in tests), import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: images
images: $(VENV)/.test ## build the container images on a stand-in for their base images, and run the agent in them (buildah or root)
	$(BIN)/python -m tests.deploy.images

$(VENV)/sbom/bin/cyclonedx-py:
	$(PYTHON) -m venv $(VENV)/sbom
	$(VENV)/sbom/bin/python -m pip install --quiet --disable-pip-version-check $(CYCLONEDX)

.PHONY: sbom
SBOM ?= dist/edge-agent.cdx.json
sbom: $(VENV)/sbom/bin/cyclonedx-py ## write the bill of materials (CycloneDX) of what requirements.lock installs, checked against its schema
	@mkdir -p $(dir $(SBOM))
	$(VENV)/sbom/bin/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --mc-type application --output-reproducible \
		--spec-version 1.6 --output-format JSON --validate --output-file $(SBOM) requirements.lock

.PHONY: lock
lock: ## update the lock files from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --extra test --extra lint \
		-c requirements.lock -o requirements-dev.lock pyproject.toml

.PHONY: lock-check
lock-check: $(VENV)/.test ## fail if the lock files do not match pyproject.toml
	@for f in requirements.lock requirements-dev.lock; do cp $$f $$f.before; done; \
	$(MAKE) --no-print-directory lock; status=$$?; \
	for f in requirements.lock requirements-dev.lock; do \
		cmp -s $$f $$f.before || { echo "make: $$f is not current; run 'make lock'" >&2; status=1; }; mv $$f.before $$f; \
	done; exit $$status

# --- install -----------------------------------------------------------------------------------------------------

include config/install.mk

.PHONY: clean
clean: ## remove what make created
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist
