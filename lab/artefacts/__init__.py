"""Everything that a cluster is made of, in one bundle directory with a manifest.

Official files where they can be downloaded and have a pin; else built, and the manifest says so.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from lab.artefacts.official import downloaded
from lab.artefacts.recipes import Item, items
from lab.artefacts.store import Progress, obtain, sha256_of
from lab.spec import bundle_directory

__all__ = ["build"]


def build(progress: Progress) -> Path:
    """Makes the bundle complete; its directory. What is in the cache and whole is not made again."""
    bundle = bundle_directory()
    bundle.mkdir(parents=True, exist_ok=True)
    entries = [_entry(item, bundle, progress) for item in items()]
    manifest = {"format": 1, "arch": "amd64", "artefacts": entries}
    part = bundle / "manifest.json.part"
    part.write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    part.rename(bundle / "manifest.json")
    known = {entry["file"] for entry in entries} | {"manifest.json"}
    for stale in (p for p in bundle.iterdir() if p.name not in known):
        stale.unlink()
    return bundle


def _entry(item: Item, bundle: Path, progress: Progress) -> dict[str, Any]:
    official = downloaded(item.name, item.version, progress)
    source = (official or obtain(item.step, progress)) / item.file
    placed = bundle / item.file
    if not placed.exists() or not placed.samefile(source):
        placed.unlink(missing_ok=True)
        try:
            os.link(source, placed)
        except OSError:  # another file system
            shutil.copyfile(source, placed)
    return {
        "name": item.name,
        "version": item.version,
        "kind": item.kind,
        "file": item.file,
        "sha256": sha256_of(source),
        "size": source.stat().st_size,
        "source": "release" if official else "built",
        "image": item.image,
        "note": "the official file" if official else item.note,
    }
