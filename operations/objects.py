"""Objects in the cluster, applied where they differ; run on the first control-plane node."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence

from pyinfra import host, state
from pyinfra.api import OperationError, StringCommand, operation

from facts.objects import LiveObjects, RolloutStatus
from groundwork.kubeadm import kubectl
from groundwork.objects import Object, contained, drift, dump, identity

__all__ = ["applied", "patched", "rolled_out"]

_DEFINITION = "CustomResourceDefinition"


@operation()
def applied(*, objects: Sequence[Object]) -> Generator[StringCommand, None, None]:
    """Each object is in the cluster as given. Definitions of resources come first, and are waited for."""
    definitions = [o for o in objects if o["kind"] == _DEFINITION]
    others = [o for o in objects if o["kind"] != _DEFINITION]
    drifting = _drifting(definitions)
    if drifting:
        yield StringCommand(kubectl("apply -f -"), _stdin=dump(drifting))
        yield StringCommand(
            kubectl("wait --for=condition=established --timeout=60s -f - >/dev/null"), _stdin=dump(drifting)
        )
    drifting = _drifting(others)
    if drifting:
        yield StringCommand(kubectl("apply -f -"), _stdin=dump(drifting))


@operation()
def patched(*, target: Object, patch: Object) -> Generator[StringCommand, None, None]:
    """An object that somebody else made (kubeadm) has the fields of `patch`; the rest of it is theirs."""
    live = host.get_fact(LiveObjects, _stdin=dump([target]))
    if live and contained(patch, live[0]):
        host.noop("the object is as wanted")
        return
    kind, namespace, name = identity(target)
    where = f"-n {namespace} " if namespace else ""
    yield StringCommand(
        kubectl(f'{where}patch {kind.lower()} {name} --type=strategic -p "$(cat)"'), _stdin=json.dumps(patch)
    )


@operation()
def rolled_out(*, workloads: Sequence[str], timeout: int = 300) -> Generator[StringCommand, None, None]:
    """Each of `workloads` (`daemonset/NAME` in kube-system) runs as declared, within `timeout` s."""
    if state.is_executing:
        for workload in workloads:
            answer = host.get_fact(RolloutStatus, workload=workload, namespace="kube-system", timeout=timeout)
            if answer != "complete":
                raise OperationError(f"{workload} did not roll out within {timeout} s:\n{answer}")
    yield from ()


def _drifting(objects: Sequence[Object]) -> list[Object]:
    if not objects:
        return []
    live = {identity(o): o for o in host.get_fact(LiveObjects, _stdin=dump(objects))}
    differing = [(o, drift(o, live.get(identity(o)))) for o in objects]
    for obj, where in differing:
        if where and where != ("absent",):
            host.log(f"{obj['kind']} {obj['metadata']['name']} differs: {', '.join(where)}")
    return [obj for obj, where in differing if where]
