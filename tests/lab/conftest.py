"""Labs of the tests' own, beside any other: real machines, made before and removed after."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.spec import Lab, bundle_directory, load, why_no_containers

ROOT = Path(__file__).resolve().parent.parent.parent
PYINFRA = Path(sys.executable).with_name("pyinfra")

BGP_PASSWORD = "of-a-test-alone"

RUN_S = 1500
"""How long a run may take on a slow machine; bounded, so that a test fails rather than hangs."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    code: int
    text: str

    @property
    def last_line(self) -> str:
        return self.text.strip().splitlines()[-1]

    def number(self, what: str) -> int:
        """A figure of the last line, such as `changes` or `proofs passed`."""
        match = re.search(rf"(\d+) {what}", self.last_line)
        assert match, self.text[-3000:]
        return int(match[1])


@dataclass
class TestLab:
    """A lab and the runs of the product on it."""

    __test__ = False

    path: Path
    data: dict[str, Any] = field(default_factory=dict)

    def write(self) -> None:
        self.path.write_text(yaml.safe_dump(self.data), encoding="utf-8")

    @property
    def lab(self) -> Lab:
        return load(self.path)

    @property
    def environment(self) -> dict[str, str]:
        given = {"GROUNDWORK_LAB": str(self.path), "GROUNDWORK_LAB_BGP_PASSWORD": BGP_PASSWORD, "COLUMNS": "160"}
        return {**os.environ, **given}

    def command(self, *arguments: str, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A command of the lab."""
        done = subprocess.run(
            [sys.executable, "-m", "lab", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=RUN_S,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def on(self, machine: str, shell: str, check: bool = True, stdin: str = "") -> str:
        """What a shell command says on a machine, as root."""
        return self.command("ssh", machine, f"sudo sh -c {shlex.quote(shell)}", check=check, stdin=stdin).stdout

    def start(self, deploy: str = "deploys/cluster.py", *options: str) -> subprocess.Popen[str]:
        """A run of the product, whose output is still to be read."""
        return subprocess.Popen(
            [str(PYINFRA), "inventories/lab.py", deploy, *(options or ("-y",))],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def run(self, deploy: str = "deploys/cluster.py", *options: str) -> Outcome:
        """A run of the product to its end."""
        process = self.start(deploy, *options)
        text, _ = process.communicate(timeout=RUN_S)
        return Outcome(process.returncode, text)


def make_lab(directory: Path, name: str, network: str, machines: Mapping[str, Sequence[str]], **fields: Any) -> TestLab:
    """A lab file whose machines have the given roles; `fields` are more of a machine's, by its name."""
    prefix = network.rsplit(".", 1)[0]
    made = TestLab(directory / f"{name}.yaml")
    made.data = {
        "name": name,
        "network": network,
        "machines": {
            machine: {
                "address": f"{prefix}.{11 + i}",
                "memory": "4G",
                "roles": list(roles),
                **fields.get(machine, {}),
            }
            for i, (machine, roles) in enumerate(machines.items())
        },
    }
    made.write()
    return made


@pytest.fixture(scope="session", autouse=True)
def able() -> None:
    """A lab that cannot run is skipped, but on CI it is a failure."""
    reason = "the lab needs root" if os.geteuid() else why_no_containers()
    if reason is None and not (bundle_directory() / "manifest.json").exists():
        reason = "there is no bundle of artefacts: python -m lab artefacts"
    if reason:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.fixture(scope="module")
def bare(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestLab]:
    """The module's machines (`LAB`: name, network, roles; `MACHINES`: what else), bare when the first test begins."""
    fields = getattr(request.module, "MACHINES", {})
    made = make_lab(tmp_path_factory.mktemp("lab"), *request.module.LAB, **fields)
    made.command("down")
    made.command("up")
    yield made
    made.command("down")
