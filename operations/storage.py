"""etcd's disk: chosen again right before anything is written to it, formatted only when blank, and measured."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import asdict

from pyinfra import host, state
from pyinfra.api import OperationError, StringCommand, operation

from facts.answers import AnswersFact
from facts.storage import EtcdDirectoryFact, FioFact
from groundwork import fio, layout, storage
from groundwork.checks import View
from groundwork.fio import Measured
from groundwork.layout import ETCD_DATA
from groundwork.spec import ClusterSpec, Node
from operations.files import File, write

__all__ = ["disk_fast_enough", "disk_formatted", "etcd_directory"]


@operation()
def disk_formatted(*, spec: ClusterSpec, node: Node) -> Generator[StringCommand, None, None]:
    """etcd's NVMe namespace has etcd's file system. Only a blank one gets it, or the one of etcd.wipe_serial."""
    answers = host.get_fact(AnswersFact, questions=storage.questions(node))
    choice = storage.choose(View(spec, node, answers))
    if isinstance(choice, str):
        raise OperationError(f"{node.name} has no disk for etcd: {choice}. Nothing was written to any disk")
    if choice.made:
        host.noop(f"{choice.namespace} has etcd's file system")
        return
    if choice.wipe:
        host.log(f"{choice.namespace} is erased: etcd.wipe_serial names it")
        yield StringCommand(f"wipefs --quiet --all {choice.namespace.device}")
    # An inode for each MiB: there are few files, and large ones. No -F: what is in use must stay a refusal.
    yield StringCommand(
        f"mkfs.{storage.FILESYSTEM} -q -L {storage.LABEL} -U {choice.filesystem} -m 0 -i 1048576 "
        f"-E lazy_itable_init=0,lazy_journal_init=0 {choice.namespace.device} && udevadm settle --timeout=60"
    )


@operation()
def etcd_directory() -> Generator[StringCommand, None, None]:
    """The system user etcd exists, and owns its data directory alone (0700)."""
    found = host.get_fact(EtcdDirectoryFact, directory=str(ETCD_DATA))
    if not found.user:
        yield StringCommand(
            f"useradd --system --user-group --home-dir {ETCD_DATA} --no-create-home --shell /usr/sbin/nologin etcd"
        )
    if found.mode != "700 etcd:etcd":
        yield StringCommand(f"install -d -m 700 -o etcd -g etcd {ETCD_DATA}")


@operation()
def disk_fast_enough(*, spec: ClusterSpec, serial: str, again: bool) -> Generator[StringCommand, None, None]:
    """etcd's disk was measured and is fast enough. Not repeated for a disk that was, unless `again`."""
    limit = spec.etcd.fsync_p99_limit_ms
    answers = host.get_fact(AnswersFact, questions={"disk-report": fio.KEPT})
    kept = Measured.kept("\n".join(answers.get("disk-report", ())))
    if kept and kept.serial == serial and kept.fsync_p99_ms < limit and not again:
        host.noop(f"measured on {kept.date}: {kept}")
        return
    yield StringCommand(fio.script())
    if not state.is_executing:
        return
    found = host.get_fact(FioFact)
    try:
        measured = Measured.of(found.results, serial=serial, date=found.date)
    except (ValueError, KeyError) as error:
        raise OperationError(f"etcd's disk on {host.name} could not be measured: {error}") from None
    host.log(f"etcd's disk: {measured}")
    yield StringCommand(f"rm -rf {fio.OUTPUT}")
    yield write(File(layout.ETCD_DISK_REPORT, json.dumps(asdict(measured), indent=2) + "\n"))
    if measured.fsync_p99_ms >= limit:
        raise OperationError(
            f"etcd's disk on {host.name} is too slow: {measured}. Wanted is a p99 below {limit:g} ms "
            "(etcd.fsync_p99_limit_ms). Nothing else may use the disk while it is measured; after that, try again, "
            "or give etcd a faster one"
        )
