"""CoreDNS beyond what kubeadm makes of it: replicas apart from each other, and never all gone at once."""

from __future__ import annotations

from groundwork.objects import Object, part_of
from groundwork.spec import ClusterSpec

__all__ = ["DEPLOYMENT", "NAMESPACE", "deployment_patch", "namespace_patch", "objects"]

DEPLOYMENT: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "coredns", "namespace": "kube-system"},
}
"""What kubeadm makes; patched, so that the rest of it stays kubeadm's to upgrade."""

NAMESPACE: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}

_PODS = {"k8s-app": "kube-dns"}


def deployment_patch(spec: ClusterSpec) -> Object:
    """Replicas on different nodes. Preferred, not required: a rolling update needs room for one pod more."""
    apart = {
        "weight": 100,
        "podAffinityTerm": {
            "labelSelector": {"matchLabels": _PODS},
            "topologyKey": "kubernetes.io/hostname",
        },
    }
    affinity = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [apart]}}
    return {"spec": {"replicas": spec.dns.replicas, "template": {"spec": {"affinity": affinity}}}}


def namespace_patch() -> Object:
    """Kubernetes 1.15 labels no namespace by its name; policies that let DNS through select by it."""
    return {"metadata": {"labels": {"name": "kube-system"}}}


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
