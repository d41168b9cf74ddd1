"""Which disk etcd gets, and why another one is refused: only what is blank, or named by its serial, is written to."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from groundwork import fio, storage
from groundwork.checks import View
from groundwork.fio import Measured
from groundwork.spec import ClusterSpec, Etcd, Node, define
from groundwork.storage import Choice
from tests import disks
from tests.disks import answers, disk

BY_ID = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_LABV1"


def view(answers: dict[str, Sequence[str]], *, device: str | None = None, **etcd: Any) -> View:
    node = Node(name="v1", address="10.0.0.11", etcd_device=device)
    spec = define(name="t", control_plane=[node], etcd_members=[node], etcd=Etcd(**etcd))
    return View(spec, node, answers)


def our_filesystem() -> str:
    """The UUID of the file system that this cluster's etcd has on the disk of the node."""
    return disks.held(view({}).spec, "v1")["disk-unit"][0]


def test_the_one_blank_namespace_is_found() -> None:
    found = storage.choose(view(answers(disk())))
    assert isinstance(found, Choice)
    assert (found.namespace.device, found.made, found.wipe) == ("/dev/nvme0n1", False, False)
    assert str(found.namespace) == "/dev/nvme0n1 (QEMU NVMe Ctrl, serial LABV1)"


def test_a_stable_path_chooses_among_several() -> None:
    two = answers(disk(), disk("nvme1n1", "OTHER"), disk_named=("/dev/nvme1n1",), disk_transport=("nvme0 pcie",))
    found = storage.choose(view(two, device=BY_ID))
    assert isinstance(found, Choice)
    assert found.namespace.serial == "OTHER"


GPT = ("/dev/nvme0n1,0x200,,,gpt", "/dev/nvme0n1,0x1fe,,,PMBR")
PARTITION = [{**disk("nvme0n1p1"), "type": "part"}]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (answers(), "there is no NVMe namespace, only /dev/vda (virtio), /dev/vdb (virtio)"),
        (answers(disk(ro=True)), "is read-only"),
        (answers(disk(size=10 * 2**30)), "has 10.0 GiB, and 17 are needed"),
        (answers(disk(), disk_smart=("/dev/nvme0n1 4",)), "warns (SMART): reliability is degraded"),
        (answers(disk(), disk_smart=("/dev/nvme0n1 3",)), "spare blocks run out, too hot or too cold"),
        (answers(disk(mountpoint="/data")), "is in use: mounted at /data"),
        (
            answers(disk(children=[{**PARTITION[0], "mountpoint": "/"}]), disk_signatures=GPT),
            "is in use: mounted at /",
        ),
        (answers(disk(children=PARTITION), disk_signatures=GPT), "it holds gpt, PMBR, the partition nvme0n1p1"),
        (answers(disk(), disk_signatures=("/dev/nvme0n1,0x438,aaaa,old,ext4",)), "is not blank: it holds ext4"),
        (answers(disk(), disk_signatures=("/dev/nvme0n1,0x218,aaaa,,LVM2_member",)), "it holds LVM2_member"),
        (answers(disk(), disk_signatures=("/dev/nvme0n1,0x1000,aaaa,,linux_raid_member",)), "linux_raid_member"),
        (answers(disk(), disk_signatures=("/dev/nvme0n1,0xff6,aaaa,,swap",)), "it holds swap"),
        (
            answers(disk(), disk_transport=("nvme0 tcp",)),
            "is no NVMe namespace inside the machine, but attached by tcp",
        ),
        (answers(disk(), disk("nvme1n1", "OTHER")), "several would do"),
        (answers(disk(), disk_root_data=("yes",)), "holds data on the root disk"),
        (answers(disk(), disk_mounted=("/dev/vda2 ext4 rw",)), "mounted from /dev/vda2, which is no NVMe namespace"),
    ],
)
def test_what_is_refused(found: dict[str, Sequence[str]], words: str) -> None:
    reason = storage.choose(view(found))
    assert isinstance(reason, str)
    assert words in reason


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ((), "does not exist (/dev/disk/by-id has nvme-QEMU_NVMe_Ctrl_LABV1)"),
        (("/dev/nvme0n1p1",), "is /dev/nvme0n1p1, which is no whole disk"),
        (("/dev/vda",), "is no NVMe namespace inside the machine, but attached by virtio"),
    ],
)
def test_a_stable_path_that_leads_nowhere_good(named: Sequence[str], words: str) -> None:
    reason = storage.choose(view(answers(disk(), disk_named=named), device=BY_ID))
    assert isinstance(reason, str)
    assert words in reason


def test_only_the_serial_that_is_named_may_be_erased() -> None:
    used = answers(disk(children=PARTITION), disk_signatures=GPT)
    assert isinstance(storage.choose(view(used, wipe_serial="ANOTHER")), str)
    found = storage.choose(view(used, wipe_serial="LABV1"))
    assert isinstance(found, Choice)
    assert found.wipe
    mounted = answers(disk(mountpoint="/data"), disk_signatures=("/dev/nvme0n1,0x438,aaaa,old,ext4",))
    assert "is in use" in str(storage.choose(view(mounted, wipe_serial="LABV1"))), "what is in use is never erased"


def test_what_a_killed_run_formatted_is_taken_up() -> None:
    made = (f"/dev/nvme0n1,0x438,{our_filesystem()},groundwork-etcd,ext4",)
    found = storage.choose(view(answers(disk(), disk_signatures=made), wipe_serial="LABV1"))
    assert isinstance(found, Choice)
    assert (found.made, found.wipe) == (True, False)


def test_etcd_of_an_earlier_installation_does_not_come_back() -> None:
    """The machine was installed anew, and its disk was not: the mount unit is gone, the data is there."""
    made = (f"/dev/nvme0n1,0x438,{our_filesystem()},groundwork-etcd,ext4",)
    left = answers(disk(), disk_signatures=made, disk_etcd_data=("/dev/nvme0n1",))
    assert "holds the data of an etcd member of an earlier installation" in str(storage.choose(view(left)))
    ours = {**left, "disk-unit": (our_filesystem(),)}
    assert isinstance(storage.choose(view(ours)), Choice)


def held(**change: Sequence[str]) -> View:
    plain = view({})
    return view({**disks.held(plain.spec, "v1"), **{key.replace("_", "-"): value for key, value in change.items()}})


def failing(seen: View) -> dict[str, str]:
    return {c.id: found for c in storage.PROOFS if (found := c.wrong(seen))}


def test_a_good_disk_proves_everything() -> None:
    assert failing(held()) == {}


@pytest.mark.parametrize(
    ("check", "change", "words"),
    [
        ("etcd-disk", {"disk_mounted": ("/dev/nvme0n1 ext4 rw,relatime",)}, "atime is on"),
        ("etcd-disk", {"disk_mounted": ("/dev/nvme0n1 xfs rw,noatime",)}, "the file system is xfs"),
        ("etcd-disk", {"disk_unit": ("another",)}, "mounts another file system at the next boot"),
        ("etcd-disk", {"disk_smart": ("/dev/nvme0n1 8",)}, "read-only for its own protection"),
        ("etcd-disk-speed", {"disk_report": ()}, "was not measured"),
        ("etcd-disk-speed", {"disk_report": ("not json",)}, "was not measured"),
    ],
)
def test_a_wrong_disk_is_caught(check: str, change: dict[str, Sequence[str]], words: str) -> None:
    found = failing(held(**change))
    assert check in found
    assert words in found[check]


def test_a_slow_disk_is_caught_with_its_figures() -> None:
    slow = {"serial": "LABV1", "date": "2026-11-24", "fsync_p99_ms": 25.0, "read_iops": 90, "write_ms": 9}
    found = failing(held(disk_report=(json.dumps(slow),)))
    assert "p99 of fdatasync 25.00 ms, 90 random reads/s, 9.000 ms a write, on 2026-11-24" in found["etcd-disk-speed"]


def test_a_measurement_of_another_disk_does_not_count() -> None:
    other = {"serial": "X", "date": "2026-11-24", "fsync_p99_ms": 1.0, "read_iops": 9000, "write_ms": 0.2}
    assert "this disk was not measured" in failing(held(disk_report=(json.dumps(other),)))["etcd-disk-speed"]


def results(**wal: Any) -> dict[str, Any]:
    """What fio 3.33 writes, as far as it is read."""
    sync = {"lat_ns": {"percentile": {"90.000000": 1_000_000, "99.000000": 8_716_288}}, "total_ios": 10030}
    return {
        "wal": {"fio version": "fio-3.33", "jobs": [{"sync": sync, **wal}]},
        "read": {"jobs": [{"read": {"iops": 9012.5}}]},
        "write": {"jobs": [{"write": {"clat_ns": {"mean": 210_000.0}}}]},
    }


def test_fio_is_read_at_p99_of_fdatasync() -> None:
    found = Measured.of(results(), serial="LABV1", date="2026-11-24")
    assert (found.fsync_p99_ms, found.read_iops, found.write_ms) == (8.716288, 9012.5, 0.21)
    assert Measured.kept(json.dumps(found.__dict__)) == found


def test_an_old_fio_is_named() -> None:
    with pytest.raises(ValueError, match=r"fio-3\.33 does not say how long an fdatasync takes"):
        Measured.of(results(sync={}), serial="LABV1", date="2026-11-24")


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_measurement_is_valid_shell(shell: str) -> None:
    subprocess.run([shell, "-n", "-c", fio.script()], check=True, capture_output=True)


def test_containers_have_no_disk_of_their_own(spec: ClusterSpec) -> None:
    assert not storage.concerned(spec, spec.nodes[0])


@pytest.fixture
def spec() -> ClusterSpec:
    node = Node(name="c1", address="10.0.0.11", shared_kernel=True)
    return define(name="t", control_plane=[node], etcd_members=[node])
