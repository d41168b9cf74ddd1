"""What is about a kernel or a disk, on a virtual machine with its own: cgroup v1, NVMe, IPVS, and a reboot."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lab.virtual import NVME, Virtual
from tests.lab.conftest import Outcome, TestLab

LAB = (
    "kgkern",
    "10.120.0.0/24",
    {"cp1": ["control_plane", "etcd"], "w1": ["worker", "etcd"], "v1": ["worker", "etcd"]},
)
MACHINES = {"v1": {"kind": "vm"}}

pytestmark = pytest.mark.lab

PARTITIONED = r'print "\0" x 446, pack("C4C4VV", 0, 0, 0, 0, 0x83, 0, 0, 0, 2048, 204800), "\0" x 48, "\x55\xaa"'
"""A table of one partition of 100 MiB, in perl: the machines have no partitioning tool."""

READY_S = 1200
"""How long a machine without KVM may take from its start until all of its pods run."""


def monitor(lab: TestLab, command: str) -> str:
    """What QEMU's monitor answers for the virtual machine."""
    machine = lab.lab.machine("v1")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(Virtual(lab.lab, machine).monitor))
        _until_prompt(connection)
        connection.sendall(f"{command}\n".encode())
        return _until_prompt(connection)


def _until_prompt(connection: socket.socket) -> str:
    said = b""
    while not said.endswith(b"(qemu) "):
        received = connection.recv(4096)
        assert received, said
        said += received
    return said.decode(errors="replace")


def awaited(what: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(5)


def boot_id(lab: TestLab) -> str:
    return lab.on("v1", "cat /proc/sys/kernel/random/boot_id", check=False).strip()


def rebooted(lab: TestLab) -> None:
    """Returns when the virtual machine booted anew and every pod on it runs."""
    before = boot_id(lab)
    lab.on("v1", "systemctl reboot", check=False)
    come_back(lab, before)


def come_back(lab: TestLab, before: str) -> None:
    awaited(lambda: boot_id(lab) not in ("", before), READY_S)
    awaited(lambda: settled(lab), READY_S)


def settled(lab: TestLab) -> bool:
    kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
    node = json.loads(lab.on("cp1", f"{kubectl} get node v1 -o json"))
    pods = json.loads(lab.on("cp1", f"{kubectl} -n kube-system get pods --field-selector spec.nodeName=v1 -o json"))
    conditions = [*node["status"]["conditions"], *(c for p in pods["items"] for c in p["status"].get("conditions", []))]
    # After a boot, statuses are those from before until the kubelet reports again.
    fresh = lab.on("v1", "curl -s --max-time 5 127.0.0.1:9099/readiness -o /dev/null -w '%{http_code}'", check=False)
    return fresh in ("200", "204") and all(c["status"] == "True" for c in conditions if c["type"] == "Ready")


def refused(lab: TestLab) -> str:
    outcome = lab.run("deploys/cluster.py", "--dry")
    assert outcome.code == 1, outcome.text[-3000:]
    assert "preflight refuses this run, and nothing was changed" in outcome.text
    return outcome.text


def assert_proven(outcome: Outcome) -> None:
    assert outcome.code == 0, outcome.text[-5000:]
    assert outcome.number("failed") == 0


def test_a_disk_that_is_not_blank_is_refused(bare: TestLab) -> None:
    assert bare.on("v1", "stat -fc %T /sys/fs/cgroup") == "cgroup2fs\n"
    bare.on("v1", "mkfs.ext4 -q /dev/nvme0n1")
    assert "v1: an NVMe namespace for etcd: /dev/nvme0n1 (QEMU NVMe Ctrl, serial LABV1) is not blank" in refused(bare)
    bare.on("v1", "wipefs -q -a /dev/nvme0n1")
    bare.on("v1", f"perl -e '{PARTITIONED}' | dd of=/dev/nvme0n1 status=none && blockdev --rereadpt /dev/nvme0n1")
    assert "it holds dos, the partition nvme0n1p1" in refused(bare)
    bare.on("v1", "wipefs -q -a /dev/nvme0n1 && blockdev --rereadpt /dev/nvme0n1")


def test_a_disk_that_warns_is_refused(bare: TestLab) -> None:
    monitor(bare, f"qom-set /machine/peripheral/{NVME} smart_critical_warning 4")
    assert "warns (SMART): reliability is degraded" in refused(bare)
    monitor(bare, f"qom-set /machine/peripheral/{NVME} smart_critical_warning 0")


def test_kernels_of_their_own_become_a_proven_cluster(bare: TestLab) -> None:
    # Two swap files: one of fstab, and one that a unit would turn on again at every boot.
    bare.on("v1", "for f in a b; do fallocate -l 64M /swap-$f && chmod 600 /swap-$f && mkswap -q /swap-$f; done")
    bare.on("v1", "echo '/swap-a none swap sw 0 0' >> /etc/fstab && systemctl daemon-reload && swapon /swap-a")
    unit = "[Swap]\nWhat=/swap-b\n[Install]\nWantedBy=multi-user.target\n"
    name = r"'/etc/systemd/system/swap\x2db.swap'"
    bare.on("v1", f"cat > {name} && systemctl enable --now -q {name}", stdin=unit)
    assert bare.on("v1", "tail -n +2 /proc/swaps").count("/swap-") == 2
    before = boot_id(bare)
    outcome = bare.run()
    assert_proven(outcome)
    assert boot_id(bare) != before, "it booted with cgroup v2, and went on in the same run"
    for word in ("LABV1", "NVMe over pcie", "ipvs", "kgkern"):
        assert word in outcome.text
    assert bare.on("v1", "ls -A /var/lib/etcd") == "lost+found\nmember\n"


def test_a_second_run_changes_nothing(bare: TestLab) -> None:
    measured = bare.on("v1", "cat /var/lib/kube-groundwork/etcd-disk.json")
    outcome = bare.run()
    assert_proven(outcome)
    assert outcome.number("changes") == 0
    assert bare.on("v1", "cat /var/lib/kube-groundwork/etcd-disk.json") == measured


@contextmanager
def throttled(lab: TestLab, operations: int) -> Iterator[None]:
    """The namespace does so many operations a second."""
    monitor(lab, f"block_set_io_throttle nvme 0 0 0 {operations} 0 0")
    yield
    monitor(lab, "block_set_io_throttle nvme 0 0 0 0 0 0")


@pytest.mark.long
def test_a_slow_disk_is_refused_with_its_figures(bare: TestLab) -> None:
    with throttled(bare, 15):
        outcome = bare.run("deploys/cluster.py", "-y", "--data", "fio=again")
    assert outcome.code == 1, outcome.text[-3000:]
    assert "etcd's disk on v1 is too slow: p99 of fdatasync" in outcome.text
    assert bare.on("v1", "ls -A /var/lib/etcd") == "lost+found\nmember\n"
    again = bare.run("deploys/cluster.py", "-y", "--data", "fio=again")
    assert_proven(again)


@pytest.mark.long
def test_ip_vs_that_cannot_be_loaded_is_named(bare: TestLab) -> None:
    line = 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX module_blacklist=ip_vs"'
    bare.on("v1", f"echo '{line}' > /etc/default/grub.d/test.cfg && update-grub 2>/dev/null")
    rebooted(bare)
    outcome = bare.run("deploys/verify.py")
    assert outcome.code == 1
    assert "proxy-mode v1: how kube-proxy balances, as it says itself: iptables" in outcome.text
    assert "module_blacklist=ip_vs" in outcome.text
    assert "etcd-disk v1" not in outcome.text
    bare.on("v1", "rm /etc/default/grub.d/test.cfg && update-grub 2>/dev/null")


@pytest.mark.long
def test_everything_holds_after_a_reboot(bare: TestLab) -> None:
    rebooted(bare)
    outcome = bare.run("deploys/verify.py")
    assert_proven(outcome)
    assert bare.run().number("changes") == 0


@pytest.mark.long
def test_everything_holds_after_a_power_cut(bare: TestLab) -> None:
    before = boot_id(bare)
    bare.command("kill", "v1")
    bare.command("start", "v1")
    come_back(bare, before)
    assert_proven(bare.run("deploys/verify.py"))
