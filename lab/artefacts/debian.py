"""A layer of an image from Debian packages: their files alone, without what an installed system needs around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import host
from lab.artefacts.store import Step
from lab.root import SUITE, debian_sources

__all__ = ["debian_layer"]

_HOOKS = (
    'rm -rf "$1/var/lib/apt" "$1/usr/share/doc" "$1/usr/share/man" "$1/usr/share/locale"',
    # The maintainer script that gathers the certificates does not run in an extracted system.
    'mkdir -p "$1/etc/ssl/certs" && cat "$1"/usr/share/ca-certificates/mozilla/*.crt '
    '> "$1/etc/ssl/certs/ca-certificates.crt"',
)


def debian_layer(name: str, packages: Sequence[str], hooks: Sequence[str]) -> Step:
    """`layer.tar` with the files of `packages`; `hooks` are lines of shell, with the root's path in $1."""

    def make(directory: Path, inputs: Mapping[str, Path]) -> None:
        host.require({"mmdebstrap": "mmdebstrap"})
        host.run(
            "mmdebstrap",
            "--mode=root",
            "--variant=extract",
            f"--include={','.join(packages)}",
            *(f"--extract-hook={hook}" for hook in (*_HOOKS, *hooks)),
            SUITE,
            directory / "layer.tar",
            "-",
            stdin=debian_sources(),
        )

    return Step(name, "\n".join([*packages, *_HOOKS, *hooks]), make)
