"""Proofs, gathered on every node and judged in one place. Verification changes nothing but its own probe pods."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import gevent
from pyinfra import host, state
from pyinfra.api import OperationError, State, StringCommand, operation
from pyinfra.context import ctx_state
from rich.console import Console

from facts.answers import AnswersFact
from groundwork import proofs, report
from groundwork.checks import Answers, Check, Finding, View, judge, unsettled
from groundwork.kubeadm import kubectl
from groundwork.objects import dump
from groundwork.spec import ClusterSpec, Node
from operations import session
from operations.commands import run_on

__all__ = [
    "cluster_asked",
    "judged",
    "node_asked",
    "pod_asked",
    "probe_pods_ready",
    "probe_pods_removed",
    "probe_pods_started",
]

_ROLLOUT_S = 120

_SETTLE_S = 60
"""How long what follows from a change by itself (sessions, endpoints, Ready) is waited for before it is a finding."""


@dataclass
class _Evidence:
    """What this run has learnt so far."""

    pods: dict[str, str] = field(default_factory=dict)
    """Address of the probe pod, by node."""
    nodes: dict[str, Answers] = field(default_factory=dict)
    cluster: Answers | None = None


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
def probe_pods_ready() -> Generator[StringCommand, None, None]:
    """The probe pods' addresses are known, as far as they came up."""
    if state.is_executing:
        rollout = f"-n kube-system rollout status daemonset/{proofs.PROBE} --timeout={_ROLLOUT_S}s"
        listed = (
            f"-n kube-system get pods -l k8s-app={proofs.PROBE} -o jsonpath='{{range .items[*]}}"
            '{.spec.nodeName} {.status.podIP} {.metadata.deletionTimestamp}{"\\n"}{end}\''
        )
        words = [line.split() for line in run_on(host, f"{kubectl(rollout)} >&2; {kubectl(listed)}").splitlines()]
        # A third word is the time at which a pod of an earlier run was deleted.
        _evidence().pods = {w[0]: w[1] for w in words if len(w) == 2}
    yield from ()


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
        _ask_node(spec, node, proofs.pod_questions(spec, node, _evidence().pods))
    yield from ()


@operation()
def cluster_asked(*, spec: ClusterSpec) -> Generator[StringCommand, None, None]:
    """The first control-plane node has answered the questions about the cluster as a whole."""
    if state.is_executing:
        first = spec.first_control_plane
        _evidence().cluster = _asked(spec, first, proofs.cluster_questions(), proofs.CLUSTER_CHECKS)
    yield from ()


def _ask_node(spec: ClusterSpec, node: Node, questions: Mapping[str, str]) -> None:
    known = _evidence().nodes.get(node.name, {})
    _evidence().nodes[node.name] = {**known, **_asked(spec, node, questions, proofs.NODE_CHECKS)}


def _asked(spec: ClusterSpec, node: Node, questions: Mapping[str, str], checks: Sequence[Check]) -> Answers:
    """The answers; those that may become right by themselves are asked for again, for up to `_SETTLE_S`."""
    deadline = time.monotonic() + _SETTLE_S
    answers: Answers = host.get_fact(AnswersFact, questions=questions)
    while (again := unsettled(checks, View(spec, node, answers))) and time.monotonic() < deadline:
        gevent.sleep(1)
        newer: Answers = host.get_fact(AnswersFact, questions={q: questions[q] for q in again})
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
        findings = _findings(spec)
        failed = [f for f in findings if not f.passed]
        session.current.proofs_passed = len(findings) - len(failed)
        session.current.proofs_failed = len(failed)
        report.show(Console(highlight=False), spec, findings)
        if failed:
            raise OperationError(f"{len(failed)} of {len(findings)} proofs failed; see the table above")
    yield from ()


def _findings(spec: ClusterSpec) -> list[Finding]:
    evidence = _evidence()
    views = [View(spec, n, evidence.nodes[n.name]) for n in spec.nodes if n.name in evidence.nodes]
    findings = judge(proofs.NODE_CHECKS, views)
    if evidence.cluster is not None:
        findings += judge(proofs.CLUSTER_CHECKS, [View(spec, spec.first_control_plane, evidence.cluster)])
    return findings
