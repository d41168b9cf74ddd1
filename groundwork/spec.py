"""The cluster that is wanted: typed, validated, frozen. An inventory file builds one `ClusterSpec`.

Every mistake of an inventory is reported at once, each with its key, its value and what would be right
(`define`), before pyinfra connects anywhere.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from groundwork import certificates
from groundwork.layout import API_PORT

__all__ = [
    "SYSTEM_NAMESPACES",
    "Artefacts",
    "Bgp",
    "BgpPeer",
    "Calico",
    "ClusterSpec",
    "Dns",
    "Etcd",
    "Example",
    "Flow",
    "Ingress",
    "IngressHost",
    "KubeProxy",
    "Network",
    "Node",
    "Pods",
    "Policies",
    "Role",
    "define",
]

Role = Literal["control_plane", "workers", "etcd", "ingress"]
ROLES: tuple[Role, ...] = ("control_plane", "workers", "etcd", "ingress")

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "ingress-nginx")
"""What the cluster itself lives in: policies never deny anything there."""

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
    etcd_device: Annotated[str, Field(pattern=r"^/dev/disk/by-[-a-z]+/[^'/ ]+$")] | None = None
    """The disk for etcd on this node, by a path that stays: `/dev/disk/by-id/nvme-...`. None: the one NVMe namespace
    that is blank, or that etcd has already."""
    shared_kernel: bool = False
    """True for a container that shares its host's kernel (the lab). Kernel modules, global sysctls, nf_conntrack_max
    and disks are then the host's, and kube-proxy has no IPVS; verification reports each exception openly."""


class BgpPeer(_Model):
    """A router outside the cluster that every node speaks BGP with, such as a top-of-rack switch."""

    address: IPv4Address
    as_number: Annotated[int, Field(ge=1, le=4294967295)]
    password_variable: str | None = None
    """The environment variable, on the machine that runs pyinfra, with the session's password (TCP MD5)."""


class Bgp(_Model):
    """How nodes exchange pod routes: a node-to-node mesh of BIRD sessions, or route reflectors."""

    as_number: Annotated[int, Field(ge=1, le=4294967295)] = 64512
    full_mesh_limit: Annotated[int, Field(ge=2, le=500)] = 100
    """Nodes; a mesh of n nodes has n(n-1)/2 sessions, and beyond this many route reflectors are demanded."""
    route_reflectors: tuple[DnsLabel, ...] = ()
    """Names of nodes that pass on everybody's routes; two or more. Empty: every node speaks with every other."""
    peers: tuple[BgpPeer, ...] = ()


class Network(_Model):
    """Addresses of the cluster. Pods are routed, and not encapsulated unless `encapsulation` says so."""

    pod_cidr: IPv4Network = IPv4Network("10.244.0.0/16")
    service_cidr: IPv4Network = IPv4Network("10.96.0.0/12")
    dns_domain: str = "cluster.local"
    block_size: Annotated[int, Field(ge=20, le=32)] = 26
    """Prefix length of the block of pod addresses that a node takes at a time; cannot change later."""
    mtu: Annotated[int, Field(ge=1280, le=9216)] = 1500
    """Bytes; of the nodes' network interface. Nodes that differ from it, or from each other, are refused."""
    encapsulation: Literal["Never", "IPIPCrossSubnet", "VXLANCrossSubnet"] = "Never"
    """What happens to packets for pods behind a router. `Never`: all nodes must be on one link."""
    bgp: Bgp = Bgp()

    @property
    def pod_mtu(self) -> int:
        """Bytes; the pods' MTU: the nodes', less what a tunnel takes off."""
        return self.mtu - {"Never": 0, "IPIPCrossSubnet": 20, "VXLANCrossSubnet": 50}[self.encapsulation]

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
    fsync_p99_limit_ms: Annotated[float, Field(gt=0, le=1000)] = 10.0
    """ms; 99 of 100 fdatasyncs of etcd's write pattern must take less. etcd's own demand; a slower disk is refused."""
    wipe_serial: str | None = None
    """The serial number of the one disk that may be erased although it is not blank. Take it out after the run."""

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
    """CoreDNS, as kubeadm installs it, with a Corefile of ours."""

    version: str = "1.3.1"
    """The tag of the image `coredns`; 1.3.1 is what kubeadm v1.15 brings."""
    replicas: Annotated[int, Field(ge=1, le=20)] = 2
    cache_entries: Annotated[int, Field(ge=256, le=1_000_000)] = 9984
    """How many positive answers a replica keeps; CoreDNS' own default."""
    cache_denial_entries: Annotated[int, Field(ge=256, le=1_000_000)] = 9984
    """The same for negative answers: search lists make many of them."""
    upstreams: tuple[IPv4Address, ...] = ()
    """Where names outside the cluster are asked; empty: the nameservers of the node's resolv.conf."""
    ndots: Annotated[int, Field(ge=1, le=15)] = 2
    """For `ndots_namespaces`: a name with at least so many dots is asked as it is first."""
    ndots_namespaces: tuple[DnsLabel, ...] = ()
    """Namespaces whose Deployments, DaemonSets and StatefulSets get `ndots` (their pods restart once for it).
    The kubelet's default of 5 cannot be changed for a whole cluster."""


class Pods(_Model):
    """The pods of a namespace with `labels`; all of its pods when there are none."""

    namespace: DnsLabel
    labels: dict[str, str] = Field(default_factory=dict)


class Flow(_Model):
    """Traffic that is let through: one flow opens both sides, egress at its source, ingress at its destination."""

    source: Pods | IPv4Network | Literal["ingress"]
    """`ingress`: the nodes of ingress_nodes, whose controllers come from the node's own address."""
    destination: Pods | IPv4Network | Literal["api"]
    """`api`: the API servers, behind the Service `kubernetes`."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """As the destination's pod listens; policies act after a Service's address was translated."""
    protocol: Literal["TCP", "UDP"] = "TCP"


class Policies(_Model):
    """Namespaces where nothing is allowed but DNS and what `flows` declare."""

    namespaces: tuple[DnsLabel, ...] = ()
    flows: tuple[Flow, ...] = ()


class IngressHost(_Model):
    """One host name that ingress-nginx serves."""

    host: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
    namespace: DnsLabel
    service: DnsLabel
    port: Annotated[int, Field(ge=1, le=65535)]
    certificate: Path | None = None
    """PEM, leaf first; with `key`. Without them the host is served by plain HTTP alone."""
    key: Path | None = None
    client_ca: Path | None = None
    """PEM; when given, only clients with a certificate of this authority are let in. It holds for the whole host,
    so an admin area needs a host of its own."""
    client_certificate: Path | None = None
    """PEM; with `client_key`, a certificate of `client_ca` with which verification proves that clients get in."""
    client_key: Path | None = None

    @property
    def name(self) -> str:
        """The name of the host's objects in its namespace."""
        return self.host.replace(".", "-")


class Ingress(_Model):
    """ingress-nginx on the ingress nodes, in their own network namespace: ports 80 and 443 of each."""

    version: Literal["v0.49.3", "0.33.0-20200630"] = "v0.49.3"
    """v0.49.3 is the last for Kubernetes 1.15; the other is what the lab can build."""
    class_name: DnsLabel = "nginx"
    """Ingresses with the annotation kubernetes.io/ingress.class of this value are served."""
    replicas: Annotated[int, Field(ge=1)] | None = None
    """None: one on each ingress node. A node can hold only one."""
    proxy_body_size: Annotated[str, Field(pattern=r"^[1-9][0-9]*[km]$")] = "50m"
    """The largest request body (k, m: KiB, MiB)."""
    proxy_connect_timeout_s: Annotated[int, Field(ge=1, le=75)] = 10
    """Seconds to connect to a pod; nginx takes no more than 75."""
    proxy_read_timeout_s: Annotated[int, Field(ge=1, le=3600)] = 20
    """Seconds between two reads from a pod."""
    hosts: tuple[IngressHost, ...] = ()


class Example(_Model):
    """A shop of a frontend and a backend, made of a program that echoes and waits: what proofs need to talk to."""

    namespace: DnsLabel = "shop"
    host: str = "shop.example"
    """The host of `ingress.hosts` that leads to the frontend; limits and time-outs are proven through it."""
    replicas: Annotated[int, Field(ge=1, le=20)] = 2
    """Of the frontend and of the backend, each on different nodes where possible."""


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
    policies: Policies = Policies()
    ingress: Ingress = Ingress()
    example: Example | None = None
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
    yield from _bgp_mistakes(spec)
    yield from _policy_mistakes(spec)
    yield from _ingress_mistakes(spec)


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


def _bgp_mistakes(spec: ClusterSpec) -> Iterator[str]:
    bgp, nodes = spec.network.bgp, spec.kubernetes_nodes
    reflectors = bgp.route_reflectors
    if not reflectors and len(nodes) > bgp.full_mesh_limit:
        yield (
            f"network.bgp.full_mesh_limit is {bgp.full_mesh_limit} and there are {len(nodes)} nodes: name two or more "
            "of them in network.bgp.route_reflectors"
        )
    if len(reflectors) == 1:
        yield f"network.bgp.route_reflectors names only {reflectors[0]}: name two or more, else its failure is all's"
    for name in reflectors:
        if name not in {n.name for n in nodes}:
            yield f"network.bgp.route_reflectors names {name}, which is neither control plane nor worker"
    for peer in bgp.peers:
        variable = peer.password_variable
        if variable and not os.environ.get(variable):
            yield f"network.bgp.peers: the password of {peer.address} is in ${variable}, which is not set here"
        if variable and spec.calico.release == "v3.13.4":
            yield f"network.bgp.peers: {peer.address} has a password, which Calico v3.13.4 cannot use"


def _policy_mistakes(spec: ClusterSpec) -> Iterator[str]:
    policies = spec.policies
    for name in policies.namespaces:
        if name in SYSTEM_NAMESPACES:
            yield f"policies.namespaces names {name}: the cluster itself lives there, and nothing is denied in it"
    for i, flow in enumerate(policies.flows):
        ends = [e.namespace for e in (flow.source, flow.destination) if isinstance(e, Pods)]
        if not set(ends) & set(policies.namespaces):
            yield (
                f"policies.flows[{i}] touches no namespace of policies.namespaces, so it opens nothing "
                f"(it is about {', '.join(ends) or 'no pods'})"
            )
        if flow.source == "ingress" and not spec.ingress_nodes:
            yield f"policies.flows[{i}] comes from ingress, and ingress_nodes is empty"
        if flow.destination == "api" and flow.port != API_PORT:
            yield f"policies.flows[{i}] goes to port {flow.port} of the API servers: they listen on {API_PORT}"


def _ingress_mistakes(spec: ClusterSpec) -> Iterator[str]:
    ingress, nodes = spec.ingress, spec.ingress_nodes
    if ingress.hosts and not nodes:
        yield "ingress.hosts is given and ingress_nodes is empty: name the nodes that serve them"
    if ingress.replicas is not None and nodes and ingress.replicas > len(nodes):
        yield f"ingress.replicas is {ingress.replicas} and there are {len(nodes)} ingress_nodes: one fits on each"
    served = Counter(h.host for h in ingress.hosts)
    yield from (f"ingress.hosts names {host} {n} times" for host, n in served.items() if n > 1)
    for i, host in enumerate(ingress.hosts):
        where = f"ingress.hosts[{i}] ({host.host})"
        if (host.certificate is None) != (host.key is None):
            yield f"{where}: certificate and key belong together, give both or none"
        if (host.client_certificate is None) != (host.client_key is None):
            yield f"{where}: client_certificate and client_key belong together, give both or none"
        if host.client_ca and not host.certificate:
            yield f"{where}: client_ca needs certificate and key: clients show certificates only on TLS"
        if host.client_certificate and not host.client_ca:
            yield f"{where}: client_certificate is given and client_ca is not"
        yield from (f"{where}: {text}" for text in certificates.mistakes(host.host, _files_of(host)))
    if spec.example and spec.example.host not in served:
        yield f"example.host {spec.example.host} is none of ingress.hosts: its proofs go through it"


def _files_of(host: IngressHost) -> dict[str, Path]:
    fields = ("certificate", "key", "client_ca", "client_certificate", "client_key")
    return {field: path for field in fields if (path := getattr(host, field)) is not None}


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
