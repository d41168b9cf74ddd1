"""What was found, for people: a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from groundwork import layout
from groundwork.artefacts import images_of, programs_of, resolve
from groundwork.checks import Finding
from groundwork.spec import ClusterSpec

__all__ = ["show"]


def show(console: Console, spec: ClusterSpec, findings: Sequence[Finding], *, not_repeated: Sequence[str] = ()) -> None:
    """One row for each check, then a sentence for each that failed, and what could not be proven at all."""
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
            f"not proven: {', '.join(shared)} share their host's kernel, so its modules, its own sysctls and IPVS "
            "were not asked about there",
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


def _built(spec: ClusterSpec) -> list[str]:
    artefacts = [a for node in spec.kubernetes_nodes for a in (*programs_of(spec, node), *images_of(spec, node))]
    return sorted({a.name for a in (*artefacts, resolve(spec, "etcd")) if a.origin == "built"})
