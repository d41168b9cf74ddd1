"""etcd's data is on an NVMe namespace of its own, which was measured before etcd starts; nobody else may enter."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import DeployError

from deploys import phase
from deploys.preflight import answers_of
from groundwork import layout
from groundwork import storage as model
from groundwork.checks import View
from groundwork.spec import ClusterSpec, Node
from groundwork.storage import Choice
from groundwork.templates import render
from operations import files, packages, services
from operations import storage as operations
from operations.files import File

PACKAGES = ("e2fsprogs", "fio", "util-linux")


@phase("Storage")
def storage(cluster: ClusterSpec, node: Node) -> None:
    if node not in cluster.etcd_members:
        return
    if not model.concerned(cluster, node):
        operations.etcd_directory(name="etcd's directory is its own")
        return
    choice = _choice(cluster, node)
    packages.installed(name="Tools for the disk are installed", packages=PACKAGES)
    operations.disk_formatted(name="etcd's disk has its file system", spec=cluster, node=node)
    files.present(name="The disk is mounted at every boot", files=[_mount_unit(choice)])
    services.running(name="The disk is mounted", unit=layout.ETCD_MOUNT_UNIT.name, reads=[])
    operations.etcd_directory(name="etcd's directory is its own")
    operations.disk_fast_enough(
        name="etcd's disk is fast enough",
        spec=cluster,
        serial=choice.namespace.serial,
        again=host.data.get("fio") == "again",
    )


def _choice(cluster: ClusterSpec, node: Node) -> Choice:
    choice = model.choose(View(cluster, node, answers_of(node)))
    if isinstance(choice, str):
        raise DeployError(f"{node.name} has no disk for etcd: {choice}")
    return choice


def _mount_unit(choice: Choice) -> File:
    text = render(
        "etcd/var-lib-etcd.mount.j2",
        model=choice.namespace.model,
        serial=choice.namespace.serial,
        filesystem=choice.filesystem,
        # As systemd-escape writes the path of a device.
        escaped=r"dev-disk-by\x2duuid-" + choice.filesystem.replace("-", r"\x2d"),
        data=layout.ETCD_DATA,
        type=model.FILESYSTEM,
    )
    return File(layout.ETCD_MOUNT_UNIT, text)
