"""A cache of build steps by content: what was made is not made again, unless it was damaged since."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lab.spec import cache_directory

__all__ = ["Progress", "Step", "obtain", "sha256_of"]

Progress = Callable[[str], None]

_SUMS = "sums.json"


@dataclass(frozen=True)
class Step:
    """Something to make: `make(directory, inputs)` fills an empty directory from other steps' results."""

    name: str
    recipe: str
    """Everything but the inputs that decides the result, as text: versions, flags, sources."""
    make: Callable[[Path, Mapping[str, Path]], None] = field(compare=False)
    inputs: tuple[Step, ...] = ()

    @property
    def key(self) -> str:
        """Names the result by what it is made of."""
        parts = [self.name, self.recipe, *(step.key for step in self.inputs)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def obtain(step: Step, progress: Progress) -> Path:
    """The directory with the step's result: from the cache when it is whole, else made now, in one rename."""
    directory = cache_directory() / "artefacts" / f"{step.name}-{step.key}"
    if _whole(directory, step, progress):
        return directory
    inputs = {needed.name: obtain(needed, progress) for needed in step.inputs}
    progress(step.name)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{step.name}-") as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        step.make(made, inputs)
        (made / _SUMS).write_text(json.dumps(_sums(made)), encoding="utf-8")
        shutil.rmtree(directory, ignore_errors=True)
        made.rename(directory)
    return directory


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _whole(directory: Path, step: Step, progress: Progress) -> bool:
    try:
        expected = json.loads((directory / _SUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    found = _sums(directory)
    damaged = sorted(name for name in expected if found.get(name) != expected[name])
    for name in damaged:
        progress(f"{step.name}: {name} in the cache is damaged; made again")
    return not damaged


def _sums(directory: Path) -> dict[str, str]:
    files = sorted(p for p in directory.rglob("*") if p.is_file() and not p.is_symlink() and p.name != _SUMS)
    with ThreadPoolExecutor() as threads:  # hashing releases the interpreter's lock
        return dict(zip((str(f.relative_to(directory)) for f in files), threads.map(sha256_of, files), strict=True))
