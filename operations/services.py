"""systemd units that run with the files they have now, however the run that wrote those files ended.

pyinfra restarts a service when an operation of the same run changed its file; a run that is killed in between
forgets the restart. Here the question is put to the node: is the unit older than what it reads?
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import PurePosixPath

from pyinfra import host
from pyinfra.api import StringCommand, operation

from facts.services import UnitFact

__all__ = ["enabled", "running"]


@operation()
def running(*, unit: str, reads: Iterable[PurePosixPath]) -> Generator[StringCommand, None, None]:
    """`unit` is enabled and active, and was started after each of the files in `reads` was last written."""
    state = host.get_fact(UnitFact, unit=unit, files=[str(f) for f in reads])
    if state.needs_reload or not state.loaded:
        yield StringCommand("systemctl daemon-reload")
    if not state.enabled:
        yield StringCommand("systemctl enable --quiet", unit)
    if not state.active or state.stale:
        yield StringCommand(
            f"systemctl reset-failed {unit} 2>/dev/null; systemctl restart {unit} || "
            f"{{ journalctl -u {unit} -n 20 --no-pager >&2; exit 1; }}"
        )


@operation()
def enabled(*, unit: str) -> Generator[StringCommand, None, None]:
    """`unit` starts at boot; it is not started now."""
    state = host.get_fact(UnitFact, unit=unit, files=[])
    if state.needs_reload or not state.loaded:
        yield StringCommand("systemctl daemon-reload")
    if not state.enabled:
        yield StringCommand("systemctl enable --quiet", unit)
