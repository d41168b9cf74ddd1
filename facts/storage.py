"""Where etcd keeps its data on a node, and how fast that is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api import FactBase

from groundwork import fio

__all__ = ["EtcdDirectory", "EtcdDirectoryFact", "Fio", "FioFact"]


@dataclass(frozen=True)
class EtcdDirectory:
    """The user etcd and its data directory."""

    user: bool = False
    mode: str = ""
    """Octal permissions and `user:group`, as `700 etcd:etcd`; empty where there is no directory."""


class EtcdDirectoryFact(FactBase[EtcdDirectory]):
    """Whether the user etcd exists, and who may enter `directory`."""

    @staticmethod
    def default() -> EtcdDirectory:
        return EtcdDirectory()

    def command(self, directory: str) -> str:
        return f"getent passwd etcd >/dev/null && echo user; stat -c 'mode %a %U:%G' {directory} 2>/dev/null; true"

    def process(self, output: list[str]) -> EtcdDirectory:
        modes = [line.removeprefix("mode ") for line in output if line.startswith("mode ")]
        return EtcdDirectory(user="user" in output, mode=modes[0] if modes else "")


@dataclass(frozen=True)
class Fio:
    """What fio wrote just now."""

    date: str = ""
    results: dict[str, Any] = field(default_factory=dict)
    """fio's JSON by job."""


class FioFact(FactBase[Fio]):
    """The results of `fio.script`."""

    @staticmethod
    def default() -> Fio:
        return Fio()

    def command(self) -> str:
        jobs = " ".join(fio.JOBS)
        return f"date -Is; for j in {jobs}; do echo '##'; cat {fio.OUTPUT}/$j.json; done"

    def process(self, output: list[str]) -> Fio:
        date, *texts = "\n".join(output).split("##\n")
        return Fio(date.strip(), {job: json.loads(text) for job, text in zip(fio.JOBS, texts, strict=True)})
