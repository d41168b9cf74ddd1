"""Nothing is changed before everything that can be known is known: one refused node refuses the run, with every
reason at once. It is asked while pyinfra prepares, so `--dry` refuses as well."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal
from weakref import WeakKeyDictionary

import gevent
from gevent.lock import RLock
from pyinfra import host, inventory, logger
from pyinfra.api import DeployError, Host, State, deploy
from pyinfra.context import ctx_host, ctx_state

from deploys import cluster_of, node_of
from facts.answers import AnswersFact
from groundwork.artefacts import ArtefactError, images_of, programs_of, resolve
from groundwork.checks import Answers, View, judge
from groundwork.preflight import CHECKS, questions
from groundwork.spec import ClusterSpec, Node

__all__ = ["answers_of", "kernel_of", "lives", "preflight", "survey"]

_SURVEYS: WeakKeyDictionary[State, Mapping[str, Answers]] = WeakKeyDictionary()
_ONE_AT_A_TIME = RLock()


@deploy("Preflight")
def preflight() -> None:
    cluster = cluster_of(host)
    with _ONE_AT_A_TIME:
        state: State = ctx_state.get()  # type: ignore[no-untyped-call]
        if state in _SURVEYS:
            return
        _refuse_missing_artefacts(cluster)
        answers = survey(state)
        views = [View(cluster, n, answers[n.name], answers) for n in cluster.nodes if n.name in answers]
        refused = [f for f in judge(CHECKS, views) if not f.passed]
        if refused:
            reasons = "\n".join(f"  {f.sentence()}" for f in refused)
            raise DeployError(f"preflight refuses this run, and nothing was changed:\n{reasons}")
        asked = f"{len(CHECKS)} requirements hold on {len(views)} of {len(cluster.nodes)} nodes"
        logger.info(f"--> Preflight: {asked}")


def survey(state: State) -> Mapping[str, Answers]:
    """What every node of the run answered, by node; asked once a run, all nodes at once."""
    if state not in _SURVEYS:
        hosts = [h for h in inventory if state.is_host_in_limit(h)]
        # Not pyinfra's own pool: it is full of the greenlets that wait for this answer.
        asked = [gevent.spawn(_ask, h) for h in hosts]
        gevent.joinall(asked)
        _SURVEYS[state] = {node_of(h).name: a.get() for h, a in zip(hosts, asked, strict=True)}
    return _SURVEYS[state]


def answers_of(node: Node) -> Answers:
    """What `node` answered when the run began; nothing where it is not part of the run."""
    state: State = ctx_state.get()  # type: ignore[no-untyped-call]
    return survey(state).get(node.name, {})


def kernel_of(host: Host) -> str:
    """The release of the kernel that `host` runs (uname -r)."""
    return answers_of(node_of(host))["kernel"][0]


def lives(node: Node, what: Literal["etcd", "kubelet"]) -> bool:
    """Whether `node` was a member of this cluster's etcd, or had a kubelet, when the run began."""
    return bool(answers_of(node).get(what))


def _ask(other: Host) -> Answers:
    with ctx_host.use(other):
        before = time.time()
        asked = questions(cluster_of(other), node_of(other))
        found: Answers = other.get_fact(AnswersFact, questions=asked)
        after = time.time()
    answers = dict(found)
    if not answers:
        raise DeployError(f"{other.name} did not answer: is sudo without a password allowed for its user?")
    if answers.get("clock"):
        # The node looked at its clock some time between sending and receiving.
        seen = float(answers["clock"][0])
        nearest = min(max(seen, before), after)
        answers["offset"] = (f"{seen - nearest:.3f}",)
    return answers


def _refuse_missing_artefacts(cluster: ClusterSpec) -> None:
    try:
        for node in cluster.kubernetes_nodes:
            programs_of(cluster, node)
            images_of(cluster, node)
        resolve(cluster, "etcd")
    except ArtefactError as error:
        raise DeployError(f"preflight refuses this run, and nothing was changed: {error}") from None
