"""The cluster that is wanted: typed, validated, frozen. An inventory file builds one `ClusterSpec`.

Every mistake of an inventory is reported at once, each with its key, its value and what would be right
(`define`), before pyinfra connects anywhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

__all__ = [
    "Artefacts",
    "Bgp",
    "Calico",
    "ClusterSpec",
    "Dns",
    "Etcd",
    "KubeProxy",
    "Network",
    "Node",
    "Role",
    "define",
]

Role = Literal["control_plane", "workers", "etcd", "ingress"]
ROLES: tuple[Role, ...] = ("control_plane", "workers", "etcd", "ingress")

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def _dns_label(value: str) -> str:
    if not _DNS_LABEL.fullmatch(value):
        raise ValueError("must be a DNS label: lower-case letters, digits and '-', at most 63, no '-' at either end")
    return value


DnsLabel = Annotated[str, AfterValidator(_dns_label)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Node(_Model):
    """One machine. Its name is its hostname, its Kubernetes node name and its etcd member name."""

    name: DnsLabel
    address: IPv4Address
    """The address the cluster uses: API server, etcd peers, BGP sessions and kubelet bind or speak to it."""
    ssh: dict[str, Any] = Field(default_factory=dict)
    """pyinfra's `ssh_*` connection data. `ssh_hostname` defaults to `address`."""
    shared_kernel: bool = False
    """True for a container that shares its host's kernel (the lab). Kernel modules, global sysctls and
    nf_conntrack_max are then the host's; verification reports each exception openly."""


class Bgp(_Model):
    """How nodes exchange pod routes: a node-to-node mesh of BIRD sessions."""

    as_number: Annotated[int, Field(ge=1, le=4294967295)] = 64512


class Network(_Model):
    """Addresses of the cluster. Pods are routed, never encapsulated."""

    pod_cidr: IPv4Network = IPv4Network("10.244.0.0/16")
    service_cidr: IPv4Network = IPv4Network("10.96.0.0/12")
    dns_domain: str = "cluster.local"
    block_size: Annotated[int, Field(ge=20, le=32)] = 26
    """Prefix length of the block of pod addresses that a node takes at a time; cannot change later."""
    mtu: Annotated[int, Field(ge=1280, le=9216)] = 1500
    """Bytes; of the nodes' network interface, and so of the pods': nothing is taken off for a tunnel."""
    bgp: Bgp = Bgp()

    @property
    def api_service_address(self) -> IPv4Address:
        """The ClusterIP of the Service `kubernetes`: the first of the service range."""
        return self.service_cidr[1]

    @property
    def dns_service_address(self) -> IPv4Address:
        """The ClusterIP of kube-dns: the tenth of the service range, as kubeadm chooses it."""
        return self.service_cidr[10]


class KubeProxy(_Model):
    """How Services are balanced on every node."""

    mode: Literal["ipvs", "iptables"] = "ipvs"
    scheduler: Literal["rr", "wrr", "lc", "sh"] = "rr"
    strict_arp: bool = True
    """Answer ARP only for the interface's own addresses; IPVS binds every Service address to each node."""


class Etcd(_Model):
    """etcd, run by systemd outside Kubernetes."""

    quota_backend_bytes: Annotated[int, Field(ge=64 * 2**20, le=8 * 2**30)] = 8 * 2**30
    """Bytes; etcd's own suggestion of a maximum is 8 GiB."""
    heartbeat_interval_ms: Annotated[int, Field(ge=10, le=5000)] = 100
    election_timeout_ms: Annotated[int, Field(ge=100, le=50000)] = 1000

    @model_validator(mode="after")
    def _election_leaves_room_for_heartbeats(self) -> Self:
        if self.election_timeout_ms < 10 * self.heartbeat_interval_ms:
            raise ValueError(
                f"election_timeout_ms is {self.election_timeout_ms}: etcd wants at least ten heartbeats "
                f"(10 x {self.heartbeat_interval_ms} ms)"
            )
        return self


class Calico(_Model):
    """Pod routes and NetworkPolicies. v3.13.4 is the last release that lists Kubernetes 1.15 as tested."""

    release: Literal["v3.13.4", "v3.28.5"] = "v3.13.4"


class Dns(_Model):
    """CoreDNS, as kubeadm installs it."""

    version: str = "1.3.1"
    """The tag of the image `coredns`; 1.3.1 is what kubeadm v1.15 brings."""
    replicas: Annotated[int, Field(ge=1, le=20)] = 2


class Artefacts(_Model):
    """Where programs and images come from. Whatever the source, nothing is put in place unverified."""

    source: Literal["release", "mirror", "bundle"] = "release"
    """`release`: the official URLs. `mirror`: a web server with the same files. `bundle`: a directory."""
    url: str | None = None
    """Base URL of the mirror; required for `mirror`."""
    directory: Path | None = None
    """The bundle's directory on this machine, holding manifest.json; required for `bundle`. With `mirror`:
    the bundle that the mirror serves, whose manifest replaces the pins of the official files."""
    sha256: dict[str, Sha256] = Field(default_factory=dict)
    """Pins of your own, by artefact name, for files that this project has no trustworthy sum of."""
    image_repository: str = "registry.k8s.io"
    """kubeadm's imageRepository; k8s.gcr.io was frozen in 2023."""

    @model_validator(mode="after")
    def _source_has_its_place(self) -> Self:
        if self.source == "mirror" and not self.url:
            raise ValueError("source is 'mirror' but url is missing: give the mirror's base URL")
        if self.source == "bundle" and not self.directory:
            raise ValueError("source is 'bundle' but directory is missing: give the bundle's directory")
        return self


class ClusterSpec(_Model):
    """Everything that is wanted of a cluster. Build it in the inventory file with `define`."""

    name: DnsLabel
    control_plane: tuple[Node, ...] = Field(min_length=1)
    workers: tuple[Node, ...] = ()
    etcd_members: tuple[Node, ...] = Field(min_length=1)
    """One or three nodes, of the control plane, workers, or machines of their own."""
    ingress_nodes: tuple[Node, ...] = ()
    kubernetes_version: Literal["v1.15.12"] = "v1.15.12"
    network: Network = Network()
    kube_proxy: KubeProxy = KubeProxy()
    etcd: Etcd = Etcd()
    calico: Calico = Calico()
    dns: Dns = Dns()
    artefacts: Artefacts = Artefacts()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every machine once, in the order control plane, workers, etcd."""
        return tuple({n.name: n for n in (*self.control_plane, *self.workers, *self.etcd_members)}.values())

    @property
    def kubernetes_nodes(self) -> tuple[Node, ...]:
        """The machines that run a kubelet."""
        return (*self.control_plane, *self.workers)

    @property
    def first_control_plane(self) -> Node:
        """The node that initialises the cluster, holds its certificate authorities and is asked about it."""
        return self.control_plane[0]

    def node(self, name: str) -> Node:
        """The node called `name`; KeyError when the cluster has none."""
        return {n.name: n for n in self.nodes}[name]

    def members_of(self, role: Role) -> tuple[Node, ...]:
        """The nodes of a role, in the order of the inventory."""
        return {
            "control_plane": self.control_plane,
            "workers": self.workers,
            "etcd": self.etcd_members,
            "ingress": self.ingress_nodes,
        }[role]

    def hosts(self, role: Role) -> list[tuple[str, dict[str, Any]]]:
        """pyinfra's hosts of a role; each carries the cluster as `host.data.cluster`."""
        return [(n.name, {"ssh_hostname": str(n.address), **n.ssh, "cluster": self}) for n in self.members_of(role)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if mistakes := list(_mistakes(self)):
            raise ValueError("\n".join(mistakes))
        return self


def _mistakes(spec: ClusterSpec) -> Iterator[str]:
    yield from _role_mistakes(spec)
    yield from _address_mistakes(spec)


def _role_mistakes(spec: ClusterSpec) -> Iterator[str]:
    if len(spec.control_plane) != 1:
        yield (
            f"control_plane has {len(spec.control_plane)} nodes: exactly one is supported, since several "
            "need a load-balanced API endpoint that this project does not set up yet"
        )
    if len(spec.etcd_members) not in (1, 3):
        yield f"etcd_members has {len(spec.etcd_members)} nodes: use one or three, so that a majority exists"
    for role in ROLES:
        names = Counter(n.name for n in spec.members_of(role))
        yield from (f"{role} names {name} {n} times" for name, n in names.items() if n > 1)
    both = {n.name for n in spec.control_plane} & {n.name for n in spec.workers}
    yield from (f"{name} is in control_plane and in workers: choose one" for name in sorted(both))
    for node in spec.ingress_nodes:
        if node.name not in {n.name for n in spec.kubernetes_nodes}:
            yield f"ingress_nodes names {node.name}, which is neither control plane nor worker"


def _address_mistakes(spec: ClusterSpec) -> Iterator[str]:
    by_name: dict[str, Node] = {}
    for node in (*spec.kubernetes_nodes, *spec.etcd_members, *spec.ingress_nodes):
        if by_name.setdefault(node.name, node) != node:
            yield f"{node.name} is described twice, differently: write the node once and use it in every role"
    addresses = Counter(n.address for n in spec.nodes)
    yield from (f"{a} is the address of {n} nodes" for a, n in addresses.items() if n > 1)
    pods, services = spec.network.pod_cidr, spec.network.service_cidr
    if pods.overlaps(services):
        yield f"network.pod_cidr {pods} overlaps network.service_cidr {services}"
    for node in spec.nodes:
        for field, cidr in (("pod_cidr", pods), ("service_cidr", services)):
            if node.address in cidr:
                yield f"network.{field} {cidr} contains the address of {node.name}, {node.address}"
    if spec.network.block_size < pods.prefixlen:
        yield f"network.block_size /{spec.network.block_size} is larger than network.pod_cidr {pods}"


def define(**fields: Any) -> ClusterSpec:
    """A `ClusterSpec` for an inventory file; on mistakes, one line for each and exit code 1."""
    try:
        return ClusterSpec(**fields)
    except ValidationError as error:
        lines = [f"  {line}" for e in error.errors() for line in _lines(e)]
        raise SystemExit(f"The cluster in this inventory has {len(lines)} mistake(s):\n" + "\n".join(lines)) from None


def _lines(error: Any) -> list[str]:
    key = ".".join(str(part) for part in error["loc"]) or "cluster"
    shown = "" if isinstance(error["input"], (BaseModel, dict)) else f" = {error['input']!r}"
    return [f"{key}{shown}: {text}" for text in error["msg"].removeprefix("Value error, ").split("\n")]
