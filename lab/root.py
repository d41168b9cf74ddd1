"""The root file system that machines start from: Debian 12 as a cloud image would have it.

Only distribution packages, and nothing of Kubernetes. What a container needs to boot like a machine is in
drop-ins that say why; what a virtual machine needs besides is in lab/disk.py.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import host
from lab.spec import LabError, cache_directory

__all__ = ["MACHINE", "SUITE", "Recipe", "bootstrap", "build", "debian_sources"]

SUITE = "bookworm"


@dataclass(frozen=True)
class Recipe:
    """What a root file system is made of."""

    packages: tuple[str, ...]
    files: Mapping[str, str]
    """Path below the root -> content, put in place before `commands` run."""
    commands: str
    """Shell, one command a line, run in the new root."""

    @property
    def digest(self) -> str:
        """Two recipes that differ have different digests."""
        text = "\n".join([SUITE, *self.packages, *(f"{k}\n{v}" for k, v in self.files.items()), self.commands])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def and_also(self, other: Recipe) -> Recipe:
        """This recipe, and then `other`."""
        return Recipe(self.packages + other.packages, {**self.files, **other.files}, self.commands + other.commands)


_PACKAGES = (
    "apt",
    "arptables",
    "ca-certificates",
    "conntrack",
    "containerd",
    "curl",
    "dbus",
    "dnsutils",
    "ebtables",
    "ethtool",
    "fio",
    "gnupg",
    "iproute2",
    "ipset",
    "iptables",
    "iputils-ping",
    "ipvsadm",
    "jq",
    "kmod",
    "less",
    "libpam-systemd",
    "nvme-cli",
    "openssh-server",
    "openssl",
    "procps",
    "runc",
    "socat",
    "sudo",
    "systemd",
    "systemd-sysv",
    "udev",
    "util-linux",
    "xfsprogs",
)

MACHINE = Recipe(
    _PACKAGES,
    {
        "etc/sudoers.d/admin": "admin ALL=(ALL) NOPASSWD: ALL\n",
        "etc/ssh/sshd_config.d/lab.conf": (
            "UseDNS no\nPasswordAuthentication no\nAuthorizedKeysFile /etc/ssh/authorized_keys.%u\n"
        ),
        "etc/apt/apt.conf.d/90lab": 'APT::Install-Recommends "false";\n',
    },
    """\
useradd --create-home --shell /bin/bash admin
systemctl enable systemd-networkd.service ssh.service
systemctl disable apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer
rm -f /etc/ssh/ssh_host_* /etc/hostname
: > /etc/machine-id
chmod 440 /etc/sudoers.d/admin
""",
)
"""What containers and virtual machines have in common."""

_CONTAINER = Recipe(
    (),
    {
        "etc/systemd/system/lab-cgroups.service": """\
# A container's cgroup mounts come up read-only and its mounts private; the kubelet needs both otherwise.
[Unit]
Description=Writable cgroups and shared mounts
DefaultDependencies=no
Before=sysinit.target systemd-networkd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'for c in /sys/fs/cgroup/*/; do mount -o remount,bind,rw "$c" || true; done; \\
  mount --make-rshared /'

[Install]
WantedBy=sysinit.target
""",
        "etc/systemd/system/containerd.service.d/lab.conf": """\
# No CAP_SYS_RESOURCE and no modprobe in a container that shares its host's kernel.
[Service]
ExecStartPre=
OOMScoreAdjust=0
LimitNOFILE=20000
LimitNPROC=
""",
    },
    """\
systemctl enable lab-cgroups.service
systemctl mask systemd-resolved.service systemd-logind.service getty.target console-getty.service
""",
)


def build() -> Path:
    """The root of container machines, built if it is not in the cache; the directory of a file system."""
    recipe = MACHINE.and_also(_CONTAINER)
    directory = cache_directory() / "roots" / recipe.digest
    if directory.exists():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="building-") as temporary:
        root = Path(temporary) / "root"
        bootstrap(recipe, root)
        root.rename(directory)
    return directory


def debian_sources() -> str:
    """This host's own package sources of Debian 12, one line each."""
    listed = host.run(
        "apt-get",
        "indextargets",
        "--format",
        "$(ORIGIN)|$(CODENAME)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
        "Created-By: Packages",
    ).stdout.splitlines()
    fields = [line.split("|", 2) for line in listed]
    # The codename of the security archive is bookworm-security; third parties are not asked.
    found = {f[2] for f in fields if f[0] == "Debian" and f[1].startswith(SUITE)}
    if not found:
        raise LabError(
            f"this host's apt knows no package source of Debian {SUITE}, which the lab's machines are "
            "made of. Run apt-get update, or add one to /etc/apt/sources.list.d"
        )
    return "".join(f"{line}\n" for line in sorted(found))


def bootstrap(recipe: Recipe, root: Path) -> None:
    """Makes the file system of `recipe` in the directory `root`, which does not exist yet."""
    host.require({"mmdebstrap": "mmdebstrap"})
    with tempfile.TemporaryDirectory(prefix="groundwork-root-") as temporary:
        overlay = Path(temporary) / "files"
        for name, content in recipe.files.items():
            path = overlay / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        script = Path(temporary) / "customise.sh"
        script.write_text(
            f'set -e\ncp -rT {overlay} "$1"\nchroot "$1" sh -ec \'{recipe.commands}\'\n', encoding="utf-8"
        )
        host.run(
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join(recipe.packages)}",
            f'--customize-hook=sh {script} "$1"',
            SUITE,
            root,
            "-",
            stdin=debian_sources(),
        )
    shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True)
