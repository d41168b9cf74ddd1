"""NetworkPolicies: nothing but DNS and the declared flows, in the namespaces that the inventory names.

Also the same rules as a function (`permitted`), so that what packets do can be compared with what was declared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from groundwork.objects import Object
from groundwork.spec import ClusterSpec, Flow, Pods

__all__ = ["Pod", "matches", "objects", "patches", "permitted"]

_NAME = "name"
"""The label that selects a namespace; Kubernetes 1.15 sets none itself."""

_PORTS = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]


@dataclass(frozen=True)
class Pod:
    """A pod as policies see it."""

    namespace: str
    name: str
    address: IPv4Address
    node: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def objects(spec: ClusterSpec) -> list[Object]:
    """The policies of every namespace of the inventory."""
    made: list[Object] = []
    for namespace in spec.policies.namespaces:
        made += [_default_deny(namespace), _allow_dns(namespace)]
        for flow in spec.policies.flows:
            made += _sides(spec, flow, namespace)
    return made


def patches(spec: ClusterSpec) -> list[Object]:
    """The namespaces that policies are about, with the label by which they are selected."""
    ends = [e for flow in spec.policies.flows for e in (flow.source, flow.destination)]
    names = dict.fromkeys([*spec.policies.namespaces, *(e.namespace for e in ends if isinstance(e, Pods))])
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {_NAME: name}}} for name in names
    ]


def permitted(spec: ClusterSpec, source: Pod, target: Pod | IPv4Address, port: int) -> bool:
    """Whether a TCP connection from `source` may arrive at `target`, as the inventory declares it."""
    denying = spec.policies.namespaces
    flows = [f for f in spec.policies.flows if f.port == port and f.protocol == "TCP"]
    leaves = source.namespace not in denying or any(
        matches(f.source, source) and _reaches(spec, f.destination, target) for f in flows
    )
    enters = (
        not isinstance(target, Pod)
        or target.namespace not in denying
        or any(_comes_from(f.source, source) and matches(f.destination, target) for f in flows)
    )
    return leaves and enters


def matches(end: Any, pod: Pod) -> bool:
    """Whether one end of a flow selects the pod."""
    return (
        isinstance(end, Pods)
        and end.namespace == pod.namespace
        and all(pod.labels.get(key) == value for key, value in end.labels.items())
    )


def _comes_from(end: Any, source: Pod) -> bool:
    return matches(end, source) or (isinstance(end, IPv4Network) and source.address in end)


def _reaches(spec: ClusterSpec, end: Any, target: Pod | IPv4Address) -> bool:
    if isinstance(target, Pod):
        return matches(end, target) or (isinstance(end, IPv4Network) and target.address in end)
    if end == "api":
        return target in {n.address for n in spec.control_plane}
    return isinstance(end, IPv4Network) and target in end


def _default_deny(namespace: str) -> Object:
    return _policy("default-deny", namespace, {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})


def _allow_dns(namespace: str) -> Object:
    dns = {
        "namespaceSelector": {"matchLabels": {_NAME: "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    return _policy(
        "allow-dns",
        namespace,
        {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [dns], "ports": _PORTS}]},
    )


def _sides(spec: ClusterSpec, flow: Flow, namespace: str) -> list[Object]:
    """The policies of a flow in `namespace`: egress where it begins, ingress where it ends."""
    ports = [{"protocol": flow.protocol, "port": flow.port}]
    made = []
    if isinstance(flow.destination, Pods) and flow.destination.namespace == namespace:
        rule = {"from": _peers(spec, flow.source), "ports": ports}
        body = {"podSelector": _selector(flow.destination), "policyTypes": ["Ingress"], "ingress": [rule]}
        made.append(_policy(f"{_name(flow)}-ingress", namespace, body))
    if isinstance(flow.source, Pods) and flow.source.namespace == namespace:
        rule = {"to": _peers(spec, flow.destination), "ports": ports}
        body = {"podSelector": _selector(flow.source), "policyTypes": ["Egress"], "egress": [rule]}
        made.append(_policy(f"{_name(flow)}-egress", namespace, body))
    return made


def _peers(spec: ClusterSpec, end: Any) -> list[Object]:
    if isinstance(end, Pods):
        # One item with both selectors: pods so labelled, in that namespace.
        return [
            {"namespaceSelector": {"matchLabels": {_NAME: end.namespace}}, "podSelector": _selector(end)},
        ]
    if isinstance(end, IPv4Network):
        return [{"ipBlock": {"cidr": str(end)}}]
    # Controllers on the host network come from the node, and no selector of pods matches them.
    nodes = spec.ingress_nodes if end == "ingress" else spec.control_plane
    return [{"ipBlock": {"cidr": f"{n.address}/32"}} for n in nodes]


def _selector(pods: Pods) -> Object:
    return {"matchLabels": dict(pods.labels)} if pods.labels else {}


def _name(flow: Flow) -> str:
    """What the flow is, readable, and a sum that keeps flows with equal words apart."""
    words = re.sub(r"[^a-z0-9]+", "-", f"{_word(flow.source)}-to-{_word(flow.destination)}-{flow.port}".lower())
    return f"{words.strip('-')[:48]}-{hashlib.sha256(flow.model_dump_json().encode()).hexdigest()[:6]}"


def _word(end: Any) -> str:
    return "-".join(end.labels.values()) or end.namespace if isinstance(end, Pods) else str(end)


def _policy(name: str, namespace: str, spec: Object) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
