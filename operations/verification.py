"""Proofs, gathered on every node and judged in one place. Verification changes nothing but its own probe pods."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import gevent
from pyinfra import host, state
from pyinfra.api import Host, OperationError, State, StringCommand, operation
from pyinfra.context import ctx_host, ctx_state
from rich.console import Console

from facts.answers import AnswersFact
from groundwork import ingress, lookups, proofs, report, traffic, web
from groundwork.checks import Answers, Check, Finding, View, judge, unsettled
from groundwork.kubeadm import kubectl
from groundwork.objects import collection, dump, path, rolled
from groundwork.policies import Pod
from groundwork.proofs import NODE_CHECKS
from groundwork.spec import ClusterSpec, Node
from groundwork.traffic import Population
from operations import session
from operations.commands import run_on
from operations.objects import live_objects

__all__ = [
    "cluster_asked",
    "ingress_asked",
    "judged",
    "limits_asked",
    "lookups_asked",
    "node_asked",
    "pod_asked",
    "probe_pods_ready",
    "probe_pods_removed",
    "probe_pods_started",
]

_ROLLOUT_S = 120

_SETTLE_S = 60
"""How long what follows from a change by itself (sessions, endpoints, Ready) is waited for before it is a finding."""

_GLANCE_S = 10
"""The same where this run changed nothing."""

_TRIES = 3
"""How often it is asked again at least: one answer of an emulated machine may take as long as all of that."""


@dataclass
class _Evidence:
    """What this run has learnt so far."""

    pods: dict[str, str] = field(default_factory=dict)
    """Address of the probe pod, by node."""
    population: Population = field(default_factory=Population)
    controllers: set[str] = field(default_factory=set)
    """The nodes on which a controller of ingress was placed."""
    servers: list[Pod] = field(default_factory=list)
    """CoreDNS' replicas."""
    nodes: dict[str, Answers] = field(default_factory=dict)
    cluster: Answers | None = None
    not_repeated: list[str] = field(default_factory=list)
    """Proofs that take long, and were left out since nothing was changed."""


_EVIDENCE: WeakKeyDictionary[State, _Evidence] = WeakKeyDictionary()


def _evidence() -> _Evidence:
    return _EVIDENCE.setdefault(ctx_state.get(), _Evidence())  # type: ignore[no-untyped-call]


@operation()
def probe_pods_started(*, spec: ClusterSpec) -> Generator[StringCommand, None, None]:
    """A probe pod starts on every Kubernetes node. They are no change: they are gone when the run ends."""
    if state.is_executing:
        run_on(host, kubectl("apply -f -"), stdin=dump([proofs.probe_pods(spec)]))
    yield from ()


@operation()
def probe_pods_ready(*, spec: ClusterSpec) -> Generator[StringCommand, None, None]:
    """Who can be asked is known: the probe pods, as far as they came up, and the pods that policies are about."""
    if state.is_executing:
        _await_probes()
        namespaces = dict.fromkeys(("kube-system", *spec.policies.namespaces, *spec.dns.ndots_namespaces))
        kinds = [("Pod", n) for n in (*namespaces, ingress.NAMESPACE)] + [
            ("Service", n) for n in spec.policies.namespaces
        ]
        objects = live_objects([collection(kind, namespace) for kind, namespace in kinds])
        found = traffic.pods_of(objects)
        probes = [p for p in found if p.labels.get("k8s-app") == proofs.PROBE]
        evidence = _evidence()
        evidence.pods = {p.node: str(p.address) for p in probes}
        evidence.servers = [p for p in found if p.labels.get("k8s-app") == "kube-dns"]
        evidence.controllers = {
            o["spec"].get("nodeName", "")
            for o in objects
            if o["kind"] == "Pod" and o["metadata"]["namespace"] == ingress.NAMESPACE
        }
        evidence.population = Population(
            pods=[*probes, *(p for p in found if p.namespace != "kube-system")],
            services=[o for o in objects if o["kind"] == "Service"],
        )
    yield from ()


def _await_probes() -> None:
    probes = path({"kind": "DaemonSet", "metadata": {"namespace": "kube-system", "name": proofs.PROBE}})
    deadline = time.monotonic() + _ROLLOUT_S
    while not all(rolled(o) for o in live_objects([probes])) and time.monotonic() < deadline:
        gevent.sleep(0.5)


@operation()
def node_asked(*, spec: ClusterSpec, node: Node) -> Generator[StringCommand, None, None]:
    """The node has answered what its proofs need to know of itself."""
    if state.is_executing:
        _ask_node(spec, node, proofs.node_questions(spec, node))
    yield from ()


@operation()
def pod_asked(*, spec: ClusterSpec, node: Node) -> Generator[StringCommand, None, None]:
    """The node's probe pod has answered what only a pod can tell."""
    if state.is_executing:
        evidence = _evidence()
        asked = {
            **proofs.pod_questions(spec, node, evidence.pods),
            **traffic.questions(spec, node, evidence.population),
        }
        _ask_node(spec, node, asked)
    yield from ()


@operation()
def ingress_asked(*, spec: ClusterSpec, node: Node) -> Generator[StringCommand, None, None]:
    """Ingress nodes were sent requests from `node`: each from the node that comes after it."""
    if state.is_executing:
        nodes = spec.kubernetes_nodes
        for served in _serving(spec):
            if nodes[(nodes.index(served) + 1) % len(nodes)] == node:
                _ask_node(spec, served, web.questions(spec, served), stdin=web.client_certificates(spec))
    yield from ()


def _serving(spec: ClusterSpec) -> list[Node]:
    """The ingress nodes that must answer: all of them, unless the inventory wants fewer replicas."""
    nodes = spec.ingress_nodes
    return [n for n in nodes if spec.ingress.replicas in (None, len(nodes)) or n.name in _evidence().controllers]


@operation()
def limits_asked(*, spec: ClusterSpec) -> Generator[StringCommand, None, None]:
    """Uploads and time-outs through ingress were tried, where something was changed or everything was asked for."""
    if state.is_executing and spec.example and _worth_it("uploads and time-outs through ingress"):
        nodes = [n for n in _serving(spec) if web.slow_questions(spec, n)]
        here = ctx_host.get()  # type: ignore[no-untyped-call]
        gevent.joinall([gevent.spawn(_ask_limits, here, spec, n) for n in nodes], raise_error=True)
    yield from ()


def _ask_limits(here: Host, spec: ClusterSpec, node: Node) -> None:
    with ctx_host.use(here):
        _ask_node(spec, node, web.slow_questions(spec, node))


@operation()
def lookups_asked(*, spec: ClusterSpec, node: Node) -> Generator[StringCommand, None, None]:
    """The queries for a name were counted, on the first node with a pod of `dns.ndots_namespaces`."""
    if state.is_executing and spec.dns.ndots_namespaces:
        evidence = _evidence()
        concerned = [p for p in evidence.population.pods if p.namespace in spec.dns.ndots_namespaces]
        if concerned and concerned[0].node == node.name and _worth_it("DNS queries of a lookup"):
            _ask_node(spec, node, lookups.questions(spec, concerned[0], evidence.servers))
    yield from ()


def _worth_it(what: str) -> bool:
    """Whether a proof that takes long is done in this run; else the report says that it was not."""
    if session.current.changes or session.current.thorough:
        return True
    _evidence().not_repeated.append(what)
    return False


@operation()
def cluster_asked(*, spec: ClusterSpec) -> Generator[StringCommand, None, None]:
    """The first control-plane node has answered the questions about the cluster as a whole."""
    if state.is_executing:
        first = spec.first_control_plane
        _evidence().cluster = _asked(spec, first, proofs.cluster_questions(spec), proofs.CLUSTER_CHECKS)
    yield from ()


def _ask_node(spec: ClusterSpec, node: Node, questions: Mapping[str, str], *, stdin: str = "") -> None:
    """Asks the current host about `node`."""
    answers = _asked(spec, node, questions, NODE_CHECKS, stdin=stdin)
    _evidence().nodes[node.name] = {**_evidence().nodes.get(node.name, {}), **answers}


def _asked(
    spec: ClusterSpec, node: Node, questions: Mapping[str, str], checks: Sequence[Check], *, stdin: str = ""
) -> Answers:
    """The answers; those that may become right by themselves are asked for again, for a while."""
    deadline = time.monotonic() + (_SETTLE_S if session.current.changes else _GLANCE_S)
    answers: Answers = host.get_fact(AnswersFact, questions=questions, _stdin=stdin)
    tries = 0
    while again := unsettled(checks, View(spec, node, answers)):
        if tries >= _TRIES and time.monotonic() > deadline:
            break
        tries += 1
        gevent.sleep(1)
        newer: Answers = host.get_fact(AnswersFact, questions={q: questions[q] for q in again}, _stdin=stdin)
        answers = {**answers, **newer}
    return answers


@operation()
def probe_pods_removed() -> Generator[StringCommand, None, None]:
    """No probe pod is left."""
    if state.is_executing:
        run_on(
            host,
            kubectl(f"-n kube-system delete daemonset/{proofs.PROBE} --ignore-not-found --wait=false --grace-period=0"),
        )
    yield from ()


@operation()
def judged(*, spec: ClusterSpec) -> Generator[StringCommand, None, None]:
    """Every proof holds; otherwise an error, after the table has said which does not, where, and what to do."""
    if state.is_executing:
        evidence = _evidence()
        views = [View(spec, n, evidence.nodes[n.name]) for n in spec.nodes if n.name in evidence.nodes]
        findings = _findings(spec, views)
        failed = [f for f in findings if not f.passed]
        session.current.proofs_passed = len(findings) - len(failed)
        session.current.proofs_failed = len(failed)
        report.show(Console(highlight=False), spec, findings, views, not_repeated=evidence.not_repeated)
        if failed:
            raise OperationError(f"{len(failed)} of {len(findings)} proofs failed; see the table above")
    yield from ()


def _findings(spec: ClusterSpec, views: Sequence[View]) -> list[Finding]:
    findings = judge(NODE_CHECKS, views)
    if (answers := _evidence().cluster) is not None:
        findings += judge(proofs.CLUSTER_CHECKS, [View(spec, spec.first_control_plane, answers)])
    return findings
