"""Whole deploys on pyinfra's `@fake` connector: what would be done, exactly, given what the nodes answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyinfra
import pytest
from pyinfra.api import Config, Inventory, State, StringCommand
from pyinfra.api.connect import connect_all
from pyinfra.api.deploy import add_deploy
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_host, ctx_inventory, ctx_state

from groundwork.spec import Artefacts, Calico, ClusterSpec, Dns, Node, define
from tests import disks

Responses = Mapping[str | re.Pattern[str], Any]

SURVEY = "##groundwork machine-id"
"""What only the questions of preflight contain."""

DISKS = "##groundwork disk-signatures"
"""What the questions about disks contain, which are asked again before one is written to."""


@dataclass(frozen=True)
class Done:
    """A command that would change a node, and what it would read on standard input."""

    command: str
    stdin: str


@dataclass(frozen=True)
class Ran:
    """A deploy that ran."""

    done: Mapping[str, list[Done]]
    """By node, in order: the commands that operations yielded. Questions (facts) are not among them."""

    def commands(self, node: str) -> list[str]:
        return [d.command for d in self.done[node]]


Run = Callable[..., Ran]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle's manifest in which every sum is the artefact's name, padded."""
    names = {
        "binary": ["kubeadm", "kubelet", "kubectl"],
        "archive": ["etcd", "cni-plugins", "crictl"],
    }
    versions = {"etcd": "v3.3.27", "cni-plugins": "v0.8.7", "crictl": "v1.15.0", "calicoctl": "v3.28.5"}
    entries = [
        {
            "name": n,
            "version": versions.get(n, "v1.15.12"),
            "kind": k,
            "file": n,
            "sha256": _sum(n),
            "source": "built",
        }
        for k, listed in names.items()
        for n in listed
    ]
    entries.append({**entries[0], "name": "calicoctl", "version": "v3.28.5", "file": "calicoctl"})
    images = {
        **{f"registry.k8s.io/{n}": "v1.15.12" for n in ("kube-apiserver", "kube-controller-manager")},
        **{f"registry.k8s.io/{n}": "v1.15.12" for n in ("kube-scheduler", "kube-proxy")},
        "registry.k8s.io/pause": "3.1",
        "registry.k8s.io/coredns": "1.6.2",
        **{f"docker.io/calico/{n}": "v3.28.5" for n in ("node", "cni", "kube-controllers")},
    }
    for repository, version in images.items():
        name = repository.rsplit("/", 1)[1]
        entries.append(
            {
                "name": name,
                "version": version,
                "kind": "image",
                "file": f"{name}.tar",
                "sha256": _sum(name),
                "source": "built",
                "image": f"{repository}:{version}",
            }
        )
    (tmp_path / "manifest.json").write_text(json.dumps({"artefacts": entries}))
    return tmp_path


def _sum(name: str) -> str:
    return name.encode().hex().ljust(64, "0")[:64]


@pytest.fixture
def spec(bundle: Path) -> ClusterSpec:
    """One control plane and one worker, etcd on the control plane, everything from a mirror."""
    cp1, w1 = Node(name="cp1", address="10.0.0.11"), Node(name="w1", address="10.0.0.12")
    return define(
        name="test",
        control_plane=[cp1],
        workers=[w1],
        etcd_members=[cp1],
        calico=Calico(release="v3.28.5"),
        dns=Dns(version="1.6.2"),
        artefacts=Artefacts(source="mirror", url="http://10.0.0.1:8080", directory=bundle),
    )


def surveyed(**change: Sequence[str]) -> list[str]:
    """What a node answers to preflight: Debian 12, booted with cgroup v1, one blank NVMe namespace."""
    usual = {"kernel": ("6.1.0-28-amd64", "Debian 6.1.119-1"), "boot": ("grub",), **disks.answers(disks.disk())}
    return spoken({**usual, **{key.replace("_", "-"): value for key, value in change.items()}})


def spoken(found: Mapping[str, Sequence[str]]) -> list[str]:
    """Answers as the node prints them."""
    return [line for name, lines in found.items() for line in (f"##groundwork {name}", *lines)]


BLANK = spoken(disks.answers(disks.disk()))


@pytest.fixture
def run(spec: ClusterSpec) -> Run:
    """Runs a deploy function on every node of `spec`; `answers` maps a node to what its commands answer."""

    def runs(deploy: Callable[[], None], answers: Mapping[str, Responses] | None = None) -> Ran:
        with _prepared(spec, deploy, answers or {}) as state:
            run_ops(state)
        return Ran({n.name: list(_done(state, f"@fake/{n.name}")) for n in spec.nodes})

    return runs


@pytest.fixture
def order(spec: ClusterSpec, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """The names of the operations of a deploy function, in the order in which the command line would run them.

    Only there is an operation known by its place in the code, which is what orders operations between hosts.
    """

    def ordered(deploy: Callable[[], None], answers: Mapping[str, Responses]) -> list[str]:
        with _prepared(spec, None, answers) as state:
            monkeypatch.setattr(pyinfra, "is_cli", True)
            state.set_stage(StateStage.Prepare)
            for host in state.inventory:
                with ctx_host.use(host):
                    deploy()
            return [min(state.get_op_meta(op).names) for op in state.get_op_order()]

    return ordered


@contextmanager
def _prepared(
    spec: ClusterSpec, deploy: Callable[[], None] | None, answers: Mapping[str, Responses]
) -> Iterator[State]:
    hosts = [
        (
            f"@fake/{n.name}",
            {
                "cluster": spec,
                "fake_delay": 0,
                "fake_delay_jitter": 0,
                "fake_responses": {SURVEY: surveyed(), DISKS: BLANK, **answers.get(n.name, {})},
            },
        )
        for n in spec.nodes
    ]
    inventory = Inventory((hosts, {}))
    state = State(inventory, Config(SUDO=True, FAIL_PERCENT=0))
    with ctx_state.use(state), ctx_inventory.use(inventory):
        connect_all(state)
        if deploy is not None:
            add_deploy(state, deploy)
        yield state


def _done(state: State, name: str) -> Iterator[Done]:
    host = state.inventory.get_host(name)
    for op_hash in state.get_op_order():
        if op_hash in state.ops[host]:
            for command in state.get_op_data_for_host(host, op_hash).operation_meta._commands or []:
                assert isinstance(command, StringCommand)
                yield Done(command.get_masked_value(), str(command.connector_arguments.get("_stdin", "")))
