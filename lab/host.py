"""The host's side of a lab: packages, the bridge and the way out for the machines."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.spec import Lab, LabError

__all__ = ["link_down", "link_up", "require", "run"]

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout, from which `python -m lab...` runs."""

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def run(*command: str | Path, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command of the host quietly; LabError with what it said when it fails."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, input=stdin, check=False)
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"`{' '.join(map(str, command))}` failed with {done.returncode}: {said}")
    return done


def require(programs: Mapping[str, str]) -> None:
    """Each program is installed: `programs` maps its name to the Debian package that brings it."""
    missing = sorted({package for program, package in programs.items() if not shutil.which(program)})
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise LabError(f"this host lacks {', '.join(missing)} and has no apt-get: install them by its own means")
    run("apt-get", "update", "-qq")
    run(
        "apt-get",
        "install",
        "-y",
        "-qq",
        "--no-install-recommends",
        "-o",
        "DPkg::Lock::Timeout=120",
        *missing,
    )


def link_up(lab: Lab) -> None:
    """The bridge is there with the host's address, and the machines reach what the host reaches."""
    lab.state.mkdir(parents=True, exist_ok=True)
    if run("ip", "link", "show", lab.bridge, check=False).returncode:
        run("ip", "link", "add", lab.bridge, "type", "bridge", "forward_delay", "0")
    run("ip", "addr", "replace", f"{lab.gateway}/{lab.network.prefixlen}", "dev", lab.bridge)
    run("ip", "link", "set", lab.bridge, "up")
    before = lab.state / "ip_forward"
    if not before.exists():
        before.write_text(_FORWARDING.read_text())
    _FORWARDING.write_text("1\n")
    for table, rule in _rules(lab):
        if run("iptables", "-w", "-t", table, "-C", *rule, check=False).returncode:
            run("iptables", "-w", "-t", table, "-I", *rule)


def link_down(lab: Lab) -> None:
    """Bridge and rules of this lab are gone, and forwarding is what it was before the first lab."""
    for table, rule in _rules(lab):
        while not run("iptables", "-w", "-t", table, "-D", *rule, check=False).returncode:
            pass
    run("ip", "link", "del", lab.bridge, check=False)
    before = lab.state / "ip_forward"
    others = [d for d in lab.state.parent.glob("*") if d != lab.state]
    if before.exists() and not others:
        _FORWARDING.write_text(before.read_text())


def _rules(lab: Lab) -> Sequence[tuple[str, tuple[str, ...]]]:
    network = str(lab.network)
    mark = ("-m", "comment", "--comment", f"kube-groundwork lab {lab.name}")
    return (
        # Not what the bridge itself carries from machine to machine: where bridge-nf-call-iptables is on, a node's
        # packet to a pod on another node passes here too, and would come from the host.
        ("nat", ("POSTROUTING", "-s", network, "!", "-o", lab.bridge, *mark, "-j", "MASQUERADE")),
        ("filter", ("FORWARD", "-i", lab.bridge, *mark, "-j", "ACCEPT")),
        ("filter", ("FORWARD", "-o", lab.bridge, *mark, "-j", "ACCEPT")),
        # Inserted last, so first: what is sent to the range for documentation gets no answer at all (RFC 5737).
        ("filter", ("FORWARD", "-i", lab.bridge, "-d", "192.0.2.0/24", *mark, "-j", "DROP")),
    )
