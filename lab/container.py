"""Container machines: systemd-nspawn containers that boot, crash and come back like small servers.

Each has an overlay on the shared root, a cgroup tree of its own in every v1 hierarchy (else all kubelets
would share one /kubepods.slice and eat each other's pods), and real directories where overlays cannot stack.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from lab import host, root
from lab.identity import identity
from lab.process import Process, children
from lab.spec import CONTROLLERS, Lab, LabError, Machine

__all__ = ["Container"]

_CGROUPS = Path("/sys/fs/cgroup")

_REAL_DIRECTORIES = ("var/lib/containerd", "var/lib/kubelet", "var/lib/etcd")
"""overlayfs cannot be stacked on overlayfs, and etcd wants a disk, not an overlay."""

_ENVIRONMENT = {
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "0",
    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes",
    "SYSTEMD_SECCOMP": "0",
}

_STOP_S = 20


def _hierarchies() -> tuple[str, ...]:
    """The cgroup hierarchies in which a machine gets a tree: v1's, and v2's where the host mounts that as well.

    systemd-nspawn takes its place from v2's when there is one, and would put all machines into one tree of it.
    """
    return (*CONTROLLERS, "unified") if (_CGROUPS / "unified" / "cgroup.procs").exists() else CONTROLLERS


@dataclass(frozen=True)
class Container:
    """One container machine of a lab, running or not."""

    lab: Lab
    machine: Machine

    boot_s = 120
    """Seconds until ssh answers, at most."""

    @property
    def directory(self) -> Path:
        """All that this machine keeps on the host."""
        return self.lab.state / "machines" / self.machine.name

    @property
    def root(self) -> Path:
        """Where its file system is mounted."""
        return self.directory / "root"

    @property
    def console(self) -> Path:
        """What it printed while it booted."""
        return self.directory / "console.log"

    @property
    def journal(self) -> Path:
        """Its journal, readable from the host."""
        return self.root / "var/log/journal"

    @property
    def process(self) -> Process:
        """systemd-nspawn, whose child is the machine's init."""
        return Process(self.directory / "process.json")

    def start(self) -> None:
        """The machine boots, unless it runs already. What an interrupted start left is put right first."""
        if self.process.pid is not None:
            return
        image = root.build()
        self._kill_strays()
        self._clear_cgroups()
        self._mount(image)
        self._furnish()
        self._enter_new_cgroups()
        with self.console.open("ab") as console:
            process = subprocess.Popen(
                self._command(),
                env={**os.environ, **_ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                preexec_fn=self._join_cgroups,
            )
        self.process.remember(process.pid)

    def kill(self) -> None:
        """A power cut: SIGKILL to the machine's init, and with it every process of the machine, at once."""
        if (pid := self.process.pid) is None:
            return
        # Killing systemd-nspawn alone would leave the machine's processes running.
        for child in children(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        if not self.process.ended_within(_STOP_S):
            self.process.kill()

    def remove(self) -> None:
        """Nothing of the machine is left on the host."""
        self.kill()
        self._kill_strays()
        self._clear_cgroups()
        for mounted in _mounts_below(self.directory):
            host.run("umount", "--lazy", mounted)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _command(self) -> list[str]:
        binds = [f"--bind={self.directory / 'data' / Path(d).name}:/{d}" for d in _REAL_DIRECTORIES]
        return [
            "systemd-nspawn",
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--capability=all",
            f"--directory={self.root}",
            f"--machine={self.lab.name}-{self.machine.name}",
            f"--hostname={self.machine.name}",
            f"--network-bridge={self.lab.bridge}",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--bind=/dev/kmsg",
            "--bind=/dev/fuse",
            *binds,
            "--property=Delegate=yes",
            "--boot",
            "--console=pipe",
        ]

    def _mount(self, image: Path) -> None:
        for name in ("upper", "work", "root"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        if os.path.ismount(self.root):
            return
        layers = f"lowerdir={image},upperdir={self.directory / 'upper'},workdir={self.directory / 'work'}"
        host.run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)

    def _furnish(self) -> None:
        """Writes what makes this machine itself: name, identity, address, keys."""
        for name in _REAL_DIRECTORIES:
            (self.directory / "data" / Path(name).name).mkdir(parents=True, exist_ok=True)
            (self.root / name).mkdir(parents=True, exist_ok=True)
        machine_id = self.directory / "machine-id"
        if not machine_id.exists():
            machine_id.write_text(f"{uuid.uuid4().hex}\n")
        (self.root / "etc/machine-id").write_text(machine_id.read_text())
        for name, written in identity(self.lab, self.machine, link="Name=host0").items():
            path = self.root / name
            path.touch(mode=written.mode)
            path.write_text(written.content)

    def _cgroup(self, controller: str) -> Path:
        return _CGROUPS / controller / f"kg-{self.lab.name}-{self.machine.name}"

    def _enter_new_cgroups(self) -> None:
        for controller in _hierarchies():
            group = self._cgroup(controller)
            group.mkdir(exist_ok=True)
            if controller == "cpuset":
                for name in ("cpuset.cpus", "cpuset.mems"):
                    (group / name).write_text((group.parent / name).read_text())
                (group / "cgroup.clone_children").write_text("1")
            if controller == "memory":
                (group / "memory.limit_in_bytes").write_text(str(self.machine.memory_bytes))

    def _join_cgroups(self) -> None:
        """Runs in the child before it becomes systemd-nspawn, whose cgroup namespace is then rooted here."""
        for controller in _hierarchies():
            (self._cgroup(controller) / "cgroup.procs").write_text("0")

    def _kill_strays(self) -> None:
        """Ends what runs in the machine's cgroups although no process is on record: a start that was killed."""
        for controller in _hierarchies():
            for procs in self._cgroup(controller).rglob("cgroup.procs"):
                for pid in procs.read_text().split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)

    def _clear_cgroups(self) -> None:
        """Left-over pod cgroups make the next kubelet fail with "Failed to create existing container"."""
        for controller in _hierarchies():
            top = self._cgroup(controller)
            groups = sorted((p for p in top.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts))
            for group in [*groups, top]:
                _remove_cgroup(group)


def _remove_cgroup(group: Path) -> None:
    deadline = time.monotonic() + _STOP_S
    while group.exists():
        try:
            group.rmdir()
        except OSError as error:
            # Processes that were killed take a moment to leave.
            if time.monotonic() > deadline:
                raise LabError(f"the cgroup {group} cannot be removed: {error.strerror}") from None
            time.sleep(0.1)


def _mounts_below(directory: Path) -> list[str]:
    """Mount points at or below `directory`, innermost first."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((m for m in mounted if Path(m).is_relative_to(directory)), key=len, reverse=True)
