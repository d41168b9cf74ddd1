"""etcd runs under systemd, outside Kubernetes; it speaks only TLS, only with clients and peers that show a
certificate, and a majority of its members commits."""

from __future__ import annotations

from pathlib import PurePosixPath

from deploys import host_of, phase
from groundwork import artefacts, layout, storage
from groundwork import etcd as model
from groundwork.spec import ClusterSpec, Node
from groundwork.templates import render
from operations import artefacts as artefact_operations
from operations import etcd as operations
from operations import files, services
from operations.files import File

CONFIGURATION = layout.ETCD_CONFIG / "etcd.yaml"
UNIT = PurePosixPath("/etc/systemd/system/etcd.service")


@phase("etcd")
def etcd(cluster: ClusterSpec, node: Node) -> None:
    first = cluster.first_control_plane
    if node == first:
        operations.authority_made(name="etcd has its own authority", spec=cluster, node=node)
        operations.client_certificate_made(name="The API server has its client certificate", spec=cluster, node=node)
    if node in cluster.etcd_members:
        _member(cluster, node)


def _member(cluster: ClusterSpec, node: Node) -> None:
    artefact_operations.programs_installed(
        name="etcd is the pinned one", artefacts=[artefacts.resolve(cluster, "etcd")]
    )
    operations.certificates_issued(
        name="The member's certificates name every member",
        spec=cluster,
        node=node,
        authority=host_of(cluster.first_control_plane),
    )
    files.present(name="The member is configured", files=_files(cluster, node))
    services.running(name="The member runs", unit="etcd", reads=[CONFIGURATION, UNIT, layout.ETCD_PKI / "server.crt"])
    operations.member_healthy(name="The member is healthy", node=node)


def _files(cluster: ClusterSpec, node: Node) -> list[File]:
    unit = render(
        "etcd/etcd.service.j2",
        bin=layout.BIN,
        configuration=CONFIGURATION,
        # A shared kernel's container may not raise its priority.
        nice=0 if node.shared_kernel else -10,
        own_disk=storage.concerned(cluster, node),
        data=layout.ETCD_DATA,
    )
    return [
        File(CONFIGURATION, model.configuration(cluster, node), mode="640", owner="root:etcd"),
        File(UNIT, unit),
    ]
