"""CoreDNS answers from replicas on different nodes, and a drain never takes the last one."""

from __future__ import annotations

from deploys import phase
from groundwork import dns as model
from groundwork.spec import ClusterSpec, Node
from operations import objects


@phase("DNS")
def dns(cluster: ClusterSpec, node: Node) -> None:
    if node != cluster.first_control_plane:
        return
    objects.applied(
        name="CoreDNS has its replicas apart, and a disruption budget",
        objects=model.objects(),
        patches=model.patches(cluster),
    )
    objects.rolled_out(name="CoreDNS runs", workloads=["deployment/coredns"])
