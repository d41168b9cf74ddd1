# Thin names over real commands; each can be run by hand as it stands here.
.PHONY: lab lab-kernel lab-down test test-fast test-lab test-kernel check docs

VENV := .venv/bin
LAB := $(VENV)/python -m lab

# A cluster from nothing: artefacts, machines, and the deploy that this project is about.
lab: .venv/ready
	$(LAB) artefacts
	$(LAB) up
	$(VENV)/pyinfra inventories/lab.py deploys/cluster.py -y

# The same with a virtual machine in it: a kernel of its own, IPVS, and etcd on NVMe.
lab-kernel: export GROUNDWORK_LAB = lab/kernel.yaml
lab-kernel: lab

lab-down: .venv/ready
	$(LAB) down
	$(LAB) --file lab/kernel.yaml down

test: test-fast test-lab

# No root, no network, no machines.
test-fast: .venv/ready
	$(VENV)/pytest -q tests/unit tests/deploys

# Real clusters, in labs of their own; needs root.
test-lab: .venv/ready
	$(LAB) artefacts
	$(VENV)/pytest -v -x -m 'not long' --durations=8 tests/lab

# All that is proven on a virtual machine, also what `test` leaves out since it takes long: a slow disk, ip_vs that
# cannot be loaded, a reboot, a power cut.
test-kernel: .venv/ready
	$(LAB) artefacts
	$(VENV)/pytest -v -x tests/lab/test_kernel.py

check: .venv/ready
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy

# What is generated from the code.
docs: .venv/ready
	$(VENV)/python -m groundwork.catalogue > docs/checks.md

.venv/ready: pyproject.toml uv.lock
	python3 -c 'import ensurepip' 2>/dev/null || apt-get install -y -qq python3-venv
	python3 -m venv .venv
	$(VENV)/pip install -q uv
	$(VENV)/uv sync --locked --inexact --compile-bytecode -q
	touch .venv/ready
