"""Where etcd keeps its data on a node."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase

__all__ = ["EtcdDirectory", "EtcdDirectoryFact"]


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
