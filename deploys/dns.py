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
    objects.patched(
        name="CoreDNS has its replicas apart",
        target=model.DEPLOYMENT,
        patch=model.deployment_patch(cluster),
    )
    objects.patched(name="kube-system is known by a label", target=model.NAMESPACE, patch=model.namespace_patch())
    objects.applied(name="CoreDNS has a disruption budget", objects=model.objects())
    objects.rolled_out(name="CoreDNS runs", workloads=["deployment/coredns"])
