"""ingress-nginx answers on the ports 80 and 443 of every ingress node, for the hosts of the inventory."""

from __future__ import annotations

from deploys import phase
from groundwork import ingress as model
from groundwork.spec import ClusterSpec, Node
from operations import objects


@phase("Ingress")
def ingress(cluster: ClusterSpec, node: Node) -> None:
    if node != cluster.first_control_plane:
        return
    objects.nodes_labelled(
        name="Ingress nodes are labelled", label=model.NODE_LABEL, nodes=[n.name for n in cluster.ingress_nodes]
    )
    objects.applied(name="Ingress is that of the inventory", part="ingress", objects=model.objects(cluster))
    objects.rolled_out(name="Ingress runs", workloads=model.workloads(cluster))
