# Everything a developer or CI types. Each target sets up what it needs, in .venv.
#
#     make demo ARGS="--seconds 60"     make test ARGS="-k decoder"     PYTHON=/path/to/python3 make demo

VENV ?= .venv
RUN := $(VENV)/bin/python
export PYTHON
# Processes that run tests: more than processors, because most tests wait for something. The tests of a file share one,
# with the brokers, workers and models that they have in common.
JOBS ?= 3

.PHONY: help demo test test-all sanitize portability chaos brokers wheel rollout lint format man asyncapi-page reference home-assistant lock audit clean

help:
	@echo 'make demo       see it work: broker, camera, worker and recorder in one; files in demo_out/'
	@echo 'make test       every check and test'
	@echo 'make test-all   the same on each of Python 3.11, 3.12 and 3.13 that is installed'
	@echo 'make sanitize   the kernels under address and undefined-behaviour sanitizers'
	@echo 'make portability   kernels, postprocessing and engines on emulated processors of other years, and Arm (QEMU, minutes; 2 GB)'
	@echo 'make chaos      faults on real brokers and workers; docs/reliability.md (ARGS=--short for a first look)'
	@echo 'make brokers    the worker against brokers of several makers; docs/brokers.md'
	@echo 'make wheel      build the wheel into dist/, and try it in an empty environment'
	@echo 'make rollout    the same, and what deploy/rollout.sh makes of working and broken wheels (root, systemd)'
	@echo 'make lint       the checks that run no code: style, types, architecture'
	@echo 'make format     let ruff put the code into shape'
	@echo 'make man        the manual page, after a change of commands or options (Python 3.11)'
	@echo 'make asyncapi-page  docs/asyncapi.html from docs/asyncapi.yaml (npm, 0.5 GB)'
	@echo 'make reference  the published pipeline, in .venv-reference (Python 3.10, 3.4 GB to download)'
	@echo 'make home-assistant   a real Home Assistant shows and commands a worker, in .venv-home-assistant (Python 3.12 or 3.14, 0.7 GB)'
	@echo 'make audit      look up the pinned versions in the index of advisories, or tell how old they are'
	@echo 'make lock       pin the newest versions for the container images (deploy/requirements.txt, deploy/gateway.txt)'
	@echo 'make clean      delete the environment and everything generated'

demo: $(VENV)/.with-demo
	$(RUN) -m edge_worker demo $(ARGS)

test: lint
	scripts/services.sh
	scripts/deploy_tools.sh $(RUN)
	$(RUN) -m pytest -n $(JOBS) --dist loadfile $(ARGS)

test-all:
	scripts/test_all.sh $(ARGS)

sanitize: $(VENV)/.with-dev
	scripts/sanitize.sh $(abspath $(RUN)) tests/m2fp/kernels tests/m2fp/postprocess $(ARGS)

portability: $(VENV)/.with-dev
	scripts/portability.sh $(abspath $(RUN)) $(ARGS)
	scripts/portability_aarch64.sh $(abspath $(RUN)) $(ARGS)

chaos: $(VENV)/.with-dev
	PYTHONPATH=tests $(RUN) -m chaos $(ARGS)

brokers: $(VENV)/.with-dev
	scripts/services.sh
	PYTHONPATH=tests $(RUN) -m interop $(ARGS)

wheel: $(VENV)/.with-dev
	scripts/wheel.sh $(abspath $(RUN))

rollout: wheel
	$(RUN) -m pytest tests/deploy/test_rollout_wheels.py $(ARGS)

lint: $(VENV)/.with-dev
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

man: $(VENV)/.with-dev
	scripts/man.sh $(VENV) >edge_worker/cli/edge-worker.1

# By AsyncAPI's own generator and template; nothing is run on installing.
asyncapi-page:
	npm install --prefix .tools/asyncapi --ignore-scripts --no-audit --no-fund --loglevel=error \
		@asyncapi/generator@3.4.1 @asyncapi/html-template@3.5.6
	node scripts/asyncapi_page.mjs .tools/asyncapi docs/asyncapi.html

format: $(VENV)/.with-dev
	$(RUN) -m ruff check --fix --quiet || true
	$(RUN) -m ruff format

# One stamp an extra, so that a second run starts at once and a change of what is installed installs again.
KERNELS := $(wildcard edge_worker/m2fp/kernels/*.[ch])
INSTALLED := pyproject.toml setup.py $(KERNELS) scripts/venv.sh

$(VENV)/.with-demo: $(INSTALLED)
	scripts/venv.sh $(VENV) demo,web
	touch $@

$(VENV)/.with-dev: $(INSTALLED)
	scripts/venv.sh $(VENV) dev
	touch $(VENV)/.with-demo $@

# The published pipeline, and the engines' contract test against it. Needs Python 3.10 and a C++ compiler.
reference: $(VENV)/.with-dev .venv-reference/.complete
	$(RUN) -m pytest -m reference tests/m2fp/engines/test_contract.py $(ARGS)

.venv-reference/.complete: scripts/reference.sh
	scripts/reference.sh .venv-reference
	touch $@

# A real Home Assistant beside a real worker.
home-assistant: $(VENV)/.with-dev .venv-home-assistant/.complete
	$(RUN) -m pytest tests/integrations/home_assistant/test_real_home_assistant.py $(ARGS)

.venv-home-assistant/.complete: scripts/home_assistant.sh
	scripts/home_assistant.sh .venv-home-assistant
	touch $@

# For the container images: the dependencies of worker and gateway for Python 3.12, every file's hash beside it.
COMPILE := $(RUN) -m uv pip compile --upgrade --generate-hashes --python-version 3.12 --python-platform linux --quiet \
	--no-annotate --custom-compile-command 'make lock'

lock: $(VENV)/.with-dev
	$(RUN) -m pip install --quiet uv
	$(COMPILE) pyproject.toml --output-file deploy/requirements.txt
	$(COMPILE) deploy/gateway.in --constraint deploy/requirements.txt \
		--output-file deploy/gateway.txt

audit: $(VENV)/.with-dev
	$(RUN) -m pip install --quiet pip-audit
	$(RUN) scripts/audit.py

clean:
	rm -rf $(VENV) .venv-3.* .venv-reference .venv-home-assistant .tools build dist demo_out chaos_out ./*.egg-info
	rm -f edge_worker/m2fp/kernels/*.so
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
