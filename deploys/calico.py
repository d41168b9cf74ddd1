"""Every node has the BGP sessions of the inventory, routes to the other nodes' pods through them, and felix enforces
NetworkPolicies. calicoctl works on every control plane."""

from __future__ import annotations

from deploys import host_of, phase
from groundwork import calico as model
from groundwork import layout
from groundwork.spec import ClusterSpec, Node
from groundwork.templates import render
from operations import bgp, files, objects
from operations.files import File

WORKLOADS = (("DaemonSet", "kube-system", "calico-node"), ("Deployment", "kube-system", "calico-kube-controllers"))


@phase("Calico")
def calico(cluster: ClusterSpec, node: Node) -> None:
    if node in cluster.control_plane:
        text = render("calico/calicoctl.cfg.j2", kubeconfig=layout.ADMIN_KUBECONFIG)
        files.present(name="calicoctl knows the cluster", files=[File(layout.CALICOCTL_CONFIG, text)])
    if node != cluster.first_control_plane:
        return
    objects.applied(name="Calico is in the cluster", part="calico", objects=model.objects(cluster))
    hosts = {n.name: host_of(n) for n in cluster.kubernetes_nodes}
    bgp.configured(name="BGP is configured", spec=cluster, hosts=hosts)
    objects.rolled_out(name="Calico runs on every node", workloads=WORKLOADS)
