"""A place for etcd's data that only etcd may enter."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import StringCommand, operation

from facts.storage import EtcdDirectoryFact
from groundwork.layout import ETCD_DATA

__all__ = ["etcd_directory"]


@operation()
def etcd_directory() -> Generator[StringCommand, None, None]:
    """The system user etcd exists, and owns its data directory alone (0700)."""
    found = host.get_fact(EtcdDirectoryFact, directory=str(ETCD_DATA))
    if not found.user:
        yield StringCommand(
            f"useradd --system --user-group --home-dir {ETCD_DATA} --no-create-home --shell /usr/sbin/nologin etcd"
        )
    if found.mode != "700 etcd:etcd":
        yield StringCommand(f"install -d -m 700 -o etcd -g etcd {ETCD_DATA}")
