"""Every claim about the cluster is proven by its effect, or named with node, expectation, evidence and remedy."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from deploys import cluster_of, node_of
from operations import verification as operations


@deploy("Probe pods")
def probe_pods() -> None:
    """They start here and are asked in the end: what comes between is the time that they need."""
    cluster, node = cluster_of(host), node_of(host)
    if node == cluster.first_control_plane:
        operations.probe_pods_started(name="A probe pod starts on every node", spec=cluster)


@deploy("Verification")
def verification() -> None:
    cluster, node = cluster_of(host), node_of(host)
    first = node == cluster.first_control_plane
    operations.node_asked(name="The node answers", spec=cluster, node=node)
    if first:
        operations.cluster_asked(name="The cluster answers")
        operations.probe_pods_ready(name="The probe pods are ready")
    if node in cluster.kubernetes_nodes:
        operations.pod_asked(name="The node's probe pod answers", spec=cluster, node=node)
    if first:
        operations.probe_pods_removed(name="No probe pod is left")
        operations.judged(name="Every proof holds", spec=cluster)
