"""Every node has a BGP session with every other, routes to their pods through them without encapsulation, and
felix enforces NetworkPolicies."""

from __future__ import annotations

from deploys import phase
from groundwork import calico as model
from groundwork.spec import ClusterSpec, Node
from operations import objects


@phase("Calico")
def calico(cluster: ClusterSpec, node: Node) -> None:
    if node != cluster.first_control_plane:
        return
    objects.applied(name="Calico is in the cluster", objects=model.objects(cluster))
    objects.rolled_out(
        name="Calico runs on every node",
        workloads=["daemonset/calico-node", "deployment/calico-kube-controllers"],
    )
