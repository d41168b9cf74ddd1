"""Everything that a cluster is made of, downloaded or built, in one bundle directory with a manifest."""

from __future__ import annotations

from pathlib import Path

from lab.spec import cache_directory

__all__ = ["build", "bundle_directory"]


def bundle_directory() -> Path:
    """Where the bundle is."""
    return cache_directory() / "bundle"


def build() -> Path:
    """Makes the bundle complete; its directory."""
    return bundle_directory()
