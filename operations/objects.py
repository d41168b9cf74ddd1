"""Objects in the cluster, applied where they differ and deleted when no longer wanted; run on the first
control-plane node."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping, Sequence
from urllib.parse import quote
from weakref import WeakKeyDictionary

import gevent
from pyinfra import host, state
from pyinfra.api import OperationError, State, StringCommand, operation
from pyinfra.context import ctx_state

from facts.objects import LiveObjects, UnreadyPods
from groundwork.kubeadm import kubectl
from groundwork.objects import Object, belongs_to, contained, drift, dump, identity, listings, part_of, path, rolled

__all__ = [
    "applied",
    "await_rollout",
    "deleted",
    "forget_live_objects",
    "live_objects",
    "live_part",
    "nodes_labelled",
    "patch_command",
    "patched",
    "rolled_out",
]

_DEFINITION = "CustomResourceDefinition"

_ROLLOUT_S = 300

_DELETE_S = 400
"""How long a deletion may take; a namespace goes only after everything in it."""

Identity = tuple[str, str, str]


@operation()
def applied(*, part: str, objects: Sequence[Object]) -> Generator[StringCommand, None, None]:
    """The objects of this project that are part of `part` are exactly these: what is labelled so and not among
    `objects` is deleted. Definitions of resources come first, and are waited for."""
    wanted = part_of(part, objects)
    live = {identity(o): o for o in live_part(part)}
    drifting = [o for o in wanted if _drifts(o, live)]
    definitions = [o for o in drifting if o["kind"] == _DEFINITION]
    if definitions:
        yield StringCommand(kubectl("apply -f -"), _stdin=dump(definitions))
        yield StringCommand(
            kubectl("wait --for=condition=established --timeout=60s -f - >/dev/null"), _stdin=dump(definitions)
        )
    if others := [o for o in drifting if o["kind"] != _DEFINITION]:
        yield StringCommand(kubectl("apply -f -"), _stdin=dump(others))
    names = {identity(w) for w in wanted}
    if left := [o for key, o in live.items() if key not in names]:
        yield from deleted(left)
    if drifting or left:
        forget_live_objects()


@operation()
def patched(*, patches: Sequence[Object]) -> Generator[StringCommand, None, None]:
    """Objects that somebody else made have the fields of `patches`; the rest of them stays theirs. A namespace
    that does not exist is created."""
    live = {identity(o): o for o in live_objects([path(p) for p in patches])}
    for patch in patches:
        found = live.get(identity(patch))
        if found is None and patch["kind"] == "Namespace":
            yield StringCommand(kubectl("create -f -"), _stdin=json.dumps(patch))
        elif not contained(patch, found or {}):
            yield patch_command(patch)


_OURS: WeakKeyDictionary[State, list[Object]] = WeakKeyDictionary()


def live_part(part: str) -> list[Object]:
    """The live objects that were applied as part of `part`. All parts are read at once, and again after a change."""
    current: State = ctx_state.get()  # type: ignore[no-untyped-call]
    if not state.is_executing or current not in _OURS:
        _OURS[current] = live_objects(listings())
    return [o for o in _OURS[current] if belongs_to(o, part)]


def forget_live_objects() -> None:
    """After a change: the next question for a part is asked anew."""
    _OURS.pop(ctx_state.get(), None)  # type: ignore[no-untyped-call]


def live_objects(paths: Sequence[str]) -> list[Object]:
    """The objects at `paths` of the API, as the current host, a control-plane node, sees them."""
    found: list[Object] = host.get_fact(LiveObjects, paths=list(paths))
    return found


def deleted(objects: Sequence[Object]) -> Generator[StringCommand, None, None]:
    """The command that deletes live `objects`, each of which is named in the log."""
    for obj in objects:
        host.log(f"{obj['kind']} {obj['metadata']['name']} is no longer wanted")
    named = [{"apiVersion": o["apiVersion"], "kind": o["kind"], "metadata": _place(o)} for o in objects]
    yield StringCommand(
        kubectl(f"delete --ignore-not-found --timeout={_DELETE_S}s -f -"),
        _stdin=dump(named),
    )


def _place(obj: Object) -> Object:
    return {key: obj["metadata"][key] for key in ("name", "namespace") if key in obj["metadata"]}


def patch_command(patch: Object) -> StringCommand:
    """The command that gives a live object of somebody else the fields of `patch`."""
    kind, namespace, name = identity(patch)
    where = f"-n {namespace} " if namespace else ""
    return StringCommand(
        kubectl(f'{where}patch {kind.lower()} {name} --type=strategic -p "$(cat)"'), _stdin=json.dumps(patch)
    )


def _drifts(obj: Object, live: Mapping[Identity, Object]) -> bool:
    found = live.get(identity(obj))
    where = drift(obj, found)
    if where and found is not None:
        host.log(f"{obj['kind']} {obj['metadata']['name']} differs: {', '.join(where)}")
    return bool(where)


@operation()
def nodes_labelled(*, label: str, nodes: Sequence[str]) -> Generator[StringCommand, None, None]:
    """These nodes of the cluster have the label, and no others."""
    live = live_objects([f"/api/v1/nodes?labelSelector={quote(label)}"])
    labelled = {o["metadata"]["name"] for o in live}
    for name in sorted(set(nodes) - labelled):
        yield StringCommand(kubectl(f"label node {name} {label}="))
    for name in sorted(labelled - set(nodes)):
        yield StringCommand(kubectl(f"label node {name} {label}-"))


@operation()
def rolled_out(*, workloads: Sequence[Identity]) -> Generator[StringCommand, None, None]:
    """Each of `workloads` (kind, namespace, name) runs as declared, within five minutes."""
    if state.is_executing:
        await_rollout(workloads)
    yield from ()


def await_rollout(workloads: Sequence[Identity]) -> None:
    """Returns when each of `workloads` runs as declared; OperationError after five minutes."""
    paths = [path({"kind": k, "metadata": {"namespace": ns, "name": n}}) for k, ns, n in workloads]
    # Not `kubectl rollout status`: it gives up at once where a rollout failed earlier, though it goes on now.
    deadline = time.monotonic() + _ROLLOUT_S
    while missing := {identity(o) for o in live_objects(paths) if rolled(o)} ^ set(workloads):
        if time.monotonic() > deadline:
            kind, namespace, name = min(missing)
            unready: list[str] = host.get_fact(UnreadyPods, namespace=namespace)
            said = "\n".join(unready) or "no pod of it was started"
            raise OperationError(f"{namespace}/{kind.lower()}/{name} did not roll out within {_ROLLOUT_S} s:\n{said}")
        gevent.sleep(1)
