"""Every worker is a member of the cluster: it joined with the cluster's authority pinned, by a token that lived
for that join only."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from deploys import cluster_of, host_of, node_of
from deploys.preflight import kernel_of
from operations import kubeadm


@deploy("Workers")
def workers() -> None:
    cluster, node = cluster_of(host), node_of(host)
    if node in cluster.workers:
        kubeadm.joined(
            name="The worker is a member",
            spec=cluster,
            node=node,
            kernel=kernel_of(host),
            first=host_of(cluster.first_control_plane),
        )
    if node == cluster.first_control_plane:
        kubeadm.tokens_deleted(name="No bootstrap token of a run is left")
