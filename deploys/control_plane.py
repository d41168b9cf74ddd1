"""The first control-plane node runs the API server, controller manager and scheduler, made by kubeadm from one
document, with kubeadm's own preflight on."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from deploys import cluster_of, node_of
from deploys.preflight import kernel_of
from groundwork import kubeadm as documents
from operations import kubeadm


@deploy("Control plane")
def control_plane() -> None:
    cluster, node = cluster_of(host), node_of(host)
    if node != cluster.first_control_plane:
        return
    kubeadm.initialised(
        name="kubeadm's control plane is complete",
        spec=cluster,
        node=node,
        document=documents.init(cluster, kernel=kernel_of(host)),
    )
