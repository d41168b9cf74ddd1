"""CoreDNS beyond what kubeadm makes of it: a Corefile of ours, replicas apart from each other, never all gone at
once; and the resolver options of workloads, which no setting of the cluster can give them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from groundwork import layout
from groundwork.objects import Object
from groundwork.spec import ClusterSpec
from groundwork.templates import render

__all__ = ["WORKLOADS", "objects", "patches", "resolver_patches"]

_PODS = {"k8s-app": "kube-dns"}
_COREFILE_SUM = "kube-groundwork/corefile"

WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet")
"""The kinds whose pods get `dns.ndots`."""


def patches(spec: ClusterSpec) -> list[Object]:
    """What is changed of what kubeadm made; the rest of it stays kubeadm's to upgrade.

    kubeadm keeps a Corefile that it finds, and makes the Deployment anew: the next run patches that again.
    """
    corefile = _corefile(spec)
    template = {
        # A changed Corefile starts new replicas, one after the other: what is wrong in it shows in the run.
        "metadata": {"annotations": {_COREFILE_SUM: hashlib.sha256(corefile.encode()).hexdigest()[:16]}},
        "spec": {"affinity": {"podAntiAffinity": _apart(spec)}},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "coredns", "namespace": "kube-system"},
            "data": {"Corefile": corefile},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "coredns", "namespace": "kube-system"},
            "spec": {"replicas": spec.dns.replicas, "template": template},
        },
        # Kubernetes 1.15 labels no namespace by its name; policies that let DNS through select by it.
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "kube-system", "labels": {"name": "kube-system"}},
        },
    ]


def _apart(spec: ClusterSpec) -> Object:
    """Replicas on different nodes, wherever there are enough nodes. A preference is not enough there: while an update
    goes on, the scheduler counts pods that are about to go, and was seen to put both new ones on one node.

    kubeadm's Deployment allows for one replica to be down, so an update needs no node more than there are replicas. A
    single replica has nobody to keep away from, and starts beside its predecessor.
    """
    term = {"labelSelector": {"matchLabels": _PODS}, "topologyKey": "kubernetes.io/hostname"}
    required = [term] if 1 < spec.dns.replicas <= len(spec.kubernetes_nodes) else None
    preferred = None if required else [{"weight": 100, "podAffinityTerm": term}]
    # The one that is not wanted is taken away, in case the number of nodes or of replicas was another before.
    return {
        "requiredDuringSchedulingIgnoredDuringExecution": required,
        "preferredDuringSchedulingIgnoredDuringExecution": preferred,
    }


def objects() -> list[Object]:
    """The budget that keeps a drain from taking the last replica."""
    return [
        {
            "apiVersion": "policy/v1beta1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "coredns", "namespace": "kube-system"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _PODS}},
        }
    ]


def resolver_patches(spec: ClusterSpec, workloads: Iterable[Mapping[str, Any]]) -> list[Object]:
    """For each live workload whose pods have not `dns.ndots`: what gives it to them, with their other options."""
    wanted = {"name": "ndots", "value": str(spec.dns.ndots)}
    made = []
    for workload in workloads:
        options = workload["spec"]["template"]["spec"].get("dnsConfig", {}).get("options", [])
        if wanted in options:
            continue
        kept = [o for o in options if o.get("name") != "ndots"]
        metadata = {key: workload["metadata"][key] for key in ("name", "namespace")}
        made.append(
            {
                "apiVersion": workload["apiVersion"],
                "kind": workload["kind"],
                "metadata": metadata,
                "spec": {"template": {"spec": {"dnsConfig": {"options": [*kept, wanted]}}}},
            }
        )
    return made


def _corefile(spec: ClusterSpec) -> str:
    # `ready` came with CoreDNS 1.5; 1.3.1 does not start with it.
    ready = tuple(int(n) for n in spec.dns.version.split(".")[:2]) >= (1, 5)
    return render(
        "dns/Corefile.j2",
        domain=spec.network.dns_domain,
        dns=spec.dns,
        upstreams=" ".join(map(str, spec.dns.upstreams)) or "/etc/resolv.conf",
        ready=ready,
        metrics_port=layout.DNS_METRICS_PORT,
    )
