"""What a run shows its user."""

from __future__ import annotations

import io

from rich.console import Console

from groundwork import report
from groundwork.checks import View
from groundwork.spec import Node, define
from tests import disks


def test_machines_and_disks_fit_a_narrow_terminal() -> None:
    shared = Node(name="cp1", address="10.0.0.11", shared_kernel=True)
    own = Node(name="v1", address="10.0.0.12")
    spec = define(name="t", control_plane=[shared], workers=[own], etcd_members=[own])
    common = {"cgroups": ("tmpfs",)}
    views = [
        View(spec, shared, {**common, "kernel": ("6.18.44",), "proxy-mode": ("iptables",)}),
        View(spec, own, {**common, **disks.held(spec, "v1"), "kernel": ("6.1.0-56-amd64",), "proxy-mode": ("ipvs",)}),
    ]
    written = io.StringIO()
    console = Console(width=80, file=written)
    for table in (report._machines(views), report._disks(views[1:])):
        console.print(table)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in written.getvalue().splitlines() if "│" in line]
    assert ["cp1", "6.18.44", "v1", "its host's", "iptables"] in rows
    assert ["v1", "6.1.0-56-amd64", "v1", "14 of 14", "ipvs"] in rows
    assert [row for row in rows if row[0] == "v1" and row[2:] == ["1.50 ms", "9,000", "0.200 ms"]]
    described = " ".join(row[1] for row in rows[-2:])
    assert described == "QEMU NVMe Ctrl LABV1, NVMe over pcie, ext4"
