"""The lab: whatever machines lab/lab.yaml (or the file that GROUNDWORK_LAB names) describes."""

from groundwork.spec import (
    Artefacts,
    Bgp,
    BgpPeer,
    Calico,
    Dns,
    Etcd,
    Example,
    Flow,
    Ingress,
    IngressHost,
    KubeProxy,
    Network,
    Node,
    Pods,
    Policies,
    define,
)
from lab.spec import LabError, bundle_directory, load
from lab.virtual import known_accelerator

try:
    _lab = load()
except LabError as _error:
    raise SystemExit(str(_error)) from None

_nodes = {
    m.name: Node(
        name=m.name,
        address=m.address,
        ssh={
            "ssh_user": _lab.ssh_user,
            "ssh_key": str(_lab.ssh_key),
            "ssh_known_hosts_file": str(_lab.known_hosts),
            "ssh_strict_host_key_checking": "yes",
        },
        shared_kernel=_lab.kind_of(m) == "container",
    )
    for m in _lab.machines
}

_emulated = any(not n.shared_kernel for n in _nodes.values()) and known_accelerator() == "tcg"


def _with_role(role: str) -> tuple[Node, ...]:
    return tuple(_nodes[m.name] for m in _lab.machines if role in m.roles)


_shop = {}
if _ingress := _with_role("ingress"):
    # The article's shop, where the lab has a node to serve it: a frontend that asks a backend on 8080, and an admin
    # host that asks its clients for certificates.
    _files = _lab.certificates
    _frontend, _backend = (Pods(namespace="shop", labels={"app": tier}) for tier in ("frontend", "backend"))
    _served = {"certificate": _files / "server.crt", "key": _files / "server.key"}
    _shop = {
        "policies": Policies(
            namespaces=["shop"],
            flows=[
                Flow(source="ingress", destination=_frontend, port=8080),
                Flow(source=_frontend, destination=_backend, port=8080),
            ],
        ),
        "ingress": Ingress(
            version="0.33.0-20200630",
            hosts=[
                IngressHost(host="shop.example", namespace="shop", service="frontend", port=8080, **_served),
                IngressHost(
                    host="admin.shop.example",
                    namespace="shop",
                    service="frontend",
                    port=8080,
                    client_ca=_files / "clients-ca.crt",
                    client_certificate=_files / "client.crt",
                    client_key=_files / "client.key",
                    **_served,
                ),
            ],
        ),
        "example": Example(namespace="shop", host="shop.example"),
    }

_cluster = define(
    name=_lab.name,
    control_plane=_with_role("control_plane"),
    workers=_with_role("worker"),
    etcd_members=_with_role("etcd"),
    ingress_nodes=_ingress,
    # Where no kernel has ip_vs to load, kube-proxy is told so. Beside virtual machines, containers fall back by
    # themselves, and verification says so.
    kube_proxy=KubeProxy(mode="iptables" if all(n.shared_kernel for n in _nodes.values()) else "ipvs"),
    # An emulated processor is what is measured there, more than a disk: seen were 2 to 17 ms, as the host was busy.
    etcd=Etcd(fsync_p99_limit_ms=40.0 if _emulated else 10.0),
    network=Network(
        bgp=Bgp(
            route_reflectors=[n.name for n in _with_role("route_reflector")],
            peers=[
                BgpPeer(address=n.address, as_number=64999, password_variable="GROUNDWORK_LAB_BGP_PASSWORD")
                for n in _with_role("router")
            ],
        )
    ),
    # What can be built from source; see the lab's notes on artefacts.
    calico=Calico(release="v3.28.5"),
    dns=Dns(version="1.6.2", ndots_namespaces=["shop"] if _shop else []),
    **_shop,
    artefacts=Artefacts(source="mirror", url=_lab.mirror_url, directory=bundle_directory()),
)

control_plane = _cluster.hosts("control_plane")
workers = _cluster.hosts("workers")
etcd = _cluster.hosts("etcd")
ingress = _cluster.hosts("ingress")
