"""Every claim about the cluster is proven by its effect, or named with node, expectation, evidence and remedy."""

from __future__ import annotations

from deploys import phase
from groundwork.spec import ClusterSpec, Node
from operations import verification as operations


@phase("Probe pods")
def probe_pods(cluster: ClusterSpec, node: Node) -> None:
    """They start here and are asked in the end: what comes between is the time that they need."""
    if node == cluster.first_control_plane:
        operations.probe_pods_started(name="A probe pod starts on every node", spec=cluster)


@phase("Verification")
def verification(cluster: ClusterSpec, node: Node) -> None:
    first = node == cluster.first_control_plane
    operations.node_asked(name="The node answers", spec=cluster, node=node)
    if first:
        operations.cluster_asked(name="The cluster answers", spec=cluster)
        operations.probe_pods_ready(name="The probe pods are ready", spec=cluster)
    if node in cluster.kubernetes_nodes:
        operations.pod_asked(name="The node's probe pod answers", spec=cluster, node=node)
        operations.ingress_asked(name="Ingress nodes answer", spec=cluster, node=node)
    if first:
        operations.limits_asked(name="Limits and time-outs hold", spec=cluster)
    if node in cluster.kubernetes_nodes:
        operations.lookups_asked(name="Lookups are counted", spec=cluster, node=node)
    if first:
        operations.probe_pods_removed(name="No probe pod is left")
        operations.judged(name="Every proof holds", spec=cluster)
