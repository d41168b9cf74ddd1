"""cgroup v1 on a node that boots with v2, by its boot loader's own means and one reboot."""

from __future__ import annotations

import time
from collections.abc import Generator
from weakref import WeakKeyDictionary

import gevent
from paramiko import SSHException
from pyinfra import host, state
from pyinfra.api import OperationError, State, StringCommand, operation
from pyinfra.context import ctx_state

from facts.boot import BootFact
from facts.etcd import MemberHealth
from groundwork import boot
from groundwork.layout import GRUB_FILE
from groundwork.templates import render
from operations.files import File, write

__all__ = ["cgroup_v1"]

_REBOOT_S = 900
"""How long a machine may take to come back; large servers test their memory first."""

_ANSWER_S = 20
_ETCD_S = 120

_STUCK: WeakKeyDictionary[State, str] = WeakKeyDictionary()
"""The first node of this run that was rebooted and is not well. pyinfra goes on with the other nodes of an operation
that it runs one by one, and judges at its end."""


@operation()
def cgroup_v1(*, etcd: str | None) -> Generator[StringCommand, None, None]:
    """The node runs cgroup v1 now and after every boot; it is booted once where it does not.

    `etcd`: where the node's member of a running etcd answers; it is healthy again before the next node's turn.
    """
    found = host.get_fact(BootFact)
    if found.v1 and not (found.asked and found.grub):
        host.noop("the node boots with cgroup v1, by itself or by a boot loader that is not ours to write to")
        return
    if not found.asks:
        yield write(File(GRUB_FILE, render("kernel/grub.cfg.j2", arguments=boot.ARGUMENTS)))
        yield StringCommand("update-grub 2>&1")
    if found.v1:
        return
    if state.is_executing and (stuck := _STUCK.get(_run())):
        raise OperationError(f"{host.name} is not rebooted, since {stuck} is not back as it should be")
    # Detached from the connection, which the reboot cuts.
    yield StringCommand("systemd-run --quiet --on-active=1s --timer-property=AccuracySec=100ms systemctl reboot")
    if state.is_executing:
        try:
            _await_reboot(found.id)
            _confirm()
            if etcd:
                _await_etcd(etcd)
        except OperationError:
            _STUCK.setdefault(_run(), host.name)
            raise


def _run() -> State:
    current: State = ctx_state.get()  # type: ignore[no-untyped-call]
    return current


def _await_reboot(before: str) -> None:
    """Returns when the node answers with another boot id."""
    deadline = time.monotonic() + _REBOOT_S
    host.disconnect()
    while time.monotonic() < deadline:
        gevent.sleep(2)
        if _boot_id() not in ("", before):
            return
        host.disconnect()
    raise OperationError(f"{host.name} did not come back within {_REBOOT_S} s of its reboot: look at its console")


def _boot_id() -> str:
    """The node's boot id; empty while it does not answer. No fact: one that fails would end the run here."""
    host.connect(show_errors=False)
    if not host.connected:
        return ""
    try:
        succeeded, output = host.run_shell_command("cat /proc/sys/kernel/random/boot_id", _timeout=_ANSWER_S)
    except (OSError, EOFError, SSHException, TimeoutError):
        return ""
    return output.stdout.strip() if succeeded else ""


def _confirm() -> None:
    if not host.get_fact(BootFact).v1:
        raise OperationError(
            f"{host.name} was rebooted and still runs cgroup v2, although {GRUB_FILE} asks for v1: see /proc/cmdline "
            "there. Does the machine boot by another boot loader than GRUB?"
        )


def _await_etcd(endpoint: str) -> None:
    answer = host.get_fact(MemberHealth, endpoint=endpoint, timeout=_ETCD_S)
    if answer != "healthy":
        raise OperationError(f"etcd on {host.name} is not healthy {_ETCD_S} s after the reboot: {answer}")
