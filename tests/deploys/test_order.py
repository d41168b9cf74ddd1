"""No node begins a phase before every node has ended the one before."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from deploys.calico import calico
from deploys.control_plane import control_plane
from deploys.dns import dns
from deploys.etcd import etcd
from deploys.example import example
from deploys.ingress import ingress
from deploys.kernel import kernel
from deploys.policies import policies
from deploys.resolver import resolver
from deploys.runtime import runtime
from deploys.storage import storage
from deploys.verification import probe_pods, verification
from deploys.workers import workers


def everything() -> None:
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


def test_phases_do_not_interleave(order: Callable[..., list[str]]) -> None:
    # w1 is no member of etcd: it has fewer operations than cp1, and would otherwise run ahead and join nothing.
    names = order(everything, {})
    phases = [phase for phase, _ in groupby(name.split(" | ")[0] for name in names)]
    assert phases == [
        "Kernel",
        "Storage",
        "Runtime",
        "etcd",
        "Control plane",
        "Workers",
        "Probe pods",
        "Calico",
        "DNS",
        "Policies",
        "Example",
        "Ingress",
        "Resolver",
        "Verification",
    ]


def test_order_within_verification(order: Callable[..., list[str]]) -> None:
    names = [name.split(" | ")[1] for name in order(verification, {})]
    assert names.index("The probe pods are ready") < names.index("The node's probe pod answers")
    assert names.index("No probe pod is left") < names.index("Every proof holds")
