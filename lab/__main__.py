"""The lab's command line: `python -m lab up|down|status|ssh|logs|kill|start|artefacts`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from lab import machines
from lab.spec import Lab, LabError, load

console = Console(highlight=False)


@click.group(help="Machines to practise on. Each command works on the lab that FILE describes.")
@click.option("--file", "path", type=click.Path(path_type=Path), help="default: $GROUNDWORK_LAB or lab/lab.yaml")
@click.pass_context
def cli(context: click.Context, path: Path | None) -> None:
    context.obj = load(path)


@cli.command(help="Starts the machines (all, or those named), or repairs what was interrupted.")
@click.argument("names", nargs=-1)
@click.pass_obj
def up(lab: Lab, names: tuple[str, ...]) -> None:
    _as_root()
    with console.status("the lab comes up") as shown:
        machines.up(lab, names, lambda text: shown.update(f"the lab comes up: {text}"))
    _print_status(lab)


@cli.command(help="Removes the machines and everything else that this lab made on the host.")
@click.pass_obj
def down(lab: Lab) -> None:
    _as_root()
    machines.down(lab)
    console.print(f"lab {lab.name}: nothing is left but the cache")


@cli.command(help="Shows what runs.")
@click.option("--json", "as_json", is_flag=True, help="for programs")
@click.pass_obj
def status(lab: Lab, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([asdict(s) for s in machines.status(lab)], indent=2))
    else:
        _print_status(lab)


@cli.command(context_settings={"ignore_unknown_options": True}, help="A shell on a machine, or one command.")
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def ssh(lab: Lab, name: str, command: tuple[str, ...]) -> None:
    arguments = [*machines.ssh_command(lab, lab.machine(name)), *command]
    os.execvp("ssh", arguments)


@cli.command(help="The journal of a machine; what it printed while booting, where there is no journal.")
@click.argument("name")
@click.pass_obj
def logs(lab: Lab, name: str) -> None:
    box = machines.box(lab, lab.machine(name))
    if box.journal and box.journal.is_dir():
        subprocess.run(["journalctl", "--no-pager", "-D", box.journal], check=False)
    elif box.console.exists():
        click.echo(box.console.read_text(errors="replace"))
    else:
        raise LabError(f"{name} has no logs: it was never started (python -m lab up {name})")


@cli.command(help="Cuts a machine's power: every process of it is gone at once.")
@click.argument("name")
@click.pass_obj
def kill(lab: Lab, name: str) -> None:
    machines.box(lab, lab.machine(name)).kill()


@cli.command(help="Starts a machine that was killed.")
@click.argument("name")
@click.pass_obj
def start(lab: Lab, name: str) -> None:
    machines.up(lab, [name], lambda text: None)


@cli.command("artefacts", help="Downloads or builds what a cluster is made of, into one bundle.")
def build_artefacts() -> None:
    from lab import artefacts  # its recipes take a while to load, and no other command needs them

    started = time.monotonic()
    bundle = artefacts.build(lambda text: console.print(f"{time.monotonic() - started:6.1f} s  {text}"))
    console.print(f"bundle: {bundle}")


@cli.command("images", help="Builds what the lab's machines start from.")
@click.pass_obj
def build_images(lab: Lab) -> None:
    _as_root()
    machines.build_images(lab, console.print)


def _as_root() -> None:
    if os.geteuid() != 0:
        raise LabError("the lab makes network links, mounts and cgroups: run it as root")


def _print_status(lab: Lab) -> None:
    table = Table(title=f"lab {lab.name} on {lab.bridge}, mirror {lab.mirror_url}")
    for column in ("machine", "kind", "address", "roles", "state"):
        table.add_column(column)
    for s in machines.status(lab):
        state = "up" if s.ssh else "running, no ssh" if s.running else "down"
        kind = f"{s.kind} ({s.accelerator})" if s.accelerator else s.kind
        table.add_row(s.name, kind, s.address, ", ".join(s.roles), state)
    console.print(table)


def main() -> None:
    try:
        cli(standalone_mode=True)
    except LabError as error:
        click.echo(f"lab: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
