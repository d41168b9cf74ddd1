"""In the namespaces of the inventory nothing is allowed but DNS and the declared flows."""

from __future__ import annotations

from deploys import phase
from groundwork import policies as model
from groundwork.spec import ClusterSpec, Node
from operations import objects


@phase("Policies")
def policies(cluster: ClusterSpec, node: Node) -> None:
    if node != cluster.first_control_plane:
        return
    objects.patched(name="Namespaces can be selected by name", patches=model.patches(cluster))
    objects.applied(name="Policies are those of the inventory", part="policies", objects=model.objects(cluster))
