"""A node's disks, as its tools list them: what `groundwork.storage.questions` is answered with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


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
