"""Pods in the namespaces of dns.ndots_namespaces ask for names with dots as they are, before any search list."""

from __future__ import annotations

from deploys import phase
from groundwork.spec import ClusterSpec, Node
from operations import resolver as operations


@phase("Resolver")
def resolver(cluster: ClusterSpec, node: Node) -> None:
    if node == cluster.first_control_plane and cluster.dns.ndots_namespaces:
        operations.ndots_set(name="Workloads have dns.ndots", spec=cluster)
