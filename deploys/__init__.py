"""In what order: one file per phase; cluster.py is the table of contents."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import cast

from pyinfra import host, inventory
from pyinfra.api import Host, deploy

from groundwork.spec import ClusterSpec, Node
from operations.order import every_node_arrived

__all__ = ["cluster_of", "host_of", "node_of", "phase"]

_FAKE = "@fake/"
"""pyinfra puts it before the names of hosts on its connector for tests."""


def phase(title: str) -> Callable[[Callable[[ClusterSpec, Node], None]], Callable[[], None]]:
    """Makes a phase of a function of the cluster and the node it runs for; no node begins the next one early."""

    def decorate(function: Callable[[ClusterSpec, Node], None]) -> Callable[[], None]:
        @wraps(function)
        def run() -> None:
            function(cluster_of(host), node_of(host))
            every_node_arrived(name="Every node has come this far")

        return cast("Callable[[], None]", deploy(title)(run))

    return decorate


def cluster_of(host: Host) -> ClusterSpec:
    """The cluster that the inventory gave to `host`."""
    cluster: ClusterSpec = host.data.cluster
    return cluster


def node_of(host: Host) -> Node:
    """The machine of the cluster that `host` is."""
    return cluster_of(host).node(host.name.removeprefix(_FAKE))


def host_of(node: Node) -> Host:
    """pyinfra's host for a machine of the cluster, within the run's --limit or not."""
    for known in inventory:
        if known.name.removeprefix(_FAKE) == node.name:
            return known
    raise KeyError(node.name)
