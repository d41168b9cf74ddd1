"""Every worker is a member of the cluster: it joined with the cluster's authority pinned, by a token that lived
for that join only."""

from __future__ import annotations

from pyinfra import host

from deploys import host_of, phase
from deploys.preflight import kernel_of
from groundwork.kernel import proxy_mode
from groundwork.spec import ClusterSpec, Node
from operations import kubeadm


@phase("Workers")
def workers(cluster: ClusterSpec, node: Node) -> None:
    if node in cluster.workers:
        kubeadm.joined(
            name="The worker is a member",
            spec=cluster,
            node=node,
            kernel=kernel_of(host),
            first=host_of(cluster.first_control_plane),
        )
    if node in cluster.kubernetes_nodes:
        kubeadm.proxy_mode_taken(name="kube-proxy balances as it is told", mode=proxy_mode(cluster, node))
    if node == cluster.first_control_plane:
        kubeadm.tokens_deleted(name="No bootstrap token of a run is left")
