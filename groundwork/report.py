"""What was found, for people: a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from groundwork import boot, fio, kernel, layout, storage
from groundwork.artefacts import images_of, programs_of, resolve
from groundwork.checks import Finding, View
from groundwork.spec import ClusterSpec

__all__ = ["show"]


def show(
    console: Console,
    spec: ClusterSpec,
    findings: Sequence[Finding],
    views: Sequence[View],
    *,
    not_repeated: Sequence[str] = (),
) -> None:
    """What the machines are; one row for each check; a sentence for each that failed; what could not be proven."""
    console.print(_machines(views))
    if members := [v for v in views if storage.concerned(v.spec, v.node)]:
        console.print(_disks(members))
    table = Table(title=f"cluster {spec.name}: what was verified")
    for column in ("check", "what", "holds on", "fails on"):
        table.add_column(column, overflow="fold")
    for check in dict.fromkeys(f.check for f in findings):
        of_check = [f for f in findings if f.check == check]
        table.add_row(
            check.id,
            f"{check.asks}: {check.expected}",
            " ".join(f.node for f in of_check if f.passed),
            " ".join(f"[bold red]{f.node}[/]" for f in of_check if not f.passed),
        )
    console.print(table)
    for finding in findings:
        if not finding.passed:
            console.print(f"[bold red]{finding.check.id}[/] {escape(finding.sentence())}", soft_wrap=True)
    if shared := [n.name for n in spec.nodes if n.shared_kernel]:
        console.print(
            f"not proven: {', '.join(shared)} share their host's kernel, so its modules, its own sysctls, IPVS "
            "and etcd's disk were not asked about there",
            soft_wrap=True,
        )
    if not_repeated:
        console.print(
            f"not proven again, since nothing was changed: {', '.join(not_repeated)} (deploys/verify.py does)",
            soft_wrap=True,
        )
    if built := _built(spec):
        console.print(f"not the official files, but built from source: {', '.join(built)}", soft_wrap=True)
    first = spec.first_control_plane
    console.print(f"kubeconfig: {layout.ADMIN_KUBECONFIG} on {first.name} ({first.address}), root only")


def _machines(views: Sequence[View]) -> Table:
    table = Table(title="the machines")
    for column in ("node", "kernel", "cgroups", "modules", "kube-proxy"):
        table.add_column(column, overflow="fold")
    for view in views:
        wanted = kernel.modules(view.spec, view.node)
        loaded = f"{len(wanted) - len(view.lines('modules'))} of {len(wanted)}" if wanted else "its host's"
        version = {boot.V1: "v1", boot.V2: "v2"}.get(view.line("cgroups"), view.line("cgroups"))
        table.add_row(view.node.name, view.line("kernel"), version, loaded, view.line("proxy-mode") or "-")
    return table


def _disks(views: Sequence[View]) -> Table:
    """What etcd's members keep their data on, and what was measured of it."""
    limit = views[0].spec.etcd.fsync_p99_limit_ms
    table = Table(
        title="etcd's disks",
        caption=f"below {limit:g} ms is demanded; a good data sheet promises {fio.PROMISED_READ_IOPS:,} reads/s and "
        f"{fio.PROMISED_WRITE_MS} ms a write",
    )
    for column in ("node", "disk", "fsync p99", "reads/s", "write"):
        table.add_column(column, overflow="fold")
    for view in views:
        table.add_row(view.node.name, *_disk(view))
    return table


def _disk(view: View) -> tuple[str, ...]:
    """Model, serial number, transport and file system; then what was measured."""
    found, speed = storage.choose(view), storage.measured(view)
    if isinstance(found, str):
        return (found,)
    disk, filesystem = found.namespace, (*view.line("disk-mounted").split(), "", "nothing")[1]
    what = f"{disk.model} {disk.serial}, NVMe over {disk.transport}, {filesystem}"
    if speed is None:
        return (what, "not measured")
    return (what, f"{speed.fsync_p99_ms:.2f} ms", f"{speed.read_iops:,.0f}", f"{speed.write_ms:.3f} ms")


def _built(spec: ClusterSpec) -> list[str]:
    artefacts = [a for node in spec.kubernetes_nodes for a in (*programs_of(spec, node), *images_of(spec, node))]
    return sorted({a.name for a in (*artefacts, resolve(spec, "etcd")) if a.origin == "built"})
