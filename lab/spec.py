"""What a lab is: its network and machines, read from one YAML file."""

from __future__ import annotations

import os
from collections import Counter
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

__all__ = ["Lab", "LabError", "Machine", "bundle_directory", "cache_directory", "load"]

Kind = Literal["container", "vm", "auto"]
Role = Literal["control_plane", "worker", "etcd", "ingress", "route_reflector", "router"]
"""`router`: no node of the cluster, but one that speaks BGP with all of them, as a top-of-rack switch would."""
Name = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=12)]

DEFAULT_FILE = Path(__file__).with_name("lab.yaml")
_LABS = Path("/var/lib/kube-groundwork/labs")
_CGROUPS = Path("/sys/fs/cgroup")

CONTROLLERS = ("blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids", "systemd")
"""The cgroup v1 hierarchies that kubelet 1.15 and systemd need, each mounted on its own."""


class LabError(Exception):
    """Something about the lab that its user must know or mend; the message is the whole explanation."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(_Model):
    """One machine of a lab."""

    name: Name
    kind: Kind = "auto"
    address: IPv4Address
    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]*[MG]$")] = "3G"
    """A limit for a container, the size for a virtual machine; in MiB (M) or GiB (G)."""
    nvme: Annotated[str, Field(pattern=r"^[1-9][0-9]*G$")] = "20G"
    """Size of a virtual machine's NVMe namespace, in GiB; the host holds what is written to it."""
    nvme_iops: Annotated[int, Field(ge=1)] | None = None
    """Operations per second that the namespace is throttled to, as a slow disk would be; None: not at all."""
    roles: tuple[Role, ...] = ("worker",)

    @property
    def nvme_serial(self) -> str:
        """The serial number of the namespace."""
        return f"LAB{self.name.upper()}"

    @property
    def memory_bytes(self) -> int:
        """The memory in bytes."""
        return int(self.memory[:-1]) * {"M": 2**20, "G": 2**30}[self.memory[-1]]


class Lab(_Model):
    """Machines on one bridge, and a mirror of the artefacts that they fetch."""

    name: Name
    network: IPv4Network
    mirror_port: Annotated[int, Field(ge=1024, le=65535)] = 8080
    machines: tuple[Machine, ...] = Field(min_length=1)

    @property
    def bridge(self) -> str:
        """The network bridge on the host."""
        return f"kg-{self.name}"

    @property
    def gateway(self) -> IPv4Address:
        """The host's address on the bridge."""
        return self.network[1]

    @property
    def mirror_url(self) -> str:
        """Where the machines find the artefacts."""
        return f"http://{self.gateway}:{self.mirror_port}"

    @property
    def state(self) -> Path:
        """Everything this lab keeps on the host while it exists."""
        return _LABS / self.name

    @property
    def ssh_user(self) -> str:
        """A user with passwordless sudo on every machine."""
        return "admin"

    @property
    def ssh_key(self) -> Path:
        """The private key that opens every machine of this lab."""
        return self.state / "ssh" / "id_ed25519"

    @property
    def certificates(self) -> Path:
        """The certificates and keys of the lab's ingress hosts and their clients."""
        return self.state / "certificates"

    @property
    def known_hosts(self) -> Path:
        """The machines' host keys, known before they boot."""
        return self.state / "ssh" / "known_hosts"

    def machine(self, name: str) -> Machine:
        """The machine called `name`; LabError when the lab has none."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        known = ", ".join(m.name for m in self.machines)
        raise LabError(f"lab {self.name} has no machine {name}; it has {known}")

    def kind_of(self, machine: Machine) -> Literal["container", "vm"]:
        """What `machine` is on this host; `auto` is a container wherever the host can run one."""
        if machine.kind == "auto":
            return "vm" if why_no_containers() else "container"
        return machine.kind

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for what in ("name", "address"):
            counted = Counter(str(getattr(m, what)) for m in self.machines)
            if twice := [value for value, n in counted.items() if n > 1]:
                raise ValueError(f"{what} {', '.join(twice)} is given to more than one machine")
        for machine in self.machines:
            if machine.address not in self.network or machine.address == self.gateway:
                raise ValueError(
                    f"{machine.name} has the address {machine.address}: choose one of {self.network} "
                    f"other than the host's, {self.gateway}"
                )
        return self


def load(path: Path | None = None) -> Lab:
    """The lab described by `path`, by the file that GROUNDWORK_LAB names, or by lab/lab.yaml."""
    path = path or Path(os.environ.get("GROUNDWORK_LAB") or DEFAULT_FILE)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        machines = [{"name": name, **fields} for name, fields in data.pop("machines").items()]
        return Lab(machines=tuple(machines), **data)
    except OSError as error:
        raise LabError(f"the lab file {path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        lines = "\n".join(f"  {_where(e)}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors())
        raise LabError(f"the lab file {path} is not right:\n{lines}") from None
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise LabError(
            f"the lab file {path} is not right: it must be YAML with name, network and machines ({error})"
        ) from None


def _where(error: Any) -> str:
    return ".".join(str(part) for part in error["loc"]) or "lab"


def why_no_containers() -> str | None:
    """Why this host cannot run container machines; None when it can."""
    missing = [c for c in CONTROLLERS if not (_CGROUPS / c / "cgroup.procs").exists()]
    if missing:
        return (
            "kubelet 1.15 needs the cgroup v1 controllers, and this host does not mount "
            f"{', '.join(missing)} under {_CGROUPS}"
        )
    return None


def cache_directory() -> Path:
    """Where built things are kept between labs: XDG_CACHE_HOME or ~/.cache, of the user who runs the lab."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kube-groundwork"


def bundle_directory() -> Path:
    """Where the artefacts of all labs are: one bundle, made by `python -m lab artefacts`."""
    return cache_directory() / "bundle"
