"""Bare nodes in, a proven Kubernetes v1.15 cluster out: every phase, in order."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from deploys.calico import calico
from deploys.control_plane import control_plane
from deploys.dns import dns
from deploys.etcd import etcd
from deploys.example import example
from deploys.ingress import ingress
from deploys.kernel import kernel
from deploys.policies import policies
from deploys.preflight import preflight
from deploys.resolver import resolver
from deploys.runtime import runtime
from deploys.storage import storage
from deploys.verification import probe_pods, verification
from deploys.workers import workers

preflight()
kernel()
storage()
runtime()
etcd()
control_plane()
workers()
probe_pods()
calico()
dns()
policies()
example()
ingress()
resolver()
verification()
