"""etcd has a directory of its own, which nobody else may enter."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from deploys import cluster_of, node_of
from operations import storage as operations


@deploy("Storage")
def storage() -> None:
    cluster, node = cluster_of(host), node_of(host)
    if node in cluster.etcd_members:
        operations.etcd_directory(name="etcd's directory is its own")
