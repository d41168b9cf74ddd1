"""How a node boots: which cgroups it gets, and what makes it boot with version 1, the only one that kubelet 1.15 runs
on. Debian 11 and later boot with version 2."""

from __future__ import annotations

from groundwork.checks import View

__all__ = ["ARGUMENTS", "HAS_GRUB", "QUESTION", "V1", "V2", "switch_obstacle"]

V1, V2 = "tmpfs", "cgroup2fs"
"""What `stat -f` calls the file system at /sys/fs/cgroup."""

ARGUMENTS = ("systemd.unified_cgroup_hierarchy=0", "systemd.legacy_systemd_cgroup_controller")
"""For the kernel's command line, where systemd reads them."""

HAS_GRUB = "command -v update-grub >/dev/null && [ -e /etc/default/grub ] && echo grub"
"""Prints `grub` where update-grub makes the boot loader's configuration."""

QUESTION = (
    f"grep -qw -e {ARGUMENTS[0]} /proc/cmdline && echo asked; {HAS_GRUB}; "
    "grep -hE 'CONFIG_(MEMCG|CPUSETS)_V1 is not set' /boot/config-$(uname -r)"
)


def switch_obstacle(view: View) -> str | None:
    """Why a node that runs cgroup v2 cannot be booted with v1 by us, given its answer to `QUESTION` as `boot`."""
    said = view.lines("boot")
    if view.node.shared_kernel:
        return "the kernel is its host's"
    if any("_V1 is not set" in line for line in said):
        return "the kernel was built without the controllers of v1"
    if "asked" in said:
        return f"the kernel's command line has {ARGUMENTS[0]}, and systemd does not follow it"
    if "grub" not in said:
        return "there is no GRUB whose configuration update-grub makes"
    return None
