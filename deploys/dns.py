"""CoreDNS answers from replicas on different nodes, and a drain never takes the last one."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from deploys import cluster_of, node_of
from groundwork import dns as model
from operations import objects


@deploy("DNS")
def dns() -> None:
    cluster, node = cluster_of(host), node_of(host)
    if node != cluster.first_control_plane:
        return
    objects.applied(
        name="CoreDNS has its replicas apart, and a disruption budget",
        objects=model.objects(),
        patches=model.patches(cluster),
    )
    objects.rolled_out(name="CoreDNS runs", workloads=["deployment/coredns"])
