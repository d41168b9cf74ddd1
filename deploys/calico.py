"""Every node has a BGP session with every other, routes to their pods through them without encapsulation, and
felix enforces NetworkPolicies."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from deploys import cluster_of, node_of
from groundwork import calico as model
from operations import objects


@deploy("Calico")
def calico() -> None:
    cluster, node = cluster_of(host), node_of(host)
    if node != cluster.first_control_plane:
        return
    objects.applied(name="Calico is in the cluster", objects=model.objects(cluster))
    objects.rolled_out(
        name="Calico runs on every node",
        workloads=["daemonset/calico-node", "deployment/calico-kube-controllers"],
    )
