"""CoreDNS beyond what kubeadm makes of it: replicas apart from each other, and never all gone at once."""

from __future__ import annotations

from groundwork.objects import Object, part_of
from groundwork.spec import ClusterSpec

__all__ = ["objects", "patches"]

_PODS = {"k8s-app": "kube-dns"}


def patches(spec: ClusterSpec) -> list[Object]:
    """What is changed of what kubeadm made; the rest of it stays kubeadm's to upgrade."""
    apart = {
        "weight": 100,
        "podAffinityTerm": {
            "labelSelector": {"matchLabels": _PODS},
            "topologyKey": "kubernetes.io/hostname",
        },
    }
    # Preferred, not required: a rolling update needs room for one pod more.
    affinity = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [apart]}}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "coredns", "namespace": "kube-system"},
            "spec": {"replicas": spec.dns.replicas, "template": {"spec": {"affinity": affinity}}},
        },
        # Kubernetes 1.15 labels no namespace by its name; policies that let DNS through select by it.
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "kube-system", "labels": {"name": "kube-system"}},
        },
    ]


def objects() -> list[Object]:
    """The budget that keeps a drain from taking the last replica."""
    return part_of(
        "dns",
        [
            {
                "apiVersion": "policy/v1beta1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": "coredns", "namespace": "kube-system"},
                "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _PODS}},
            }
        ],
    )
