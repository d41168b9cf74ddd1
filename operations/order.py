"""Order between nodes."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api import StringCommand, operation

__all__ = ["every_node_arrived"]


@operation()
def every_node_arrived() -> Generator[StringCommand, None, None]:
    """Nothing is done; what follows on any node waits for what comes before on every node.

    pyinfra runs operations breadth first: a node with fewer operations in one phase begins the next while others
    are still busy with this one. A worker without etcd would join before there is a control plane.
    """
    yield from ()
