"""What systemd says of a unit, and whether it started before the files that it reads were last written."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from pyinfra.api import FactBase

__all__ = ["UnitFact", "UnitState"]

_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "NeedDaemonReload",
    "ActiveEnterTimestampMonotonic",
)


@dataclass(frozen=True)
class UnitState:
    """A unit as it is."""

    loaded: bool = False
    active: bool = False
    enabled: bool = False
    needs_reload: bool = False
    stale: bool = False
    """True when a file that the unit reads was written after the unit became active."""


class UnitFact(FactBase[UnitState]):
    """The state of `unit`, which reads `files` when it starts."""

    @staticmethod
    def default() -> UnitState:
        return UnitState()

    def command(self, unit: str, files: Iterable[str]) -> str:
        listed = " ".join(shlex.quote(f) for f in files)
        return (
            f"systemctl show {unit} {' '.join(f'-p {p}' for p in _PROPERTIES)}; "
            'echo "Now=$(date +%s.%N)"; echo "Uptime=$(cut -d" " -f1 /proc/uptime)"; '
            f'for f in {listed}; do echo "Written=$(stat -L -c %.Y "$f" 2>/dev/null || echo 0)"; done'
        )

    def process(self, output: list[str]) -> UnitState:
        return _parse(output)


def _parse(lines: Iterable[str]) -> UnitState:
    pairs = [line.split("=", 1) for line in lines if "=" in line]
    value = dict(pairs)
    # Both clocks count from the same boot: what became active A s after it did so (Uptime - A) s ago.
    active_since = (
        float(value.get("Now", 0))
        - float(value.get("Uptime", 0))
        + int(value.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    )
    return UnitState(
        loaded=value.get("LoadState") == "loaded",
        active=value.get("ActiveState") == "active",
        enabled=value.get("UnitFileState") == "enabled",
        needs_reload=value.get("NeedDaemonReload") == "yes",
        stale=any(float(written) > active_since for key, written in pairs if key == "Written"),
    )
