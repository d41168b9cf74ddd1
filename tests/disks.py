"""A node's disks, as its tools list them: what `groundwork.storage.questions` is answered with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from groundwork import storage
from groundwork.checks import View
from groundwork.spec import ClusterSpec


def disk(name: str = "nvme0n1", serial: str = "LABV1", **change: Any) -> dict[str, Any]:
    """A disk as lsblk of util-linux 2.38 lists it."""
    plain = {"name": name, "type": "disk", "tran": "nvme", "size": 20 * 2**30, "ro": False, "mountpoint": None}
    return {**plain, "serial": serial, "model": "QEMU NVMe Ctrl", **change}


ROOT = {
    **disk("vda", "", tran=None, size=16 * 2**30, model=None),
    "children": [{**disk("vda1", "", tran=None, model=None), "type": "part", "mountpoint": "/"}],
}
SEED = disk("vdb", "", tran=None, size=20480, ro=True, model=None)


def answers(*disks: dict[str, Any], **more: Sequence[str]) -> dict[str, Sequence[str]]:
    listed = json.dumps({"blockdevices": [ROOT, SEED, *disks]}, indent=3).splitlines()
    plain = {
        "disks": listed,
        "disk-transport": ("nvme0 pcie",),
        "disk-smart": [f"/dev/{d['name']} 0" for d in disks],
        "disk-ids": ("nvme-QEMU_NVMe_Ctrl_LABV1",),
    }
    return {**plain, **{key.replace("_", "-"): value for key, value in more.items()}}


def held(spec: ClusterSpec, node: str) -> dict[str, Sequence[str]]:
    """The answers of a node whose one disk is etcd's: formatted, mounted and measured."""
    found = storage.choose(View(spec, spec.node(node), answers(disk())))
    assert isinstance(found, storage.Choice)
    measured = {"serial": "LABV1", "date": "2026-11-24", "fsync_p99_ms": 1.5, "read_iops": 9000.0, "write_ms": 0.2}
    return {
        **answers(disk(mountpoint="/var/lib/etcd")),
        "disk-signatures": (f"/dev/nvme0n1,0x438,{found.filesystem},groundwork-etcd,ext4",),
        "disk-etcd-data": ("/dev/nvme0n1",),
        "disk-mounted": ("/dev/nvme0n1 ext4 rw,noatime",),
        "disk-unit": (found.filesystem,),
        "disk-report": (json.dumps(measured),),
    }
