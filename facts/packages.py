"""Which packages of the distribution a node has, and which it keeps at their version."""

from __future__ import annotations

from collections.abc import Iterable

from pyinfra.api import FactBase

__all__ = ["InstalledPackages"]


class InstalledPackages(FactBase[dict[str, bool]]):
    """Of `packages`, those that are installed; true when they are held."""

    @staticmethod
    def default() -> dict[str, bool]:
        return {}

    def command(self, packages: Iterable[str]) -> str:
        return (
            "dpkg-query -W -f '${db:Status-Status} ${db:Status-Want} ${Package}\\n' "
            f"{' '.join(packages)} 2>/dev/null; true"
        )

    def process(self, output: list[str]) -> dict[str, bool]:
        words = [line.split() for line in output]
        return {w[2]: w[1] == "hold" for w in words if len(w) == 3 and w[0] == "installed"}
