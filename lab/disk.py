"""The disk that every virtual machine starts from: Debian 12 with its own kernel, which GRUB boots.

It is made without loop devices or mounts: the file system is written into the partition by mke2fs, and GRUB's two
stages go where they belong, in front of it. Whoever changes the kernel's command line does it as on any Debian.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from lab import host
from lab.root import MACHINE, Recipe, bootstrap
from lab.spec import cache_directory

__all__ = ["SEED_DEVICE", "Disk", "build"]

_SIZE_MIB = 16 * 1024
_PARTITION_SECTOR = 2048
"""One MiB is left in front of the partition, as every partitioning tool does; GRUB's core lives there."""
_SECTOR = 512

SEED_DEVICE = "/dev/vdb"
"""A tar archive of what makes a machine itself (name, address, keys), in place of a cloud's metadata."""

_ROOT_UUID = str(uuid.uuid5(uuid.NAMESPACE_DNS, "root.kube-groundwork"))

_MACHINE = Recipe(
    ("e2fsprogs", "grub-pc-bin", "grub2-common", "initramfs-tools", "linux-image-amd64", "zstd"),
    {
        "etc/fstab": f"UUID={_ROOT_UUID} / ext4 errors=remount-ro 0 1\n",
        # A small one: without KVM it is unpacked twenty times slower.
        "etc/initramfs-tools/conf.d/lab": "MODULES=list\n",
        "usr/share/initramfs-tools/modules.d/lab": "virtio_pci\nvirtio_blk\next4\n",
        "etc/default/grub": (
            "GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX_DEFAULT=\n"
            'GRUB_CMDLINE_LINUX="console=ttyS0 mitigations=off"\n'
            'GRUB_TERMINAL="console serial"\nGRUB_SERIAL_COMMAND=serial\n'
        ),
        # The first boot's; update-grub in the machine replaces it by one of the usual kind.
        "boot/grub/grub.cfg": (
            f"linux /vmlinuz root=UUID={_ROOT_UUID} ro console=ttyS0 mitigations=off\ninitrd /initrd.img\nboot\n"
        ),
        "etc/systemd/system/lab-seed.service": f"""\
# What makes this machine itself is on a disk of its own, as a tar archive.
[Unit]
Description=The machine's name, address and keys
DefaultDependencies=no
After=systemd-remount-fs.service
Before=sysinit.target systemd-networkd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=tar --extract --file {SEED_DEVICE} --directory / --no-overwrite-dir
ExecStart=hostname --file /etc/hostname

[Install]
WantedBy=sysinit.target
""",
    },
    """\
mkdir -p /boot/grub/i386-pc
cp /usr/lib/grub/i386-pc/*.mod /usr/lib/grub/i386-pc/*.lst /boot/grub/i386-pc/
grub-mkimage -O i386-pc -o /boot/grub/core.img -p "(hd0,msdos1)/boot/grub" biosdisk part_msdos ext2 normal linux
update-initramfs -u -k all
systemctl enable lab-seed.service
systemctl mask systemd-resolved.service e2scrub_reap.service
""",
)


@dataclass(frozen=True)
class Disk:
    """A disk image, and the kernel on it for those who must start one without its boot loader."""

    directory: Path

    @property
    def image(self) -> Path:
        """The whole disk, raw and sparse."""
        return self.directory / "disk.raw"

    @property
    def kernel(self) -> Path:
        """Debian's kernel."""
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """Its initial RAM disk."""
        return self.directory / "initrd.img"


def build() -> Disk:
    """The disk of this recipe, built if it is not in the cache."""
    recipe = MACHINE.and_also(_MACHINE)
    # How the disk is made is in this file as well, not only in the recipe.
    digest = hashlib.sha256(recipe.digest.encode() + Path(__file__).read_bytes()).hexdigest()[:16]
    directory = cache_directory() / "disks" / digest
    if directory.exists():
        return Disk(directory)
    host.require({"mke2fs": "e2fsprogs"})
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="building-") as temporary:
        made = Disk(Path(temporary) / "disk")
        made.directory.mkdir()
        root = Path(temporary) / "root"
        bootstrap(recipe, root)
        _write(made, root)
        shutil.rmtree(root)
        made.directory.rename(directory)
    return Disk(directory)


def _write(disk: Disk, root: Path) -> None:
    for file in (disk.kernel, disk.initrd):
        shutil.copyfile(_linked(root, file.name), file)
    with disk.image.open("wb") as image:
        os.truncate(image.fileno(), _SIZE_MIB * 2**20)
        image.write(_boot_record(root))
        image.seek(_SECTOR)
        image.write((root / "boot/grub/core.img").read_bytes())
    host.run(
        "mke2fs",
        "-q",
        "-t",
        "ext4",
        "-U",
        _ROOT_UUID,
        "-d",
        root,
        # What is not written now would be written by a kernel thread in every machine.
        "-E",
        f"offset={_PARTITION_SECTOR * _SECTOR},lazy_itable_init=0,lazy_journal_init=0",
        disk.image,
        f"{_SIZE_MIB - _PARTITION_SECTOR * _SECTOR // 2**20}M",
    )


def _linked(root: Path, name: str) -> Path:
    """Debian's /vmlinuz and /initrd.img lead into /boot."""
    return root / str((root / name).readlink()).lstrip("/")


def _boot_record(root: Path) -> bytes:
    """The first sector: GRUB's first stage, which reads its core from the next, and one bootable partition.

    The first stage is made for exactly this place, so grub-install, which would need a device, is not needed.
    """
    code = (root / "usr/lib/grub/i386-pc/boot.img").read_bytes()[:440]
    sectors = _SIZE_MIB * 2**20 // _SECTOR - _PARTITION_SECTOR
    linear = b"\xfe\xff\xff"
    entry = (
        b"\x80" + linear + b"\x83" + linear + _PARTITION_SECTOR.to_bytes(4, "little") + sectors.to_bytes(4, "little")
    )
    return code.ljust(446, b"\0") + entry.ljust(64, b"\0") + b"\x55\xaa"
