"""Bare machines become a proven cluster, stay as they are, grow by a worker, and a broken claim is named."""

from __future__ import annotations

import pytest

from tests.lab.conftest import TestLab

LAB = (
    "kgtest",
    "10.117.0.0/24",
    {"cp1": ["control_plane", "etcd"], "w1": ["worker", "etcd"], "w2": ["worker", "etcd"]},
)

pytestmark = pytest.mark.lab


def files_of(bare: TestLab) -> dict[str, float]:
    """Every file that differs from the machines' image, with its time; not what a running system writes itself."""
    found = {}
    for machine in bare.lab.machines:
        upper = bare.lab.state / "machines" / machine.name / "upper"
        for path in upper.rglob("*"):
            relative = path.relative_to(upper)
            if relative.parts[0] not in ("home", "run", "tmp", "var") and path.is_file() and not path.is_symlink():
                found[f"{machine.name}/{relative}"] = path.stat().st_mtime
    return found


def test_a_dry_run_changes_nothing(bare: TestLab) -> None:
    before = files_of(bare)
    outcome = bare.run("deploys/cluster.py", "--dry")
    assert outcome.code == 0, outcome.text[-3000:]
    assert "Control plane | kubeadm's control plane is complete" in outcome.text
    assert files_of(bare) == before
    assert "nf_tables" in bare.on("w1", "iptables --version")


def test_bare_machines_become_a_proven_cluster(bare: TestLab) -> None:
    outcome = bare.run()
    assert outcome.code == 0, outcome.text[-3000:]
    assert outcome.last_line.startswith("cluster kgtest: ok, 3 nodes, ")
    assert outcome.number("proofs passed") >= 50
    assert outcome.number("failed") == 0
    assert "token" not in outcome.text.replace("bootstrap token", "").replace("no-tokens", "")


def test_a_second_run_changes_nothing(bare: TestLab) -> None:
    outcome = bare.run()
    assert outcome.code == 0, outcome.text[-3000:]
    assert outcome.number("changes") == 0


def test_verification_by_itself(bare: TestLab) -> None:
    outcome = bare.run("deploys/verify.py")
    assert outcome.code == 0, outcome.text[-3000:]
    assert outcome.number("changes") == 0
    assert outcome.number("proofs passed") >= 50
    left = "kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system get daemonset groundwork-probe"
    assert bare.on("cp1", left, check=False) == ""


def test_keys_are_readable_by_their_owner_alone(bare: TestLab) -> None:
    keys = "find /etc/kubernetes/pki /etc/etcd -name *.key -perm /077"
    for machine in ("cp1", "w1", "w2"):
        assert bare.on(machine, keys) == ""
    assert bare.on("w1", "ls /run/kube-groundwork") == "lock\n"


def test_a_broken_claim_is_named_and_mended(bare: TestLab) -> None:
    bare.on("w2", "update-alternatives --set iptables /usr/sbin/iptables-nft")
    broken = bare.run("deploys/verify.py")
    assert broken.code == 1
    assert "iptables-legacy w2: iptables" in broken.text
    assert broken.last_line.startswith("cluster kgtest: FAILED")
    assert broken.number("failed") == 1
    mended = bare.run()
    assert mended.code == 0, mended.text[-3000:]
    assert mended.number("changes") == 1


def test_the_inventory_gains_a_worker(bare: TestLab) -> None:
    bare.data["machines"]["w3"] = {"address": "10.117.0.14", "memory": "3G", "roles": ["worker"]}
    bare.write()
    bare.command("up")
    outcome = bare.run()
    assert outcome.code == 0, outcome.text[-3000:]
    assert outcome.last_line.startswith("cluster kgtest: ok, 4 nodes, ")


def test_a_typo_is_no_success(bare: TestLab) -> None:
    outcome = bare.run("deploys/cluster.py", "-y", "--limit", "nosuch")
    assert outcome.code == 1
    assert "no host to work on" in outcome.text
