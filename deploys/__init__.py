"""In what order: one file per phase; cluster.py is the table of contents."""

from __future__ import annotations

from pyinfra import inventory
from pyinfra.api import Host

from groundwork.spec import ClusterSpec, Node

__all__ = ["cluster_of", "host_of", "node_of"]

_FAKE = "@fake/"
"""pyinfra puts it before the names of hosts on its connector for tests."""


def cluster_of(host: Host) -> ClusterSpec:
    """The cluster that the inventory gave to `host`."""
    cluster: ClusterSpec = host.data.cluster
    return cluster


def node_of(host: Host) -> Node:
    """The machine of the cluster that `host` is."""
    return cluster_of(host).node(host.name.removeprefix(_FAKE))


def host_of(node: Node) -> Host:
    """pyinfra's host for a machine of the cluster, within the run's --limit or not."""
    for host in inventory:
        if host.name.removeprefix(_FAKE) == node.name:
            return host
    raise KeyError(node.name)
