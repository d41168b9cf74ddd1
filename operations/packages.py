"""Packages of the distribution, installed when missing and never upgraded in passing."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from pyinfra import host
from pyinfra.api import StringCommand, operation

from facts.packages import InstalledPackages

__all__ = ["installed"]

_APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=180"


@operation()
def installed(*, packages: Sequence[str], hold: bool = False) -> Generator[StringCommand, None, None]:
    """Each of `packages` is installed, in whatever version the node's sources have; with `hold` it stays that one."""
    found = host.get_fact(InstalledPackages, packages=list(packages))
    if missing := [p for p in packages if p not in found]:
        yield StringCommand(f"{_APT} update")
        yield StringCommand(f"{_APT} install -y --no-install-recommends {' '.join(missing)}")
    if hold and (loose := [p for p in packages if not found.get(p)]):
        yield StringCommand(f"apt-mark hold {' '.join(loose)} >/dev/null")
