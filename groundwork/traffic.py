"""Policies, proven by packets: from every kind of pod on every node to every kind of pod, by address and by Service.

The pods are those that are there. Their network namespaces are entered from their nodes, so what an application's
pod can reach is tried from its own place. A dropped packet has no answer, which tells a policy from a closed port.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from groundwork import layout
from groundwork.checks import Check, View
from groundwork.policies import Pod, matches, permitted
from groundwork.spec import ClusterSpec, Node

__all__ = ["CHECKS", "Attempt", "Population", "attempts", "pods_of", "questions"]

_UNLISTENED = 9
"""TCP port of discard: where no flow leads to a pod, packets to it must still be dropped, not refused."""

_CONTROLLERS_LABELS = ("pod-template-hash", "controller-revision-hash", "pod-template-generation")


@dataclass(frozen=True)
class Population:
    """Who is there to send and to receive."""

    pods: Sequence[Pod] = ()
    """Running pods with an address of their own, in the namespaces of policies, and verification's probe pods."""
    services: Sequence[Mapping[str, Any]] = ()
    """The Services of the namespaces of policies."""


@dataclass(frozen=True)
class Attempt:
    """A TCP connection to be tried from a pod or a node."""

    source: Pod | Node
    target: str
    address: IPv4Address
    port: int
    permitted: bool


def pods_of(objects: Iterable[Mapping[str, Any]]) -> list[Pod]:
    """The running pods among live objects that have an address of their own."""
    return [
        Pod(
            namespace=o["metadata"]["namespace"],
            name=o["metadata"]["name"],
            address=IPv4Address(o["status"]["podIP"]),
            node=o["spec"]["nodeName"],
            labels=o["metadata"].get("labels", {}),
        )
        for o in objects
        if o["kind"] == "Pod"
        and o["status"].get("phase") == "Running"
        and o["status"].get("podIP")
        and not o["spec"].get("hostNetwork")
        and "deletionTimestamp" not in o["metadata"]
    ]


def attempts(spec: ClusterSpec, node: Node, population: Population) -> list[Attempt]:
    """What is tried from `node`, and from one pod of each kind on it."""
    denying = spec.policies.namespaces
    local = _one_of_each_kind(p for p in population.pods if p.node == node.name)
    targets = _one_of_each_kind_and_node(p for p in population.pods if p.namespace in denying)
    tried: list[Attempt] = []
    senders: list[Pod | Node] = [node, *local]
    for source in senders:
        for target in (t for t in targets if t != source):
            for port in _ports(spec, target):
                allowed = _permitted(spec, source, target, port)
                tried.append(Attempt(source, str(target), target.address, port, allowed))
        if isinstance(source, Pod):
            tried += [a for target in targets for a in _by_service(spec, source, target, population.services)]
            if source.namespace in denying or source.namespace == "kube-system":
                api = spec.first_control_plane.address
                allowed = permitted(spec, source, api, layout.API_PORT)
                tried.append(Attempt(source, "the API server's node", api, layout.API_PORT, allowed))
    return list({(a.source.name, a.address, a.port): a for a in tried}.values())


def questions(spec: ClusterSpec, node: Node, population: Population) -> dict[str, str]:
    """The questions to a node about the policies of the inventory; none where nobody is there to ask about."""
    tried = attempts(spec, node, population)
    if not spec.policies.namespaces or not tried:
        return {}
    name = f"kubernetes.default.svc.{spec.network.dns_domain}"
    sources = {a.source for a in tried if isinstance(a.source, Pod) and a.source.namespace in spec.policies.namespaces}
    asked = "; ".join(
        f"( echo {s} $({_inside(s)} dig +short +time=1 +tries=3 {name} @{spec.network.dns_service_address}) ) &"
        for s in sorted(sources, key=str)
    )
    return {
        "policies": f"{_NAMESPACES}\n{_TRY}\n" + "\n".join(_try(a) for a in tried) + "\nwait",
        "policy-dns": f"{_NAMESPACES}\n{asked.replace('&;', '&')}\nwait",
    }


_NAMESPACES = """\
for n in /run/netns/*; do
  a=$(nsenter --net=$n ip -4 -o addr show scope global | sed -n 's/.* inet \\([0-9.]*\\).*/\\1/p')
  [ -z "$a" ] || eval "ns_$(echo $a | tr . _)=$n"
done"""
"""Shell: ns_10_244_1_2 is the network namespace of the pod with that address."""

_TRY = """\
try() {
  "$@"; case $? in 0) s=open;; 124) s=dropped;; *) s=refused;; esac; echo "$want $s $what"
}"""


def _try(attempt: Attempt) -> str:
    want = "open" if attempt.permitted else "dropped"
    source = attempt.source if isinstance(attempt.source, Pod) else f"node {attempt.source.name}"
    what = f"{source} -> {attempt.target} {attempt.address}:{attempt.port}"
    inside = f"{_inside(attempt.source)} " if isinstance(attempt.source, Pod) else ""
    connect = f"timeout 1 bash -c ': >/dev/tcp/{attempt.address}/{attempt.port}'"
    return f'want={want} what="{what}"; try {inside}{connect} &'


def _inside(pod: Pod) -> str:
    return f"nsenter --net=$ns_{str(pod.address).replace('.', '_')}"


def _permitted(spec: ClusterSpec, source: Pod | Node, target: Pod, port: int) -> bool:
    if isinstance(source, Pod):
        return permitted(spec, source, target, port)
    # Calico always lets a node in to its own pods: the kubelet's probes come from there.
    if source.name == target.node or target.namespace not in spec.policies.namespaces:
        return True
    flows = [f for f in spec.policies.flows if f.port == port and matches(f.destination, target)]
    return any(
        (f.source == "ingress" and source in spec.ingress_nodes)
        or (isinstance(f.source, IPv4Network) and source.address in f.source)
        for f in flows
    )


def _ports(spec: ClusterSpec, target: Pod) -> list[int]:
    flows = [f for f in spec.policies.flows if f.protocol == "TCP" and matches(f.destination, target)]
    return sorted({f.port for f in flows}) or [_UNLISTENED]


def _by_service(spec: ClusterSpec, source: Pod, target: Pod, services: Iterable[Mapping[str, Any]]) -> list[Attempt]:
    tried = []
    for service in services:
        selector = service["spec"].get("selector") or {}
        address = service["spec"].get("clusterIP", "None")
        here = service["metadata"]["namespace"] == target.namespace and address != "None"
        if not here or not selector or any(target.labels.get(k) != v for k, v in selector.items()):
            continue
        for port in service["spec"]["ports"]:
            if port.get("targetPort") in _ports(spec, target):
                name = f"Service {service['metadata']['namespace']}/{service['metadata']['name']}"
                allowed = permitted(spec, source, target, port["targetPort"])
                tried.append(Attempt(source, name, IPv4Address(address), port["port"], allowed))
    return tried


def _kind(pod: Pod) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Pods of one workload are alike to a policy."""
    labels = tuple(sorted((k, v) for k, v in pod.labels.items() if k not in _CONTROLLERS_LABELS))
    return pod.namespace, labels


def _one_of_each_kind(pods: Iterable[Pod]) -> list[Pod]:
    return list({_kind(p): p for p in pods}.values())


def _one_of_each_kind_and_node(pods: Iterable[Pod]) -> list[Pod]:
    return list({(_kind(p), p.node): p for p in pods}.values())


def _contradictions(view: View, allowed: bool) -> str | None:
    wanted = "open" if allowed else "dropped"
    words = [line.split(" ", 2) for line in view.lines("policies")]
    of_kind = [w for w in words if w[0] == wanted]
    wrong = [f"{w[2]} is {w[1]}" for w in of_kind if w[1] != wanted]
    if not wrong:
        return None
    more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return f"{len(wrong)} of {len(of_kind)}: {'; '.join(wrong[:3])}{more}"


def _no_dns(view: View) -> str | None:
    wanted = str(view.spec.network.api_service_address)
    wrong = [line.partition(" ")[0] for line in view.lines("policy-dns") if line.partition(" ")[2] != wanted]
    return f"{', '.join(wrong)} cannot resolve" if wrong else None


CHECKS: Sequence[Check] = (
    Check(
        "policy-allows",
        "connections that a flow of the inventory permits, tried from pods and nodes to pods and Services",
        "open",
        "Run the deploy again: policies may be missing. Then kubectl get networkpolicy -n NAMESPACE.",
        lambda v: _contradictions(v, allowed=True),
        lambda v: any(line.startswith("open") for line in v.lines("policies")),
        settles="policies",
    ),
    Check(
        "policy-denies",
        "connections that no flow permits, tried from pods and nodes to pods, Services and out of the cluster",
        "dropped",
        "Run the deploy again: default-deny may be missing. Then kubectl get networkpolicy -n NAMESPACE.",
        lambda v: _contradictions(v, allowed=False),
        lambda v: any(line.startswith("dropped") for line in v.lines("policies")),
        settles="policies",
    ),
    Check(
        "policy-dns",
        "DNS from pods of denying namespaces",
        "the API's name resolves",
        "Run the deploy again: the policy allow-dns, or the label name=kube-system of that namespace, may be gone.",
        _no_dns,
        lambda v: bool(v.lines("policy-dns")),
        settles="policy-dns",
    ),
)
