"""Which files are on a node, and with what content and permissions: one question for many files."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from pyinfra.api import FactBase

__all__ = ["FileState", "FileStates"]


@dataclass(frozen=True)
class FileState:
    """A regular file as it is: hex SHA-256 of its content, octal mode and `user:group`."""

    sha256: str
    mode: str
    owner: str


class FileStates(FactBase[dict[str, FileState]]):
    """The state of each of `paths` that is a regular file; paths that are not are absent from the answer."""

    @staticmethod
    def default() -> dict[str, FileState]:
        return {}

    def command(self, paths: Iterable[str]) -> str:
        listed = " ".join(shlex.quote(p) for p in paths)
        return (
            f'for f in {listed}; do if [ -f "$f" ]; then '
            'echo "$(sha256sum < "$f" | cut -c-64) $(stat -c "%a %U:%G" "$f") $f"; fi; done'
        )

    def process(self, output: list[str]) -> dict[str, FileState]:
        return _parse(output)


def _parse(lines: Iterable[str]) -> dict[str, FileState]:
    states = {}
    for line in lines:
        sha256, mode, owner, path = line.split(" ", 3)
        states[path] = FileState(sha256=sha256, mode=mode, owner=owner)
    return states
