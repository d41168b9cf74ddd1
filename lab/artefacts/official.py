"""Official files, where this machine reaches their hosts and their sums are pinned."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from groundwork.artefacts import official
from lab.artefacts.store import Progress, Step, obtain, sha256_of

__all__ = ["downloaded"]

_REACH_S = 3
_DOWNLOAD_S = 60


def downloaded(name: str, version: str, progress: Progress) -> Path | None:
    """The directory that holds the official file under its own name; None when it cannot be had."""
    pinned = official(name, version)
    if pinned is None or not _reached(urlsplit(pinned[0]).netloc, urlsplit(pinned[0]).scheme):
        return None
    url, sha256 = pinned

    def make(directory: Path, inputs: Mapping[str, Path]) -> None:
        # An archive is known by its official file name, a program by its name and version.
        own = url.rsplit("/", 1)[1]
        path = directory / (own if "." in own else f"{name}-{version}")
        with urllib.request.urlopen(url, timeout=_DOWNLOAD_S) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file)
        if (found := sha256_of(path)) != sha256:
            raise _WrongSumError(f"{url} has the sha256 {found}, pinned is {sha256}")

    try:
        return obtain(Step(f"official-{name}", f"{url} {sha256}", make), progress)
    except (OSError, _WrongSumError) as error:
        progress(f"{name}: the official file is not used, it is built instead: {error}")
        return None


class _WrongSumError(Exception):
    """The file at an official URL is not the pinned one."""


@cache
def _reached(netloc: str, scheme: str) -> bool:
    """Whether the host answers at all; asked once, so that a laptop without a network builds at once."""
    try:
        urllib.request.urlopen(urllib.request.Request(f"{scheme}://{netloc}/", method="HEAD"), timeout=_REACH_S).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
