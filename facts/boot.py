"""How a node booted, and how it will boot the next time."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase

from groundwork.boot import ARGUMENTS, HAS_GRUB, V2

__all__ = ["Boot", "BootFact"]


@dataclass(frozen=True)
class Boot:
    """A node's boot."""

    id: str = ""
    """Another one after every boot."""
    cgroups: str = ""
    """The type of the file system at /sys/fs/cgroup."""
    asked: bool = False
    """The running kernel's command line asks for cgroup v1."""
    asks: bool = False
    """GRUB's configuration does, so the next boot's will."""
    grub: bool = False
    """update-grub makes the boot loader's configuration."""

    @property
    def v1(self) -> bool:
        """Whether this boot has cgroup v1."""
        return self.cgroups != V2


class BootFact(FactBase[Boot]):
    """How the node booted."""

    @staticmethod
    def default() -> Boot:
        return Boot()

    def command(self) -> str:
        return (
            "echo id $(cat /proc/sys/kernel/random/boot_id); echo cgroups $(stat -fc %T /sys/fs/cgroup); "
            f"grep -qw -e {ARGUMENTS[0]} /proc/cmdline && echo asked; "
            f"grep -qsw -e {ARGUMENTS[0]} /boot/grub/grub.cfg && echo asks; {HAS_GRUB}; true"
        )

    def process(self, output: list[str]) -> Boot:
        said = dict(line.split(" ", 1) for line in output if " " in line)
        return Boot(
            id=said.get("id", ""),
            cgroups=said.get("cgroups", ""),
            asked="asked" in output,
            asks="asks" in output,
            grub="grub" in output,
        )
