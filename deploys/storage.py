"""etcd has a directory of its own, which nobody else may enter."""

from __future__ import annotations

from deploys import phase
from groundwork.spec import ClusterSpec, Node
from operations import storage as operations


@phase("Storage")
def storage(cluster: ClusterSpec, node: Node) -> None:
    if node in cluster.etcd_members:
        operations.etcd_directory(name="etcd's directory is its own")
