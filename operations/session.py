"""What every run needs of pyinfra itself: the one place for what is changed in it, and for what is counted.

- TCP_NODELAY on SSH connections. paramiko does not set it, and Nagle's algorithm against the receiver's delayed
  acknowledgement costs 40 ms for each remote command.
- A run that would touch no host is an error. An inventory file that does not exist or a --limit that matches
  nothing otherwise ends with exit code 0.
- The last line: what the run was about, its proofs, its changes, its time.
"""

from __future__ import annotations

import atexit
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path

import click
from gevent.hub import Hub
from paramiko import Transport
from pyinfra.api import Host, State
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.state import BaseStateCallback
from pyinfra.connectors.ssh import SSHConnector
from rich.console import Console

__all__ = ["Session", "current", "install"]

_KEEPALIVE_S = 15
"""A node that waits for others must not lose its connection; pyinfra never reconnects."""


def _process_age() -> float:
    """Seconds since this process started: loading pyinfra is part of what a user waits for."""
    started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return uptime - started_ticks / os.sysconf("SC_CLK_TCK")


@dataclass
class Session:
    """What is known of the run so far."""

    started: float = field(default_factory=lambda: time.monotonic() - _process_age())
    cluster: str = ""
    nodes: int = 0
    proofs_passed: int = 0
    proofs_failed: int = 0
    changes: int = 0
    failed: bool = False
    executed: bool = False
    thorough: bool = False
    """Also proofs that take half a minute are wanted, whether or not something was changed."""
    unfinished: bool = False
    """An operation began and did not end: it raised, or the run was interrupted."""
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds by phase, in the order in which the phases ran."""

    def summary(self) -> str:
        """The run in one line."""
        seconds = time.monotonic() - self.started
        outcome = "FAILED" if self.failed or self.unfinished or self.proofs_failed else "ok"
        proofs = f"{self.proofs_passed} proofs passed, {self.proofs_failed} failed"
        return (
            f"cluster {self.cluster}: {outcome}, {self.nodes} nodes, {proofs}, {self.changes} changes, {seconds:.1f} s"
        )


current = Session()


def install() -> None:
    """Puts all of it in place; config.py calls it before the inventory is read."""
    import pyinfra_cli.cli

    SSHConnector._connect = _without_delay(SSHConnector._connect)  # type: ignore[method-assign]
    pyinfra_cli.cli.connect_all = _only_with_hosts(pyinfra_cli.cli.connect_all)
    # An error that pyinfra shows as a sentence is not shown as a traceback as well.
    Hub.NOT_ERROR = (*Hub.NOT_ERROR, PyinfraError)
    atexit.register(_report)


def _without_delay(connect: Callable[..., None]) -> Callable[..., None]:
    @wraps(connect)
    def connected(self: SSHConnector) -> None:
        connect(self)
        transport = self.client.get_transport() if self.client else None
        if isinstance(transport, Transport):
            transport.set_keepalive(_KEEPALIVE_S)
            if isinstance(transport.sock, socket.socket):  # through a proxy it is a channel
                transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    return connected


def _only_with_hosts(connect_all: Callable[[State], None]) -> Callable[[State], None]:
    @wraps(connect_all)
    def connected(state: State) -> None:
        if not any(state.is_host_in_limit(host) for host in state.inventory):
            known = ", ".join(sorted(host.name for host in state.inventory)) or "none"
            raise click.ClickException(
                "no host to work on: the inventory file does not exist or names no hosts, or --limit matches "
                f"none of them (hosts of the inventory: {known})"
            )
        for host in state.inventory:
            if (cluster := host.data.get("cluster")) is not None:
                current.cluster, current.nodes = cluster.name, len(cluster.nodes)
        state.add_callback_handler(_Recorder())  # type: ignore[no-untyped-call]
        connect_all(state)

    return connected


class _Recorder(BaseStateCallback):
    """Counts changes and time, by phase."""

    _operation_started = 0.0

    @staticmethod
    def operation_start(state: State, op_hash: str) -> None:
        current.executed = current.unfinished = True
        _Recorder._operation_started = time.monotonic()

    @staticmethod
    def operation_end(state: State, op_hash: str) -> None:
        current.unfinished = False
        phase = min(state.get_op_meta(op_hash).names).split(" | ")[0]
        spent = time.monotonic() - _Recorder._operation_started
        current.phases[phase] = current.phases.get(phase, 0.0) + spent
        for host in state.inventory.get_active_hosts():
            if op_hash in state.ops[host]:
                meta = state.get_op_data_for_host(host, op_hash).operation_meta
                current.changes += meta.is_complete() and meta.did_change()

    @staticmethod
    def operation_host_error(
        state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        current.failed = True


def _report() -> None:
    if not current.executed:
        return
    console = Console(highlight=False)
    times = "  ".join(f"{phase} {seconds:.1f}" for phase, seconds in current.phases.items())
    console.print(f"seconds by phase: {times}")
    console.print(current.summary(), soft_wrap=True)
