"""What a node's kernel and its user space around it are set to: modules, sysctls, swap, iptables."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field

from pyinfra.api import FactBase

__all__ = ["LEGACY_TOOLS", "Kernel", "KernelFact"]

LEGACY_TOOLS = ("iptables", "ip6tables", "arptables", "ebtables")


@dataclass(frozen=True)
class Kernel:
    """A node's kernel as it is set now."""

    absent_modules: tuple[str, ...] = ()
    """Of those asked about: neither loaded nor built in."""
    sysctls: dict[str, str] = field(default_factory=dict)
    """Effective values; a parameter that does not exist is absent."""
    swaps: tuple[str, ...] = ()
    """Devices and files that are swapped to now."""
    fstab_swaps: int = 0
    """Lines of /etc/fstab that would swap again after a reboot."""
    overrides: tuple[str, ...] = ()
    """Lines of files that win over ours at the next boot."""
    alternatives: dict[str, str] = field(default_factory=dict)
    """Tool -> what it leads to, for iptables and its kin."""


class KernelFact(FactBase[Kernel]):
    """The state of `modules`, `sysctls`, swap and the iptables alternatives; `overrides` is the command that looks
    for files that win over ours."""

    @staticmethod
    def default() -> Kernel:
        return Kernel()

    def command(self, modules: Iterable[str], sysctls: Iterable[str], overrides: str) -> str:
        names = " ".join(shlex.quote(m) for m in modules)
        keys = " ".join(shlex.quote(s) for s in sysctls)
        return (
            f"for m in {names}; do [ -d /sys/module/$m ] || "
            'grep -qs "/$m.ko" /lib/modules/$(uname -r)/modules.builtin || echo "absent $m"; done; '
            f"sysctl -e {keys} 2>/dev/null | sed 's/^/sysctl /; s/ = / /'; "
            f"{{ {overrides}; }} | sed 's/^/override /'; "
            "tail -n +2 /proc/swaps | sed 's/^/swap /'; "
            "grep -E '^[^#]+[[:space:]]swap[[:space:]]' /etc/fstab 2>/dev/null | sed 's/^/fstab /'; "
            f'for t in {" ".join(LEGACY_TOOLS)}; do echo "alternative $t $(readlink -f /usr/sbin/$t)"; done; true'
        )

    def process(self, output: list[str]) -> Kernel:
        return _parse(output)


def _parse(lines: Iterable[str]) -> Kernel:
    lines = list(lines)
    words = [line.split(None, 2) for line in lines]
    return Kernel(
        absent_modules=tuple(w[1] for w in words if w[0] == "absent"),
        # The kernel separates several numbers by tabs; a file says spaces.
        sysctls={w[1]: re.sub(r"\s+", " ", w[2]) if len(w) > 2 else "" for w in words if w[0] == "sysctl"},
        overrides=tuple(line.removeprefix("override ") for line in lines if line.startswith("override ")),
        swaps=tuple(w[1] for w in words if w[0] == "swap"),
        fstab_swaps=sum(w[0] == "fstab" for w in words),
        alternatives={w[1]: w[2] for w in words if w[0] == "alternative" and len(w) > 2},
    )
