"""A lab as a whole: up, down, and what is there."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab import certificates, disk, host, root, virtual
from lab.container import Container
from lab.process import Process
from lab.spec import Lab, LabError, Machine, bundle_directory, why_no_containers
from lab.virtual import Virtual

__all__ = ["Box", "State", "box", "down", "mirror_up", "ssh_command", "status", "up"]

Box = Container | Virtual

_PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "iptables": "iptables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}


@dataclass(frozen=True)
class State:
    """A machine as it is now."""

    name: str
    kind: str
    accelerator: str | None
    """Of a virtual machine: `kvm` or `tcg`, None where it was not tried yet."""
    address: str
    roles: tuple[str, ...]
    running: bool
    ssh: bool


def box(lab: Lab, machine: Machine) -> Box:
    """The machine as this host makes it; LabError where it cannot."""
    if lab.kind_of(machine) == "vm":
        if obstacle := virtual.why_not():
            no_container = why_no_containers() if machine.kind == "auto" else None
            why = f"{obstacle}; nor a container: {no_container}" if no_container else obstacle
            raise LabError(f"{machine.name} cannot be a virtual machine: {why}")
        return Virtual(lab, machine)
    if obstacle := why_no_containers():
        raise LabError(f"{machine.name} cannot be a container: {obstacle}")
    return Container(lab, machine)


def up(lab: Lab, names: Sequence[str], progress: Callable[[str], None]) -> None:
    """The named machines (all, when none is named) run and answer to ssh; the mirror serves the bundle."""
    chosen = [box(lab, lab.machine(n)) for n in names] or [box(lab, m) for m in lab.machines]
    progress("host packages")
    host.require(_PROGRAMS | (virtual.PROGRAMS if any(isinstance(b, Virtual) for b in chosen) else {}))
    build_images(lab, progress)
    progress("network, keys and mirror")
    host.link_up(lab)
    _keys(lab)
    certificates.make(lab.certificates)
    mirror_up(lab)
    for one in chosen:
        progress(f"{one.machine.name} starts")
        one.start()
    for one in chosen:
        progress(f"{one.machine.name} boots")
        _await_ssh(one)


def build_images(lab: Lab, progress: Callable[[str], None]) -> None:
    """What the lab's machines start from is in the cache."""
    kinds = {lab.kind_of(m) for m in lab.machines}
    if "container" in kinds:
        progress("root image of containers")
        root.build()
    if "vm" in kinds:
        progress("disk image of virtual machines")
        disk.build()


def down(lab: Lab) -> None:
    """Nothing that this lab made is left on the host; what is built stays in the cache."""
    for directory in sorted((lab.state / "machines").glob("*")):
        # Whatever it is now in the lab's file, or whether it is there at all.
        machine = Machine(name=directory.name, address=lab.gateway)
        kind = Virtual if (directory / "seed.tar").exists() else Container
        kind(lab, machine).remove()
    _mirror(lab).kill()
    host.link_down(lab)
    shutil.rmtree(lab.state, ignore_errors=True)


def status(lab: Lab) -> list[State]:
    """Every machine of the lab's file as it is now."""
    return [
        State(
            name=m.name,
            kind=lab.kind_of(m),
            accelerator=virtual.known_accelerator() if lab.kind_of(m) == "vm" else None,
            address=str(m.address),
            roles=m.roles,
            running=Process(lab.state / "machines" / m.name / "process.json").pid is not None,
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


def _await_ssh(one: Box) -> None:
    deadline = time.monotonic() + one.boot_s
    while not _answers(str(one.machine.address)):
        if one.process.pid is None or time.monotonic() > deadline:
            raise LabError(
                f"{one.machine.name} did not come up within {one.boot_s} s; see {one.console}, or try: "
                f"python -m lab logs {one.machine.name}"
            )
        time.sleep(0.2)


def _answers(address: str) -> bool:
    """Whether sshd greets; an open port alone may be a machine that is still booting."""
    try:
        with socket.create_connection((address, 22), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
