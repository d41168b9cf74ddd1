"""Every Kubernetes node runs containerd with the kubelet's cgroup driver, and holds kubeadm, the kubelet and
every image that it will be asked for: a missing image costs minutes of back-off on that node alone."""

from __future__ import annotations

from pathlib import PurePosixPath

from deploys import phase
from groundwork import artefacts, layout
from groundwork.spec import ClusterSpec, Node
from groundwork.templates import render
from operations import artefacts as artefact_operations
from operations import files, packages, services
from operations.files import File

CONTAINERD_CONFIG = PurePosixPath("/etc/containerd/config.toml")
KUBELET_UNIT = PurePosixPath("/etc/systemd/system/kubelet.service")


PACKAGES = ("containerd", "runc")


@phase("Runtime")
def runtime(cluster: ClusterSpec, node: Node) -> None:
    if node not in cluster.kubernetes_nodes:
        return
    # An upgrade to containerd 2 would take away the interface that kubelet 1.15 speaks.
    packages.installed(name="containerd is installed and held", packages=PACKAGES, hold=True)
    files.present(name="containerd, crictl and the kubelet are configured", files=_files(cluster, node))
    services.running(name="containerd runs", unit="containerd", reads=[CONTAINERD_CONFIG])
    artefact_operations.programs_installed(
        name="kubeadm, the kubelet and CNI plugins are the pinned ones",
        artefacts=artefacts.programs_of(cluster, node),
    )
    artefact_operations.images_imported(
        name="Every image is there before kubeadm asks for it",
        artefacts=artefacts.images_of(cluster, node),
    )
    services.enabled(name="The kubelet starts at boot", unit="kubelet")


def _files(cluster: ClusterSpec, node: Node) -> list[File]:
    containerd = render(
        "runtime/containerd.toml.j2",
        pause_image=artefacts.resolve(cluster, "pause").image,
        shared_kernel=node.shared_kernel,
        cni_bin=layout.CNI_BIN,
        cni_config=layout.CNI_CONFIG,
    )
    kubelet = render(
        "runtime/kubelet.service.j2",
        bin=layout.BIN,
        kubelet_state=layout.KUBELET_STATE,
        kubelet_kubeconfig=layout.KUBELET_KUBECONFIG,
    )
    return [
        File(CONTAINERD_CONFIG, containerd),
        File(
            PurePosixPath("/etc/crictl.yaml"),
            render("runtime/crictl.yaml.j2", containerd_socket=layout.CONTAINERD_SOCKET),
        ),
        File(KUBELET_UNIT, kubelet),
    ]
