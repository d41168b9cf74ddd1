"""Proves a running cluster, read-only but for its own probe pods: `pyinfra INVENTORY deploys/verify.py -y`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from deploys.verification import probe_pods, verification
from operations import session

session.current.thorough = True
probe_pods()
verification()
