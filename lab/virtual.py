"""Virtual machines: QEMU with a kernel of their own, an NVMe namespace, and a place on the lab's bridge.

With KVM where it works, which a timed boot shows, and by translation (TCG) otherwise: some twenty times slower, and
good enough to prove what is about a kernel or a disk.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab import disk, host
from lab.identity import identity
from lab.process import Process
from lab.spec import Lab, Machine

__all__ = ["NVME", "PROGRAMS", "Virtual", "accelerator", "known_accelerator", "why_not"]

PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86"}

Accelerator = Literal["kvm", "tcg"]

_PROBED = Path("/run/kube-groundwork-accelerator")
"""What the probe found, until the host boots again."""
_PROBE_S = 20
_PROBE_SIGN = b"Loading, please wait"
"""What Debian's initial RAM disk says first: the kernel is up and runs programs."""

NVME = "nvme-namespace"
"""What QEMU's monitor calls the device of the NVMe namespace; its drive is called `nvme`."""

_CPUS = 2
_STOP_S = 20


@dataclass(frozen=True)
class Virtual:
    """One virtual machine of a lab, running or not."""

    lab: Lab
    machine: Machine

    boot_s = 400
    """Seconds until ssh answers, at most; TCG on a busy host takes two minutes."""

    @property
    def directory(self) -> Path:
        """All that this machine keeps on the host."""
        return self.lab.state / "machines" / self.machine.name

    @property
    def console(self) -> Path:
        """What it printed on its serial line."""
        return self.directory / "console.log"

    @property
    def journal(self) -> None:
        """It is on the machine's disk, where the host cannot read it."""
        return

    @property
    def process(self) -> Process:
        """QEMU."""
        return Process(self.directory / "process.json")

    @property
    def monitor(self) -> Path:
        """A socket of QEMU's, on which it takes commands."""
        return self.directory / "monitor.sock"

    @property
    def _tap(self) -> str:
        # An interface's name has at most 15 characters.
        return "kgv" + hashlib.sha256(f"{self.lab.name}/{self.machine.name}".encode()).hexdigest()[:10]

    @property
    def _mac(self) -> str:
        return "52:54:" + ":".join(f"{octet:02x}" for octet in self.machine.address.packed)

    def start(self) -> None:
        """The machine boots, unless it runs already."""
        if self.process.pid is not None:
            return
        made = disk.build()
        self.directory.mkdir(parents=True, exist_ok=True)
        # Raw, not qcow2 on top of the image: what QEMU holds in memory of qcow2 would be lost when it is killed.
        _copy_once(made.image, self.directory / "root.raw")
        nvme = self.directory / "nvme.raw"
        if not nvme.exists():
            with nvme.open("wb") as file:
                os.truncate(file.fileno(), int(self.machine.nvme[:-1]) * 2**30)
        self._write_seed()
        self._plug_in()
        with self.console.open("ab") as console:
            process = subprocess.Popen(
                self._command(accelerator(made)),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self.process.remember(process.pid)

    def kill(self) -> None:
        """A power cut."""
        self.process.kill()
        self.process.ended_within(_STOP_S)

    def remove(self) -> None:
        """Nothing of the machine is left on the host."""
        self.kill()
        host.run("ip", "link", "del", self._tap, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _write_seed(self) -> None:
        link = f"MACAddress={self._mac}"
        with tarfile.open(self.directory / "seed.tar", "w") as archive:
            for name, written in identity(self.lab, self.machine, link=link).items():
                content = written.content.encode()
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), written.mode
                archive.addfile(member, io.BytesIO(content))

    def _plug_in(self) -> None:
        if host.run("ip", "link", "show", self._tap, check=False).returncode:
            host.run("ip", "tuntap", "add", "dev", self._tap, "mode", "tap")
        host.run("ip", "link", "set", self._tap, "master", self.lab.bridge, "up")

    def _command(self, accelerated: Accelerator) -> list[str]:
        throttle = f",throttling.iops-total={self.machine.nvme_iops}" if self.machine.nvme_iops else ""
        drives = {
            # The host's page cache outlives QEMU; flushes would only make a lab slow.
            "root": (f"file={self.directory}/root.raw,cache=unsafe", "virtio-blk-pci,bootindex=0"),
            "seed": (f"file={self.directory}/seed.tar,readonly=on", "virtio-blk-pci"),
            "nvme": (
                f"file={self.directory}/nvme.raw,cache=unsafe{throttle}",
                f"nvme,id={NVME},serial={self.machine.nvme_serial}",
            ),
        }
        command = [
            *_hardware(accelerated),
            "-name",
            f"{self.lab.name}-{self.machine.name}",
            "-m",
            str(self.machine.memory_bytes // 2**20),
            "-serial",
            "stdio",
            "-monitor",
            f"unix:{self.monitor},server=on,wait=off",
            "-netdev",
            f"tap,id=lab,ifname={self._tap},script=no,downscript=no",
            "-device",
            f"virtio-net-pci,netdev=lab,mac={self._mac}",
        ]
        for name, (drive, device) in drives.items():
            command += ["-drive", f"{drive},format=raw,if=none,id={name}", "-device", f"{device},drive={name}"]
        return command


def known_accelerator() -> Accelerator | None:
    """What a probe found since the host booted; None when there was none."""
    try:
        found = _PROBED.read_text()
    except OSError:
        return None
    return "kvm" if found == "kvm" else "tcg"


def accelerator(made: disk.Disk) -> Accelerator:
    """How this host runs virtual machines. /dev/kvm may be there, open, and still not run a kernel: it is tried."""
    if (known := known_accelerator()) is not None:
        return known
    found: Accelerator = "kvm" if _kvm_works(made) else "tcg"
    _PROBED.write_text(found)
    return found


def _kvm_works(made: disk.Disk) -> bool:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    boot = ["-kernel", str(made.kernel), "-initrd", str(made.initrd), "-append", "console=ttyS0", "-m", "512"]
    with tempfile.TemporaryFile() as console:
        process = subprocess.Popen(
            [*_hardware("kvm"), *boot, "-serial", "stdio", "-monitor", "none", "-net", "none"],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _PROBE_S
        try:
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.2)
                if _PROBE_SIGN in os.pread(console.fileno(), 2**20, 0):
                    return True
            return False
        finally:
            process.kill()
            process.wait()


def _hardware(accelerated: Accelerator) -> list[str]:
    return [
        "qemu-system-x86_64",
        "-machine",
        "q35",
        "-accel",
        "kvm" if accelerated == "kvm" else "tcg,thread=multi,tb-size=512",
        "-cpu",
        "host" if accelerated == "kvm" else "max",
        "-smp",
        str(_CPUS),
        "-display",
        "none",
        "-nodefaults",
        "-device",
        "virtio-rng-pci",
    ]


def _copy_once(source: Path, target: Path) -> None:
    """A sparse copy, complete or not there at all."""
    if target.exists():
        return
    incomplete = target.with_suffix(".part")
    host.run("cp", "--sparse=always", "--reflink=auto", source, incomplete)
    incomplete.rename(target)


def why_not() -> str | None:
    """Why this host cannot run virtual machines; None when it can."""
    if os.uname().machine != "x86_64":
        return f"the lab's virtual machines are x86_64, and this host is {os.uname().machine}"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun to put them on a bridge"
    return None
