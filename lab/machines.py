"""A lab as a whole: up, down, and what is there."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab import certificates, host, root
from lab.container import Container
from lab.process import Process
from lab.spec import Lab, LabError, Machine, bundle_directory, why_no_containers

__all__ = ["State", "container", "down", "mirror_up", "ssh_command", "status", "up"]

_PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "iptables": "iptables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}

_BOOT_S = 120


@dataclass(frozen=True)
class State:
    """A machine as it is now."""

    name: str
    kind: str
    address: str
    roles: tuple[str, ...]
    running: bool
    ssh: bool


def container(lab: Lab, machine: Machine) -> Container:
    """The container machine; LabError where this host cannot have it."""
    if lab.kind_of(machine) == "vm":
        reason = why_no_containers() or "its kind is vm"
        raise LabError(
            f"{machine.name} would be a virtual machine ({reason}), and the lab cannot make these yet: use a "
            "host that mounts the cgroup v1 controllers, with kind container"
        )
    if obstacle := why_no_containers():
        raise LabError(f"{machine.name} cannot be a container: {obstacle}")
    return Container(lab, machine)


def up(lab: Lab, names: Sequence[str], progress: Callable[[str], None]) -> None:
    """The named machines (all, when none is named) run and answer to ssh; the mirror serves the bundle."""
    chosen = [container(lab, lab.machine(n)) for n in names] or [container(lab, m) for m in lab.machines]
    progress("host packages")
    host.require(_PROGRAMS)
    progress("root image")
    image = root.build()
    progress("network, keys and mirror")
    host.link_up(lab)
    _keys(lab)
    certificates.make(lab.certificates)
    mirror_up(lab)
    for box in chosen:
        progress(f"{box.machine.name} starts")
        box.start(image)
    for box in chosen:
        progress(f"{box.machine.name} boots")
        _await_ssh(box)


def down(lab: Lab) -> None:
    """Nothing that this lab made is left on the host; what is built stays in the cache."""
    directories = sorted((lab.state / "machines").glob("*"))
    for directory in directories:
        machine = Machine(name=directory.name, address=lab.gateway)
        Container(lab, machine).remove()
    _mirror(lab).kill()
    host.link_down(lab)
    shutil.rmtree(lab.state, ignore_errors=True)


def status(lab: Lab) -> list[State]:
    """Every machine of the lab's file as it is now."""
    return [
        State(
            name=m.name,
            kind=lab.kind_of(m),
            address=str(m.address),
            roles=m.roles,
            running=Container(lab, m).process.pid is not None,
            ssh=_answers(str(m.address)),
        )
        for m in lab.machines
    ]


def mirror_up(lab: Lab) -> None:
    """The bundle is served on the bridge."""
    process = _mirror(lab)
    if process.pid is not None:
        return
    bundle_directory().mkdir(parents=True, exist_ok=True)
    with (lab.state / "mirror.log").open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "lab.mirror", bundle_directory(), str(lab.gateway), str(lab.mirror_port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=host.PROJECT,
        )
    process.remember(started.pid)


def ssh_command(lab: Lab, machine: Machine) -> list[str]:
    """ssh to the machine with the lab's key, trusting only the host key that the lab made."""
    return [
        "ssh",
        "-F",
        "none",
        "-i",
        str(lab.ssh_key),
        "-o",
        f"UserKnownHostsFile={lab.known_hosts}",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "IdentitiesOnly=yes",
        f"{lab.ssh_user}@{machine.address}",
    ]


def _mirror(lab: Lab) -> Process:
    return Process(lab.state / "mirror.json")


def _keys(lab: Lab) -> None:
    lab.ssh_key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pairs = {lab.ssh_key: "lab", **{lab.ssh_key.with_name(f"host-{m.name}"): m.name for m in lab.machines}}
    for path, comment in pairs.items():
        if not path.with_suffix(".pub").exists():
            path.unlink(missing_ok=True)
            host.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path)
    lab.known_hosts.write_text("".join(f"{m.address} {' '.join(_public(lab, m).split()[:2])}\n" for m in lab.machines))


def _public(lab: Lab, machine: Machine) -> str:
    return lab.ssh_key.with_name(f"host-{machine.name}.pub").read_text()


def _await_ssh(box: Container) -> None:
    deadline = time.monotonic() + _BOOT_S
    while not _answers(str(box.machine.address)):
        if box.process.pid is None or time.monotonic() > deadline:
            raise LabError(
                f"{box.machine.name} did not come up within {_BOOT_S} s; see {box.console}, or try: "
                f"python -m lab logs {box.machine.name}"
            )
        time.sleep(0.2)


def _answers(address: str) -> bool:
    """Whether sshd greets; an open port alone may be a machine that is still booting."""
    try:
        with socket.create_connection((address, 22), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
