"""The first control-plane node runs the API server, controller manager and scheduler, made by kubeadm from one
document, with kubeadm's own preflight on."""

from __future__ import annotations

from pyinfra import host

from deploys import phase
from deploys.preflight import kernel_of
from groundwork import kubeadm as documents
from groundwork.spec import ClusterSpec, Node
from operations import kubeadm


@phase("Control plane")
def control_plane(cluster: ClusterSpec, node: Node) -> None:
    if node != cluster.first_control_plane:
        return
    kubeadm.initialised(
        name="kubeadm's control plane is complete",
        spec=cluster,
        node=node,
        document=documents.init(cluster, kernel=kernel_of(host)),
    )
