"""What pyinfra's own command line does with this project's settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def pyinfra(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("pyinfra")), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


INVENTORY = """
from groundwork.spec import Node, define
_n = Node(name="cp1", address="10.0.0.11")
_c = define({fields})
control_plane = [("@fake/" + h, d | {{"fake_delay": 0, "fake_delay_jitter": 0}}) for h, d in _c.hosts("control_plane")]
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.py"
    path.write_text(INVENTORY.format(fields='name="t", control_plane=[_n], etcd_members=[_n]'))
    return path


@pytest.mark.parametrize("limit", [[], ["--limit", "nosuch"]])
def test_no_host_is_an_error(inventory: Path, limit: list[str]) -> None:
    where = str(inventory) if limit else "inventories/no-such-file.py"
    done = pyinfra(where, "deploys/cluster.py", "-y", *limit)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_an_inventory_with_mistakes_names_them_all(tmp_path: Path) -> None:
    path = tmp_path / "inventory.py"
    path.write_text(INVENTORY.format(fields='name="T_", control_plane=[_n], etcd_members=[_n], network={"mtu": 1}'))
    done = pyinfra(str(path), "deploys/cluster.py", "-y")
    assert done.returncode == 1
    assert "2 mistake(s)" in done.stderr
    assert "Traceback" not in done.stderr


def test_preflight_refuses_with_reasons_and_without_a_traceback(inventory: Path) -> None:
    done = pyinfra(str(inventory), "deploys/cluster.py", "--dry")
    assert done.returncode == 1
    # The official images have no pins: this is known before any node is asked.
    assert "preflight refuses this run, and nothing was changed" in done.stderr
    assert "no pinned sum is known" in done.stderr
    assert "Traceback" not in done.stderr
