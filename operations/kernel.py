"""The kernel as Kubernetes needs it: now, and after the next boot."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from pyinfra import host, state
from pyinfra.api import OperationError, StringCommand, operation

from facts.kernel import LEGACY_TOOLS, Kernel, KernelFact
from groundwork.kernel import Sysctl
from groundwork.layout import SYSCTL_FILE

__all__ = ["prepared"]


@operation()
def prepared(
    *, modules: Sequence[str], sysctls: Sequence[Sysctl], overrides: str
) -> Generator[StringCommand, None, None]:
    """Modules are loaded, sysctls have their values, nothing swaps, and iptables is the legacy one."""
    found = _found(modules, sysctls, overrides)
    if found.absent_modules:
        yield StringCommand(f"systemctl restart systemd-modules-load.service && modprobe -a {' '.join(modules)}")
    if _deviating(found, sysctls) or found.absent_modules:
        yield StringCommand(f"sysctl --quiet --load {SYSCTL_FILE}")
    yield from _swap_off(found)
    for tool in LEGACY_TOOLS:
        if "legacy" not in found.alternatives.get(tool, ""):
            yield StringCommand(f"update-alternatives --quiet --set {tool} /usr/sbin/{tool}-legacy")
    if state.is_executing:
        _confirm(_found(modules, sysctls, overrides), sysctls)


def _confirm(found: Kernel, sysctls: Sequence[Sysctl]) -> None:
    if found.swaps:
        raise OperationError(f"the node still swaps to {', '.join(found.swaps)}: something turns it on again")
    if wrong := _deviating(found, sysctls):
        raise OperationError(
            f"sysctls do not take the values of {SYSCTL_FILE}: {'; '.join(wrong)}. A service may set them again"
        )
    if found.overrides:
        raise OperationError(
            f"at the next boot, other files win over {SYSCTL_FILE}: {'; '.join(found.overrides)}. Take these lines out"
        )


def _found(modules: Sequence[str], sysctls: Sequence[Sysctl], overrides: str) -> Kernel:
    kernel: Kernel = host.get_fact(
        KernelFact, modules=list(modules), sysctls=[s.key for s in sysctls], overrides=overrides
    )
    return kernel


def _deviating(found: Kernel, sysctls: Sequence[Sysctl]) -> list[str]:
    return [
        f"{s.key} is {found.sysctls.get(s.key, 'missing')}, wanted is {s.value}"
        for s in sysctls
        if found.sysctls.get(s.key) != s.value
    ]


def _swap_off(found: Kernel) -> Generator[StringCommand, None, None]:
    if found.swaps:
        # Units that fstab or zram-generator made have no file and can only be masked; those with a file cannot be, and
        # are disabled. zram-tools swaps by a service of its own.
        yield StringCommand(
            "units=$(systemctl list-units --plain --no-legend --type=swap | cut -d' ' -f1); swapoff -a && "
            "for unit in $units swap.target zramswap.service; do "
            "systemctl disable --quiet $unit; systemctl mask --quiet $unit; done 2>/dev/null; true"
        )
    if found.fstab_swaps:
        yield StringCommand(
            r"sed -i -E 's/^([^#]+[[:space:]]swap[[:space:]].*)$/# no swap (kube-groundwork): \1/' /etc/fstab"
        )
