"""CoreDNS answers from replicas on different nodes with the inventory's Corefile, and a drain never takes the last."""

from __future__ import annotations

from deploys import phase
from groundwork import dns as model
from groundwork.spec import ClusterSpec, Node
from operations import objects


@phase("DNS")
def dns(cluster: ClusterSpec, node: Node) -> None:
    if node != cluster.first_control_plane:
        return
    objects.applied(name="CoreDNS has a disruption budget", part="dns", objects=model.objects())
    objects.patched(name="CoreDNS has its Corefile and its replicas apart", patches=model.patches(cluster))
    objects.rolled_out(name="CoreDNS runs", workloads=[("Deployment", "kube-system", "coredns")])
