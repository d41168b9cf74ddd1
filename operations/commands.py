"""Commands that outlive a run, and commands that an operation needs from another node."""

from __future__ import annotations

import shlex
from typing import Any

from pyinfra import host
from pyinfra.api import Host, OperationError, StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS

from groundwork import layout

__all__ = ["locked", "run_on"]


def locked(command: str, *, stdin: str = "") -> StringCommand:
    """`command` under the node's lock. When a run is killed, what it started on a node goes on for a while;
    the next run's probe waits for this lock before it looks at the node."""
    return StringCommand(
        f"mkdir -p -m 700 {layout.RUN} && flock -w 900 {layout.LOCK} sh -c {shlex.quote(command)}",
        _stdin=stdin,
    )


def run_on(other: Host, command: str, *, stdin: str | None = None) -> str:
    """Standard output of `command` on `other`, with the privileges of the current operation.

    Never printed: it may carry keys or tokens. OperationError with its standard error when it fails.
    """
    if not other.connected:
        other.connect(raise_exceptions=True)
    given: Any = host.current_op_global_arguments or {}
    arguments = {key: value for key, value in given.items() if key in CONNECTOR_ARGUMENT_KEYS}
    if stdin is not None:
        arguments["_stdin"] = stdin
    succeeded, output = other.run_shell_command(StringCommand(command), **arguments)
    if not succeeded:
        raise OperationError(f"{other.name}: {output.stderr.strip() or 'a command failed without a word'}")
    return str(output.stdout)
