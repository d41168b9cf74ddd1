"""Resolver options of workloads: the kubelet's ndots:5 cannot be changed for a whole cluster."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host, state
from pyinfra.api import StringCommand, operation

from groundwork import dns
from groundwork.objects import collection, identity
from groundwork.spec import ClusterSpec
from operations.objects import await_rollout, live_objects, patch_command

__all__ = ["ndots_set"]


@operation()
def ndots_set(*, spec: ClusterSpec) -> Generator[StringCommand, None, None]:
    """Every Deployment, DaemonSet and StatefulSet of `dns.ndots_namespaces` gives its pods `dns.ndots`. What will
    restart is named first; then their pods are waited for."""
    found = live_objects([collection(kind, name) for name in spec.dns.ndots_namespaces for kind in dns.WORKLOADS])
    patches = dns.resolver_patches(spec, found)
    for patch in patches:
        kind, namespace, name = identity(patch)
        host.log(f"{kind} {namespace}/{name} gets ndots:{spec.dns.ndots}, so its pods restart")
    for patch in patches:
        yield patch_command(patch)
    if state.is_executing and patches:
        await_rollout([identity(p) for p in patches])
