"""Imports go one way: inventories -> groundwork <- facts <- operations <- deploys, and lab/ stands beside."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = {"deploys", "facts", "groundwork", "inventories", "lab", "operations", "tests"}
ALLOWED = {
    "groundwork": {"groundwork"},
    "facts": {"facts", "groundwork"},
    "operations": {"facts", "groundwork", "operations"},
    "deploys": {"deploys", "facts", "groundwork", "operations"},
    "lab": {"groundwork", "lab"},
    "inventories": {"groundwork", "inventories", "lab"},
}


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found & OURS


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_go_one_way(package: str) -> None:
    wrong = {str(p): extra for p in (ROOT / package).rglob("*.py") if (extra := imported(p) - ALLOWED[package])}
    assert wrong == {}


def test_every_file_says_what_it_is_for() -> None:
    files = [p for package in ALLOWED for p in (ROOT / package).rglob("*.py")]
    assert [str(p) for p in files if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))] == []
