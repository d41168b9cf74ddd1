"""Processes that outlive the command that started them, and are stopped by pid, never by name."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Process", "children"]


@dataclass(frozen=True)
class Process:
    """A process remembered in a file by pid and start time: a pid alone is used again by others."""

    record: Path

    @property
    def pid(self) -> int | None:
        """The process; None when it does not run."""
        try:
            kept = json.loads(self.record.read_text())
        except (OSError, ValueError):
            return None
        pid: int = kept["pid"]
        return pid if started_at(pid) == kept["started"] else None

    def remember(self, pid: int) -> None:
        """Writes down that `pid` is this process from now on."""
        self.record.write_text(json.dumps({"pid": pid, "started": started_at(pid)}))

    def ended_within(self, seconds: float) -> bool:
        """Whether the process is gone, after waiting for up to `seconds`."""
        deadline = time.monotonic() + seconds
        while self.pid is not None and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.pid is None

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if (pid := self.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def started_at(pid: int) -> int | None:
    """Clock ticks since boot at which a process started; None when it is gone or only a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(stat.parent.name))
    return found
