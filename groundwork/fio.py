"""How fast etcd's disk must be, and what fio said of it.

etcd answers a write when it is on the disk: what counts is how long an fdatasync takes after a small write, and the
slowest hundredth of them, since one slow write among a hundred holds up every client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from groundwork import layout

__all__ = [
    "JOBS",
    "KEPT",
    "OUTPUT",
    "PROMISED_READ_IOPS",
    "PROMISED_WRITE_MS",
    "VERSION",
    "Measured",
    "script",
    "too_old",
]

PROMISED_READ_IOPS = 80_000
PROMISED_WRITE_MS = 0.05
"""What a data sheet says of such a disk: reads of 4 KiB a second, and the latency of a write. Reported beside what
was measured; only the p99 of fdatasync refuses a disk."""

VERSION = "fio --version || apt-cache policy fio | sed -n 's/ *Candidate: /fio-/p'"
"""A command that prints which fio is installed, or would be."""
_OLDEST = (3, 5)
"""The first that says how long an fdatasync takes."""

KEPT = f"cat {layout.ETCD_DISK_REPORT}"
"""A command that prints what an earlier run wrote down."""

_DIRECTORY = layout.ETCD_DATA / ".fio"
OUTPUT = layout.RUN / "fio"
JOBS = ("wal", "read", "write")
"""The jobs whose results count."""

_WAL = "--rw=write --ioengine=sync --fdatasync=1 --bs=2300 --size=22m"
"""The pattern of etcd's write-ahead log (IBM, "Using Fio to Tell Whether Your Storage is Fast Enough for Etcd")."""
_WAL_S, _WARM_UP_S = 60, 10
"""Seconds after which it ends, on a disk so slow that the 22 MiB are not written by then."""
_TIMED = "--direct=1 --bs=4k --size=256m --ioengine=libaio --time_based"


def script() -> str:
    """A shell command that measures the file system at etcd's directory and leaves no file on it; fio's results are
    in `OUTPUT`. It takes about half a minute, on a slow disk some minutes."""
    jobs = {
        # The first one warms up what caches there are, and is not looked at.
        "warm-up": f"{_WAL} --runtime={_WARM_UP_S}",
        "wal": f"{_WAL} --runtime={_WAL_S}",
        "read": f"--rw=randread --iodepth=64 --runtime=8 {_TIMED}",
        "write": f"--rw=randwrite --iodepth=1 --runtime=4 {_TIMED}",
    }
    runs = " && ".join(
        f"fio --name={name} --directory={_DIRECTORY} {how} --output-format=json --output={OUTPUT}/{name}.json"
        for name, how in jobs.items()
    )
    clean = f"rm -rf {_DIRECTORY}"
    return (
        f"umask 077; {clean} {OUTPUT}; mkdir -p {_DIRECTORY} {OUTPUT}; trap '{clean}' EXIT; "
        f"{{ {runs}; }} >&2 || {{ echo 'fio cannot measure {layout.ETCD_DATA}' >&2; exit 1; }}"
    )


def too_old(said: str) -> bool:
    """Whether the fio of `VERSION`'s answer cannot measure what counts. One that is not known yet is not too old."""
    found = re.match(r"fio-(\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) < _OLDEST


@dataclass(frozen=True)
class Measured:
    """What a disk did."""

    serial: str
    date: str
    """ISO 8601, the node's time."""
    fsync_p99_ms: float
    """99 of 100 fdatasyncs took less, in ms."""
    read_iops: float
    """Random reads of 4 KiB a second, 64 at a time."""
    write_ms: float
    """Mean latency of a random write of 4 KiB, one at a time, in ms."""

    @classmethod
    def of(cls, results: Mapping[str, Any], *, serial: str, date: str) -> Self:
        """From fio's JSON of the jobs `wal`, `read` and `write`; ValueError where it is not what was asked for."""
        wal, read, write = (results[name]["jobs"][0] for name in JOBS)
        try:
            # Not of the writes, which end in memory: of the fdatasync after each.
            fsync = wal["sync"]["lat_ns"]["percentile"]["99.000000"]
        except KeyError:
            version = results["wal"].get("fio version", "this fio")
            oldest = ".".join(map(str, _OLDEST))
            raise ValueError(f"{version} does not say how long an fdatasync takes; {oldest} and later do") from None
        return cls(serial, date, fsync / 1e6, read["read"]["iops"], write["write"]["clat_ns"]["mean"] / 1e6)

    @classmethod
    def kept(cls, text: str) -> Self | None:
        """What an earlier run wrote down; None where that is nothing, or no longer understood."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def __str__(self) -> str:
        return (
            f"p99 of fdatasync {self.fsync_p99_ms:.2f} ms, {self.read_iops:,.0f} random reads/s, "
            f"{self.write_ms:.3f} ms a write"
        )
