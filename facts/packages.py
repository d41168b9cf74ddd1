"""Which packages of the distribution a node has."""

from __future__ import annotations

from collections.abc import Iterable

from pyinfra.api import FactBase

__all__ = ["InstalledPackages"]


class InstalledPackages(FactBase[dict[str, str]]):
    """Version of each of `packages` that is installed."""

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def command(self, packages: Iterable[str]) -> str:
        return (
            "dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\\n' "
            f"{' '.join(packages)} 2>/dev/null; true"
        )

    def process(self, output: list[str]) -> dict[str, str]:
        words = [line.split() for line in output]
        return {w[1]: w[2] for w in words if len(w) == 3 and w[0] == "installed"}
