"""Files with known content, written atomically and never readable by others for a moment.

pyinfra's own files.put uploads world-readable and through predictable names in /tmp (pyinfra#691, #1085),
and asks three questions a file. Here one question covers all files of a phase, and content travels on
standard input: not on a command line that `ps` shows.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pyinfra import host
from pyinfra.api import StringCommand, operation

from facts.files import FileState, FileStates

__all__ = ["File", "present", "write"]


@dataclass(frozen=True)
class File:
    """A file that should be on a node. `content` ends with a newline."""

    path: PurePosixPath
    content: str
    mode: str = "644"
    owner: str = "root:root"

    def __post_init__(self) -> None:
        if not self.content.endswith("\n"):
            raise ValueError(f"the content of {self.path} must end with a newline")

    @property
    def state(self) -> FileState:
        """What `FileStates` says of this file when it is as wanted."""
        return FileState(hashlib.sha256(self.content.encode()).hexdigest(), self.mode, self.owner)


@operation()
def present(*, files: Sequence[File]) -> Generator[StringCommand, None, None]:
    """Each of `files` exists with its content, mode and owner; directories above them are made (0755)."""
    found = host.get_fact(FileStates, paths=[str(f.path) for f in files])
    differing = [f for f in files if found.get(str(f.path)) != f.state]
    if not differing:
        host.noop(f"{len(files)} file(s) are as wanted")
    for file in differing:
        yield write(file)


def write(file: File) -> StringCommand:
    """The command that puts a file in place in one rename, its content on standard input."""
    path, part = shlex.quote(str(file.path)), shlex.quote(f"{file.path}.part")
    return StringCommand(
        f"mkdir -p {shlex.quote(str(file.path.parent))} && umask 077 && cat > {part} && "
        f"chown {file.owner} {part} && chmod {file.mode} {part} && mv -f {part} {path}",
        _stdin=file.content,
    )
