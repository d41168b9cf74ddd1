"""Objects in the cluster, applied where they differ; run on the first control-plane node."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence

from pyinfra import host, state
from pyinfra.api import OperationError, StringCommand, operation

from facts.objects import LiveObjects, RolloutStatus, Workloads
from groundwork.kubeadm import kubectl
from groundwork.objects import Object, contained, drift, dump, identity, rolled

__all__ = ["applied", "rolled_out"]

_DEFINITION = "CustomResourceDefinition"


@operation()
def applied(*, objects: Sequence[Object], patches: Sequence[Object] = ()) -> Generator[StringCommand, None, None]:
    """Each object is in the cluster as given. Definitions of resources come first, and are waited for.

    Objects that somebody else made (kubeadm) have the fields of `patches`; the rest of them stays theirs.
    """
    # kubectl answers nothing at all while one of the definitions is missing: then everything is applied.
    live = {identity(o): o for o in host.get_fact(LiveObjects, _stdin=dump([*objects, *patches]))}
    drifting = [o for o in objects if _drifts(o, live)]
    definitions = [o for o in drifting if o["kind"] == _DEFINITION]
    if definitions:
        yield StringCommand(kubectl("apply -f -"), _stdin=dump(definitions))
        yield StringCommand(
            kubectl("wait --for=condition=established --timeout=60s -f - >/dev/null"), _stdin=dump(definitions)
        )
    if others := [o for o in drifting if o["kind"] != _DEFINITION]:
        yield StringCommand(kubectl("apply -f -"), _stdin=dump(others))
    for patch in patches:
        if not contained(patch, live.get(identity(patch), {})):
            yield _patch(patch)


def _patch(patch: Object) -> StringCommand:
    kind, namespace, name = identity(patch)
    where = f"-n {namespace} " if namespace else ""
    return StringCommand(
        kubectl(f'{where}patch {kind.lower()} {name} --type=strategic -p "$(cat)"'), _stdin=json.dumps(patch)
    )


def _drifts(obj: Object, live: Mapping[tuple[str, str, str], Object]) -> bool:
    found = live.get(identity(obj))
    where = drift(obj, found)
    if where and found is not None:
        host.log(f"{obj['kind']} {obj['metadata']['name']} differs: {', '.join(where)}")
    return bool(where)


@operation()
def rolled_out(*, workloads: Sequence[str], timeout: int = 300) -> Generator[StringCommand, None, None]:
    """Each of `workloads` (`daemonset/NAME` in kube-system) runs as declared, within `timeout` s."""
    if state.is_executing:
        paths = ["/apis/apps/v1/namespaces/kube-system/{}s/{}".format(*w.split("/")) for w in workloads]
        live = host.get_fact(Workloads, paths=paths)
        if len(live) == len(workloads) and all(rolled(o) for o in live):
            return
        for workload in workloads:
            answer = host.get_fact(RolloutStatus, workload=workload, namespace="kube-system", timeout=timeout)
            if answer != "complete":
                raise OperationError(f"{workload} did not roll out within {timeout} s:\n{answer}")
    yield from ()
