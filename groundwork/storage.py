"""etcd's disk: which NVMe namespace it is, why another one is not, and what its file system and its speed must be.

Only a blank namespace is ever written to. Everything here is decided from the answers to `questions`, so a plan, a
run and preflight decide alike.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundwork import fio, layout
from groundwork.checks import Check, View
from groundwork.fio import Measured
from groundwork.spec import ClusterSpec, Node

__all__ = [
    "CHECKS",
    "FILESYSTEM",
    "LABEL",
    "PROOFS",
    "Choice",
    "Namespace",
    "choose",
    "concerned",
    "measured",
    "namespaces",
    "questions",
    "smallest",
]

LABEL = "groundwork-etcd"
"""For people who look at the disk. At most 16 characters (ext4)."""

FILESYSTEM = "ext4"

_NAMESPACE = uuid.UUID("5f0c39f0-2a5e-5b0e-9d8f-0f0e1c6a7b11")

_SMART_WARNINGS = {
    1: "spare blocks run out",
    2: "too hot or too cold",
    4: "reliability is degraded",
    8: "read-only for its own protection",
    16: "its backup power failed",
    32: "persistent memory became read-only",
}
"""Bits of critical_warning in the SMART log (NVM Express Base Specification, log page 02h)."""

_SMART_LOG = (
    # nvme-cli is no part of a bare system, and perl is (perl-base is essential): the ioctl behind `nvme smart-log`,
    # NVME_IOCTL_ADMIN_CMD with opcode 2 (Get Log Page), page 2, 512 bytes. It reads, and nothing else.
    'perl -e \'open(F, "<", $ARGV[0]) or exit; $b = "\\0" x 512; '
    '$c = pack("CCSLLLQQLLLLLLLLLL", 2, 0, 0, 0xffffffff, 0, 0, 0, unpack("Q", pack("P", $b)), '
    "0, 512, (127 << 16) | 2, 0, 0, 0, 0, 0, 0, 0); "
    'defined(ioctl(F, 0xC0484E41, $c)) and print unpack("C", $b), "\\n"\''
)


def concerned(spec: ClusterSpec, node: Node) -> bool:
    """Whether `node` keeps etcd's data on a disk of its own; a container cannot."""
    return node in spec.etcd_members and not node.shared_kernel


def questions(node: Node) -> dict[str, str]:
    """What must be known of a node's disks, in shell."""
    each = "for d in $(lsblk -dnpo NAME,TYPE | awk '$2 == \"disk\" && $1 ~ /nvme/ {print $1}'); do"
    named = f"readlink -e '{node.etcd_device}'" if node.etcd_device else "true"
    return {
        "disks": "lsblk -J -b -o NAME,TYPE,TRAN,SIZE,RO,MOUNTPOINT,SERIAL,MODEL",
        # offset, uuid, label and type of everything that anybody would recognise on the device
        "disk-signatures": f'{each} wipefs -n -p $d | grep -v "^#" | sed "s|^|$d,|"; done',
        "disk-smart": f"{each} echo $d $({_SMART_LOG} $d); done",
        "disk-etcd-data": f"{each} debugfs -R 'stat member' $d 2>/dev/null | grep -q Inode && echo $d; done",
        "disk-transport": 'for c in /sys/class/nvme/*; do echo "${c##*/} $(cat $c/transport)"; done',
        "disk-named": named,
        "disk-ids": "ls /dev/disk/by-id | grep ^nvme",
        "disk-mounted": f"findmnt -n -o SOURCE,FSTYPE,OPTIONS -M {layout.ETCD_DATA}",
        "disk-unit": f"sed -n 's|^What=/dev/disk/by-uuid/||p' {layout.ETCD_MOUNT_UNIT}",
        "disk-root-data": f"[ -d {layout.ETCD_DATA}/member ] && ! mountpoint -q {layout.ETCD_DATA} && echo yes",
    }


@dataclass(frozen=True)
class Namespace:
    """A disk of a node as it was found."""

    device: str
    """As `/dev/nvme0n1`."""
    serial: str
    model: str
    transport: str
    """How it is attached: `pcie` for an NVMe namespace inside the machine, as `tcp` for one on a network, and `virtio`
    or what lsblk says (`sata`, `usb`) for what is no NVMe."""
    size: int
    """Bytes."""
    read_only: bool
    children: tuple[str, ...]
    """Partitions, and what else is made of it."""
    mountpoints: tuple[str, ...]
    """Its own, and those of its children."""
    signatures: Mapping[str, str]
    """What is recognised on the device itself: type -> UUID."""
    warning: int
    """SMART's critical_warning, a set of bits; 0 is good."""
    etcd_data: bool
    """Holds the data of an etcd member."""

    def __str__(self) -> str:
        return f"{self.device} ({self.model}, serial {self.serial})"


@dataclass(frozen=True)
class Choice:
    """The namespace that holds etcd's data, or will."""

    namespace: Namespace
    filesystem: str
    """UUID of the file system that is, or is to be, on it: known before it is made, so that a killed run converges."""
    made: bool
    """The file system is there."""
    wipe: bool
    """What else is there is to be removed first, since the inventory names the serial."""


def namespaces(answers: Mapping[str, Sequence[str]]) -> list[Namespace]:
    """The node's disks, from its answers; of those that are not NVMe only name and transport matter."""
    text = "\n".join(answers.get("disks", ()))
    listed: list[dict[str, Any]] = json.loads(text)["blockdevices"] if text else []
    controllers = dict(w for line in answers.get("disk-transport", ()) if len(w := line.split()) == 2)
    smart = dict(w for line in answers.get("disk-smart", ()) if len(w := line.split()) == 2)
    signatures: dict[str, dict[str, str]] = {}
    for line in answers.get("disk-signatures", ()):
        device, _offset, identifier, _label, kind = line.split(",")[:5]
        signatures.setdefault(device, {})[kind] = identifier
    return [
        Namespace(
            device=device,
            serial=str(disk.get("serial") or "").strip(),
            model=str(disk.get("model") or "").strip(),
            transport=_transport(disk, controllers),
            size=int(disk["size"]),
            read_only=disk["ro"] in (True, "1"),
            children=tuple(c["name"] for c in _below(disk)),
            mountpoints=tuple(m for d in (disk, *_below(disk)) if (m := d.get("mountpoint"))),
            signatures=signatures.get(device, {}),
            warning=int(smart.get(device, "0")),
            etcd_data=device in answers.get("disk-etcd-data", ()),
        )
        for disk in listed
        if disk["type"] == "disk"
        for device in [f"/dev/{disk['name']}"]
    ]


def _transport(disk: Mapping[str, Any], controllers: Mapping[str, str]) -> str:
    if disk.get("tran") != "nvme":
        # lsblk has no word for virtio.
        return str(disk.get("tran") or ("virtio" if disk["name"].startswith("vd") else "an unknown transport"))
    # With multipath, a namespace has the number of its subsystem, which need not be a controller's.
    kinds = set(controllers.values())
    return kinds.pop() if len(kinds) == 1 else controllers.get(disk["name"].rpartition("n")[0], "an unknown transport")


def _below(disk: Mapping[str, Any]) -> list[dict[str, Any]]:
    children: list[dict[str, Any]] = disk.get("children", [])
    return [d for child in children for d in (child, *_below(child))]


def choose(view: View) -> Choice | str:
    """The namespace for etcd on a node, or why there is none."""
    disks = namespaces(view.answers)
    if mounted := view.line("disk-mounted"):
        return _mounted(view, disks, mounted.split()[0])
    if view.line("disk-root-data"):
        return f"{layout.ETCD_DATA} holds data on the root disk, which this project does not move"
    if view.node.etcd_device:
        return _named(view, disks)
    nvme = [d for d in disks if d.device.startswith("/dev/nvme")]
    if ours := [d for d in nvme if _ours(view, d)]:
        return _checked(view, ours[0])
    checked = [_checked(view, d) for d in nvme]
    suitable = [c for c in checked if isinstance(c, Choice)]
    if len(suitable) == 1:
        return suitable[0]
    if suitable:
        several = ", ".join(str(c.namespace) for c in suitable)
        return f"several would do ({several}): name one in the node's etcd_device"
    only = ", ".join(f"{d.device} ({d.transport})" for d in disks)
    return "; ".join(c for c in checked if isinstance(c, str)) or f"there is no NVMe namespace, only {only}"


def _mounted(view: View, disks: Sequence[Namespace], source: str) -> Choice | str:
    held = next((d for d in disks if d.device == source), None)
    if held is None or held.transport != "pcie":
        return f"{layout.ETCD_DATA} is mounted from {source}, which is no NVMe namespace of this machine"
    return f"{held} {warning}" if (warning := _warning(held)) else _choice(view, held)


def _named(view: View, disks: Sequence[Namespace]) -> Choice | str:
    device = view.line("disk-named")
    found = next((d for d in disks if d.device == device), None)
    if found is None:
        known = ", ".join(view.lines("disk-ids")) or "none of NVMe"
        what = f"is {device}, which is no whole disk" if device else "does not exist"
        return f"etcd_device {view.node.etcd_device} {what} (/dev/disk/by-id has {known})"
    return _checked(view, found)


def _checked(view: View, disk: Namespace) -> Choice | str:
    reason = _unsuitable(view, disk)
    return f"{disk} {reason}" if reason else _choice(view, disk)


def _choice(view: View, found: Namespace) -> Choice:
    made = bool(view.line("disk-mounted")) or _ours(view, found)
    wipe = not made and bool(found.signatures or found.children)
    return Choice(found, _filesystem(view, found), made=made, wipe=wipe)


def _filesystem(view: View, disk: Namespace) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{view.spec.name}/{view.node.name}/{disk.serial}"))


def _ours(view: View, disk: Namespace) -> bool:
    """Our file system, either in use by this installation of the machine or without data.

    With data and without our mount unit it is left from an earlier installation: its etcd would bring an earlier
    cluster back.
    """
    identifier = _filesystem(view, disk)
    if disk.signatures != {FILESYSTEM: identifier} or disk.children:
        return False
    return view.line("disk-unit") == identifier or not disk.etcd_data


def _warning(disk: Namespace) -> str | None:
    said = [text for bit, text in _SMART_WARNINGS.items() if disk.warning & bit]
    return f"warns (SMART): {', '.join(said) or disk.warning}" if disk.warning else None


def _unsuitable(view: View, disk: Namespace) -> str | None:
    if disk.transport != "pcie":
        return f"is no NVMe namespace inside the machine, but attached by {disk.transport}"
    if disk.read_only:
        return "is read-only"
    if disk.size < (needed := smallest(view.spec)):
        return f"has {disk.size / 2**30:.1f} GiB, and {needed / 2**30:.0f} are needed"
    if warning := _warning(disk):
        return warning
    if disk.mountpoints:
        return f"is in use: mounted at {', '.join(disk.mountpoints)}"
    if _ours(view, disk) or disk.serial == view.spec.etcd.wipe_serial:
        return None
    if disk.etcd_data:
        return "holds the data of an etcd member of an earlier installation"
    held = [*disk.signatures, *(f"the partition {c}" for c in disk.children)]
    return f"is not blank: it holds {', '.join(held)}" if held else None


def smallest(spec: ClusterSpec) -> int:
    """Bytes that etcd's disk must have: the data, a copy while it is defragmented, and the log."""
    return 2 * spec.etcd.quota_backend_bytes + 2**30


def _refused(view: View) -> str | None:
    found = choose(view)
    return found if isinstance(found, str) else None


CHECKS: Sequence[Check] = (
    Check(
        "etcd-disk",
        "an NVMe namespace for etcd",
        "one that is blank, or that this cluster's etcd has already",
        "Give the node one, name it in the node's etcd_device (/dev/disk/by-id/...), or allow what is on it to be "
        "erased: etcd.wipe_serial = its serial number.",
        _refused,
        lambda v: concerned(v.spec, v.node),
    ),
    Check(
        "fio",
        "fio, installed or to be had",
        "3.5 or later: older ones do not say how long an fdatasync takes",
        "Install a later one (Ubuntu 18.04 has 3.1), or use a later release of the distribution.",
        lambda v: v.line("fio") if fio.too_old(v.line("fio")) else None,
        lambda v: concerned(v.spec, v.node),
    ),
)
"""Asked before anything is changed."""


def _wrong_mount(view: View) -> str | None:
    found = choose(view)
    if isinstance(found, str):
        return found
    _, filesystem, options = (*view.line("disk-mounted").split(), "", "", "")[:3]
    if not filesystem:
        return f"nothing is mounted at {layout.ETCD_DATA}"
    if view.line("disk-unit") not in found.namespace.signatures.values():
        return f"{layout.ETCD_MOUNT_UNIT} mounts another file system at the next boot"
    wrong = [f"the file system is {filesystem}"] if filesystem != FILESYSTEM else []
    return ", ".join([*wrong, *(["atime is on"] if "noatime" not in options.split(",") else [])]) or None


def measured(view: View) -> Measured | None:
    """What was measured of the disk that etcd has; None where that was another one, or none."""
    found, kept = choose(view), Measured.kept("\n".join(view.lines("disk-report")))
    return kept if kept and isinstance(found, Choice) and kept.serial == found.namespace.serial else None


def _slow(view: View) -> str | None:
    found = measured(view)
    if found is None:
        return "this disk was not measured"
    return None if found.fsync_p99_ms < view.spec.etcd.fsync_p99_limit_ms else f"{found}, on {found.date}"


PROOFS: Sequence[Check] = (
    Check(
        "etcd-disk",
        "etcd's disk",
        f"an NVMe namespace of the node, {FILESYSTEM} of its own, noatime, mounted by UUID, without SMART warnings",
        "Run the deploy again; lsblk, systemctl status var-lib-etcd.mount.",
        _wrong_mount,
        lambda v: concerned(v.spec, v.node),
    ),
    Check(
        "etcd-disk-speed",
        "the p99 of fdatasync on etcd's disk, as fio measured it",
        "below etcd.fsync_p99_limit_ms",
        "Run the deploy again with --data fio=again when the disk is idle; or give etcd a faster one.",
        _slow,
        lambda v: concerned(v.spec, v.node),
    ),
)
"""What verification asks."""
