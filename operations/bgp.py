"""BGP's sessions as the inventory wants them, changed without a moment in which nobody has any."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping, Sequence

import gevent
from pyinfra import state
from pyinfra.api import Host, OperationError, StringCommand, operation

from groundwork import bgp
from groundwork.kubeadm import kubectl
from groundwork.objects import Object, drift, dump, identity, part_of, path
from groundwork.spec import ClusterSpec
from operations.commands import run_on
from operations.objects import deleted, forget_live_objects, live_objects, live_part

__all__ = ["configured"]

_PART = "bgp"

_SESSIONS_S = 120
"""How long sessions may take to come up; BIRD tries again every minute at the latest."""


@operation()
def configured(*, spec: ClusterSpec, hosts: Mapping[str, Host]) -> Generator[StringCommand, None, None]:
    """Mesh, route reflectors and peers are those of the inventory. `hosts` are the nodes, by name.

    On a cluster that runs already, the mesh stays on until every session with the reflectors is up; a reflector
    at a time changes over, and its own pods are unreachable for the second in which its sessions begin anew.
    """
    reflectors = spec.network.bgp.route_reflectors
    final = part_of(_PART, [bgp.configuration(spec, mesh=not reflectors), *bgp.peers(spec)])
    nodes = [{"kind": "Node", "metadata": {"name": n.name}} for n in spec.kubernetes_nodes]
    live = {identity(o): o for o in (*live_part(_PART), *live_objects([path(n) for n in nodes]))}
    marked = {n for k, _, n in live if k == "Node" and _is_reflector(live[k, "", n])}
    runs = ("BGPConfiguration", "", "default") in live
    if marked != set(reflectors):
        # During a change there is a mesh beside the reflectors.
        between = part_of(_PART, [bgp.configuration(spec, mesh=True), *bgp.peers(spec)])
        yield from _applied(between, live)
        if runs and state.is_executing:
            _await_sessions(spec, hosts)
        for name in sorted(marked ^ set(reflectors)):
            yield _marked(bgp.reflector_patch(spec, spec.node(name), reflects=name in reflectors))
            if runs and state.is_executing:
                _await_sessions(spec, hosts)
        forget_live_objects()
        live = {identity(o): o for o in live_part(_PART)}
    if runs and reflectors and _has_mesh(live) and state.is_executing:
        # Also after a run that was killed half-way: the mesh goes last.
        _await_sessions(spec, hosts)
    yield from _applied(final, live)
    names = {identity(o) for o in final}
    unwanted = [o for key, o in live.items() if key[0] != "Node" and key not in names]
    if unwanted:
        yield from deleted(unwanted)
    if unwanted or any(drift(o, live.get(identity(o))) for o in final):
        forget_live_objects()


def _is_reflector(node: Object) -> bool:
    return bgp.REFLECTOR_LABEL in node["metadata"].get("labels", {})


def _has_mesh(live: Mapping[tuple[str, str, str], Object]) -> bool:
    found = live.get(("BGPConfiguration", "", "default"), {})
    return bool(found.get("spec", {}).get("nodeToNodeMeshEnabled"))


def _applied(
    wanted: Sequence[Object], live: Mapping[tuple[str, str, str], Object]
) -> Generator[StringCommand, None, None]:
    if drifting := [o for o in wanted if drift(o, live.get(identity(o)))]:
        yield StringCommand(kubectl("apply -f -"), _stdin=dump(drifting))


def _marked(patch: Object) -> StringCommand:
    return StringCommand(
        kubectl(f'patch node {patch["metadata"]["name"]} --type=merge -p "$(cat)"'), _stdin=json.dumps(patch)
    )


def _await_sessions(spec: ClusterSpec, hosts: Mapping[str, Host]) -> None:
    """Every node has its sessions with every other, by mesh or reflector: no route is lost."""
    deadline = time.monotonic() + _SESSIONS_S
    while missing := _missing(spec, hosts):
        if time.monotonic() > deadline:
            raise OperationError(f"BGP sessions are missing after {_SESSIONS_S} s: {'; '.join(missing)}")
        gevent.sleep(1)


def _missing(spec: ClusterSpec, hosts: Mapping[str, Host]) -> list[str]:
    found = []
    for node in spec.kubernetes_nodes:
        up = bgp.established(run_on(hosts[node.name], f"{bgp.BIRD} || true").splitlines())
        if absent := [n.name for n in spec.kubernetes_nodes if n != node and str(n.address) not in up]:
            found.append(f"{node.name} with {', '.join(absent)}")
    return found
