"""What makes a machine itself: its name, its address and the keys by which it is known and entered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.spec import Lab, Machine

__all__ = ["Written", "identity"]


@dataclass(frozen=True)
class Written:
    """A file of a machine."""

    content: str
    mode: int = 0o644


def identity(lab: Lab, machine: Machine, *, link: str) -> Mapping[str, Written]:
    """The files of `machine`, by path below its root; `link` matches its network interface, as in `Name=host0`."""
    names = "".join(f"{m.address} {m.name}\n" for m in lab.machines)
    network = (
        f"[Match]\n{link}\n\n[Network]\nAddress={machine.address}/{lab.network.prefixlen}\n"
        f"Gateway={lab.gateway}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    )
    return {
        "etc/hostname": Written(f"{machine.name}\n"),
        "etc/hosts": Written(f"127.0.0.1 localhost\n::1 localhost\n{names}"),
        "etc/resolv.conf": Written(Path("/etc/resolv.conf").read_text(encoding="utf-8")),
        # Before systemd's own 80-container-host0.network, which would ask for an address by DHCP.
        "etc/systemd/network/10-lab.network": Written(network),
        "etc/ssh/ssh_host_ed25519_key": Written((lab.state / "ssh" / f"host-{machine.name}").read_text(), 0o600),
        f"etc/ssh/authorized_keys.{lab.ssh_user}": Written(lab.ssh_key.with_suffix(".pub").read_text()),
    }
