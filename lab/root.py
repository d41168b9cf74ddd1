"""The root file system that every container machine starts from: Debian 12 as a cloud image would have it.

Only distribution packages, and nothing of Kubernetes. What a container needs to boot like a machine is in
drop-ins that say why.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from lab import host
from lab.spec import LabError, cache_directory

__all__ = ["SUITE", "build", "debian_sources"]

SUITE = "bookworm"

_PACKAGES = [
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
]

_FILES = {
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
    "etc/systemd/network/80-container-host0.network": """\
# Replaced for each machine; without it systemd's own file would ask for an address by DHCP.
[Match]
Name=host0
""",
    "etc/sudoers.d/admin": "admin ALL=(ALL) NOPASSWD: ALL\n",
    "etc/ssh/sshd_config.d/lab.conf": "UseDNS no\nPasswordAuthentication no\n",
    "etc/apt/apt.conf.d/90lab": 'APT::Install-Recommends "false";\n',
}

_COMMANDS = """\
useradd --create-home --shell /bin/bash admin
systemctl enable systemd-networkd.service lab-cgroups.service ssh.service
systemctl disable apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer
systemctl mask systemd-resolved.service systemd-logind.service getty.target console-getty.service
rm -f /etc/ssh/ssh_host_* /etc/hostname
: > /etc/machine-id
chmod 440 /etc/sudoers.d/admin
"""


def build() -> Path:
    """The root image of this recipe, built if it is not in the cache; the directory of a file system."""
    recipe = "\n".join([SUITE, *_PACKAGES, *(f"{k}\n{v}" for k, v in _FILES.items()), _COMMANDS])
    directory = cache_directory() / "roots" / hashlib.sha256(recipe.encode()).hexdigest()[:16]
    if directory.exists():
        return directory
    host.require({"mmdebstrap": "mmdebstrap"})
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="building-") as temporary:
        root = Path(temporary) / "root"
        _bootstrap(root, Path(temporary))
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


def _bootstrap(root: Path, scratch: Path) -> None:
    overlay = scratch / "files"
    for name, content in _FILES.items():
        path = overlay / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    script = scratch / "customise.sh"
    script.write_text(f'set -e\ncp -rT {overlay} "$1"\nchroot "$1" sh -ec \'{_COMMANDS}\'\n', encoding="utf-8")
    script.chmod(0o755)
    host.run(
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        f"--include={','.join(_PACKAGES)}",
        f'--customize-hook=sh {script} "$1"',
        SUITE,
        root,
        "-",
        stdin=debian_sources(),
    )
    shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True)
