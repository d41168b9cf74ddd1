"""A run that is killed, at any point, is taken up by the next: the same cluster comes out."""

from __future__ import annotations

import time

import pytest

from tests.lab.conftest import RUN_S, TestLab

LAB = ("kgkill", "10.118.0.0/24", {"cp1": ["control_plane", "etcd"], "w1": ["worker"]})

pytestmark = pytest.mark.lab

POINTS = [
    ("Runtime | Every image is there", 4.0),
    ("etcd | The member runs", 0.5),
    ("Control plane | kubeadm's control plane", 6.0),
    ("Workers | The worker is a member", 4.0),
]
"""The operation in which the run is killed, and how many seconds into it."""


def kill_in(bare: TestLab, operation: str, seconds: float) -> str:
    """Starts a run and kills it with SIGKILL in `operation`; what it had said until then."""
    process = bare.start()
    said, deadline = [], time.monotonic() + RUN_S
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        assert time.monotonic() < deadline
        if f"Starting operation: {operation}" in line:
            time.sleep(seconds)
            process.kill()
            break
    process.wait()
    return "".join(said)


@pytest.mark.parametrize(("operation", "seconds"), POINTS)
def test_killed(bare: TestLab, operation: str, seconds: float) -> None:
    assert f"Starting operation: {operation}" in kill_in(bare, operation, seconds)


def test_the_next_run_ends_in_the_same_cluster(bare: TestLab) -> None:
    outcome = bare.run()
    assert outcome.code == 0, outcome.text[-3000:]
    assert outcome.last_line.startswith("cluster kgkill: ok, 2 nodes, ")


def test_and_changes_nothing_more(bare: TestLab) -> None:
    outcome = bare.run()
    assert outcome.code == 0, outcome.text[-3000:]
    assert outcome.number("changes") == 0
