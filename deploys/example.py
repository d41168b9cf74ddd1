"""The example's shop is there where the inventory declares it, and nothing of it where it does not."""

from __future__ import annotations

from deploys import phase
from groundwork import example as model
from groundwork.spec import ClusterSpec, Node
from operations import objects


@phase("Example")
def example(cluster: ClusterSpec, node: Node) -> None:
    if node != cluster.first_control_plane:
        return
    objects.applied(name="The example is that of the inventory", part="example", objects=model.objects(cluster))
    objects.rolled_out(name="The example runs", workloads=model.workloads(cluster))
