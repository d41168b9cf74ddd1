"""What must hold before anything is changed: every reason why this cluster could not work, found at once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_interface, ip_network

from groundwork import boot, calico, fio, kernel, layout, storage
from groundwork.checks import Check, View
from groundwork.kubeadm import api_get
from groundwork.spec import ClusterSpec, Node

__all__ = ["CHECKS", "questions"]

_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "devices", "freezer", "memory")
"""cgroup v1 controllers without which kubelet 1.15 does not start."""

_SUPPORTED = {"debian": ("11", "12"), "ubuntu": ("18.04", "20.04", "22.04", "24.04")}

_SKEW_S = 2.0
"""Seconds; tokens, certificates and leases are compared across nodes."""

_MEMORY_MIB = {"control_plane": 1700, "workers": 900, "etcd": 900}
"""kubeadm asks for 1700 on a control plane in later releases; a kubelet with Calico and CoreDNS uses about 500."""

_DISK_GIB = 5
"""Images and programs of one node take about 2 GiB; the kubelet evicts pods when a tenth is left."""

_LOCK_WAIT_S = 300


_RESOLV_CONF = "$([ -e /run/systemd/resolve/resolv.conf ] && echo /run/systemd/resolve || echo /etc)/resolv.conf"
"""What kubeadm v1.15 tells the kubelet to give to pods: behind systemd-resolved, the real nameservers."""

_CONNECT = '{{ timeout 3 bash -c ": </dev/tcp/$p/{port}" 2>&1; [ $? != 124 ] || echo timed out; }} | sed "s/^/$p /"'
"""A closed port answers at once that it is closed; a firewall that drops answers nothing."""


def questions(spec: ClusterSpec, node: Node) -> dict[str, str]:
    """The questions to one node, in shell. The first waits for what an earlier, killed run left running."""
    peers = " ".join(str(n.address) for n in spec.nodes if n != node)
    disks = {**storage.questions(node), "fio": fio.VERSION} if storage.concerned(spec, node) else {}
    return {
        "lock": f"[ ! -e {layout.LOCK} ] || flock -w {_LOCK_WAIT_S} {layout.LOCK} true || echo held",
        "os": ". /etc/os-release; echo $ID $VERSION_ID",
        "kernel": "uname -r; uname -v; cat /proc/version_signature",
        "arch": "uname -m",
        "init": "cat /proc/1/comm",
        "hostname": "hostname",
        "machine-id": "cat /etc/machine-id",
        "clock": "date +%s.%N",
        "cgroups": "stat -fc %T /sys/fs/cgroup; tail -n +2 /proc/cgroups",
        "boot": boot.QUESTION,
        "memory": "sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo",
        "cpus": "nproc",
        "disk": "df -B1 --output=avail /var | tail -n 1",
        "addresses": "ip -o -4 addr show | awk '{print $2, $4}'",
        "links": "ip -o link show | sed -n 's/^[0-9]*: \\([^:@]*\\).* mtu \\([0-9]*\\).*/\\1 \\2/p'",
        "routers": f"for p in {peers}; do ip route get $p | head -n 1 | grep ' via '; done",
        "routes": "ip -4 route show | "
        'awk \'$1 ~ /\\// {d=""; for (i=1; i<NF; i++) if ($i == "dev") d=$(i+1); print $1, $3, d}\'',
        "listening": "ss -Hltnp | awk '{print $4, $6}'",
        "containerd": "containerd --version || apt-cache policy containerd | sed -n 's/ *Candidate:/candidate/p'",
        "docker": "systemctl is-active docker",
        "ip_vs": "[ -d /sys/module/ip_vs ] || modprobe -n -q ip_vs || echo missing",
        "nameservers": f"sed -n 's/^nameserver *//p' {_RESOLV_CONF}",
        "bgp-blocked": f"for p in {peers}; do {_CONNECT.format(port=layout.BGP_PORT)} & done; wait",
        "tunnel": "; ".join(f"modprobe -n -q {m} || [ -d /sys/module/{m} ] || echo {m}" for m in kernel.tunnels(spec))
        or "true",
        "pool": f"[ ! -s {layout.ADMIN_KUBECONFIG} ] || {api_get(calico.POOL_PATH)}",
        "etcd": f"[ -d {layout.ETCD_DATA}/member ] && sed -n 's/^initial-cluster: //p' {layout.ETCD_CONFIG}/etcd.yaml",
        "kubelet": f"sed -n 's|.*server: https://||p' {layout.KUBELET_KUBECONFIG}",
        **disks,
    }


def _roles(view: View) -> list[str]:
    spec = view.spec
    members = {"control_plane": spec.control_plane, "workers": spec.workers, "etcd": spec.etcd_members}
    return [role for role, nodes in members.items() if view.node in nodes]


def _is_kubernetes(view: View) -> bool:
    return view.node in view.spec.kubernetes_nodes


def _os(view: View) -> str | None:
    name, _, version = view.line("os").partition(" ")
    if not any(version.startswith(v) for v in _SUPPORTED.get(name, ())):
        return view.line("os") or "unknown"
    return None


def _kernel(view: View) -> str | None:
    """From 5.16 on a write to memory.kmem.limit_in_bytes fails, which this kubelet makes (kubernetes#120813). It was
    allowed again in 6.6, and in 6.5.6 and Debian's 6.1.64."""
    version = kernel.version(view.line("kernel"), " ".join(view.lines("kernel")[1:]))
    if version < (3, 10, 0) or (5, 16, 0) <= version < (6, 1, 64) or (6, 2, 0) <= version < (6, 5, 6):
        return ".".join(map(str, version))
    return None


def _cgroups(view: View) -> str | None:
    """v2 is no reason to refuse where the kernel phase can boot the node with v1."""
    found, *controllers = view.lines("cgroups") or [""]
    if found == boot.V2:
        obstacle = boot.switch_obstacle(view)
        return f"v2, and it cannot be changed: {obstacle}" if obstacle else None
    if found != boot.V1:
        return found or "unknown"
    enabled = {w[0] for line in controllers if (w := line.split()) and w[-1] == "1"}
    missing = [c for c in _CONTROLLERS if c not in enabled]
    return f"no controller {', '.join(missing)}" if missing else None


def _memory(view: View) -> str | None:
    wanted = max(_MEMORY_MIB[role] for role in _roles(view))
    found = int(view.line("memory") or 0) // 1024
    return None if found >= wanted else f"{found} MiB, {wanted} needed as {' and '.join(_roles(view))}"


def _cpus(view: View) -> str | None:
    return None if int(view.line("cpus") or 0) >= 2 else f"{view.line('cpus') or 'unknown'}"


def _disk(view: View) -> str | None:
    free = int(view.line("disk").strip() or 0) / 2**30
    return None if free >= _DISK_GIB else f"{free:.1f} GiB"


def _address(view: View) -> str | None:
    held = {line.split()[1].split("/")[0]: line.split()[0] for line in view.lines("addresses")}
    link = held.get(str(view.node.address))
    if link is None:
        return f"{view.node.address} is on no interface (there are {', '.join(sorted(held))})"
    mtus = {w[0]: int(w[1]) for line in view.lines("links") if len(w := line.split()) == 2}
    mtu = mtus.get(link.split("@")[0])
    return None if mtu == view.spec.network.mtu else f"{link} has an MTU of {mtu}"


_PORTS: Mapping[str, Mapping[int, str]] = {
    "control_plane": {
        layout.API_PORT: "kube-apiserver",
        layout.SCHEDULER_PORT: "kube-scheduler",
        layout.CONTROLLER_MANAGER_PORT: "kube-controller",
    },
    "etcd": {layout.ETCD_CLIENT_PORT: "etcd", layout.ETCD_PEER_PORT: "etcd"},
    "node": {
        layout.KUBELET_PORT: "kubelet",
        layout.KUBE_PROXY_METRICS_PORT: "kube-proxy",
        layout.KUBE_PROXY_HEALTH_PORT: "kube-proxy",
        layout.BGP_PORT: "bird",
        layout.FELIX_HEALTH_PORT: "calico-node",
    },
}


def _ports(view: View) -> str | None:
    """A port may be held by the very process that this cluster puts there, from an earlier run."""
    roles = [*_roles(view), *(["node"] if _is_kubernetes(view) else [])]
    ours = {port: name for role in roles for port, name in _PORTS.get(role, {}).items()}
    taken = []
    for line in view.lines("listening"):
        socket, _, process = line.partition(" ")
        port = int(socket.rpartition(":")[2])
        if port in ours and f'"{ours[port]}' not in process:
            holder = re.search(r'"([^"]+)"', process)
            taken.append(f"{port} ({ours[port]}) by {holder[1] if holder else 'an unknown process'}")
    return f"taken: {', '.join(taken)}" if taken else None


def _containerd(view: View) -> str | None:
    said = view.line("containerd")
    return None if re.search(r"[ v](1\.[67])\.", said) else (said or "neither installed nor to be had by apt")


_CALICO_LINKS = ("cali", "tunl0", "vxlan.calico")


def _overlap(view: View) -> str | None:
    """What this cluster's own BIRD and Felix put there is its own: routes within the pods' range via a node or over
    Calico's links, which may be tunnels that somebody turned on."""
    ours = (view.spec.network.pod_cidr, view.spec.network.service_cidr)
    nodes = {str(n.address) for n in view.spec.nodes}
    for line in view.lines("routes"):
        target, via, device = (*line.split(), "", "")[:3]
        network = ip_network(target, strict=False)
        if via not in nodes and not device.startswith(_CALICO_LINKS) and any(network.overlaps(o) for o in ours):
            return f"the route {target} is in the way"
    held = [line.split() for line in view.lines("addresses")]
    foreign = [ip_interface(w[1]) for w in held if not w[0].startswith((*_CALICO_LINKS, "kube-ipvs"))]
    clashing = [str(i) for i in foreign if any(i.ip in o for o in ours)]
    return f"the node has the address {clashing[0]}" if clashing else None


def _shared_by(view: View, question: str) -> str | None:
    """Other nodes that gave the same answer."""
    mine = view.line(question)
    twins = [name for name, answers in view.others.items() if name != view.node.name and mine]
    twins = [name for name in twins if tuple(view.others[name].get(question, ()))[:1] == (mine,)]
    return f"{mine}, the same as {', '.join(sorted(twins))}" if twins else None


def _skew(view: View) -> str | None:
    """`offset` is the node's clock minus this machine's, as the survey measured it."""
    offsets = sorted(float(a["offset"][0]) for a in view.others.values() if a.get("offset"))
    if not offsets or not view.line("offset"):
        return None
    away = abs(float(view.line("offset")) - offsets[len(offsets) // 2])
    return f"{away:.1f} s from the others" if away > _SKEW_S else None


def _foreign_cluster(view: View) -> str | None:
    server = view.line("kubelet")
    ours = f"{view.spec.first_control_plane.address}:{layout.API_PORT}"
    return f"the kubelet belongs to the cluster at {server}" if server not in ("", ours) else None


def _other_members(view: View) -> str | None:
    """etcd ignores its list of members once it has data: a changed list would only start strangers."""
    made_with = {part.partition("=")[0] for part in view.line("etcd").split(",")}
    wanted = {n.name for n in view.spec.etcd_members}
    return f"etcd was made with {', '.join(sorted(made_with))}" if made_with != wanted else None


def _bgp_blocked(view: View) -> str | None:
    """Refused is fine: nobody listens yet, and the packet arrived."""
    names = {str(n.address): n.name for n in view.spec.kubernetes_nodes}
    lost = [
        f"{names[address]} ({how})"
        for line in view.lines("bgp-blocked")
        for address, how in [(line.split(" ")[0], "no route" if "o route" in line else "no answer")]
        if address in names and ("timed out" in line or "o route" in line)
    ]
    return f"no way to {', '.join(dict.fromkeys(lost))}" if lost else None


def _nameservers(view: View) -> str | None:
    servers = view.lines("nameservers")
    if not servers:
        return "none"
    # In a pod, the loopback is the pod's own: CoreDNS would ask itself (coredns#2087).
    loops = [s for s in servers if s.startswith("127.") or s == "::1"]
    return f"{', '.join(loops)}: CoreDNS would ask itself" if loops else None


def _pool_fixed(view: View) -> str | None:
    try:
        live = json.loads("".join(view.lines("pool")))["spec"]
    except (ValueError, KeyError):
        return None
    network = view.spec.network
    wanted = {"cidr": str(network.pod_cidr), "blockSize": network.block_size}
    fields = {"cidr": "network.pod_cidr", "blockSize": "network.block_size"}
    wrong = [
        f"{fields[k]} is {live.get(k)} in the cluster and {v} in the inventory"
        for k, v in wanted.items()
        if live.get(k) != v
    ]
    return ", ".join(wrong) or None


CHECKS: Sequence[Check] = (
    Check(
        "not-busy",
        "commands of an earlier run",
        "ended",
        f"Something still holds {layout.LOCK} after {_LOCK_WAIT_S} s: fuser {layout.LOCK}",
        lambda v: v.line("lock") or None,
    ),
    Check(
        "os",
        "the operating system",
        ", ".join(f"{name} {'/'.join(versions)}" for name, versions in _SUPPORTED.items()),
        "Debian 13 cannot run it at all: its kernel has no memory controller for cgroup v1. Take Debian 12.",
        _os,
    ),
    Check(
        "kernel",
        "the kernel",
        "3.10 to 5.15, 6.1 from 6.1.64 on, or 6.5.6 and later",
        "In between, the kubelet cannot write memory.kmem.limit_in_bytes. Install another kernel.",
        _kernel,
    ),
    Check("arch", "the architecture", "x86_64", "There are no other pins.", lambda v: _not(v.line("arch"), "x86_64")),
    Check(
        "init",
        "process 1",
        "systemd",
        "Use a system that systemd runs.",
        lambda v: _not(v.line("init"), "systemd"),
    ),
    Check(
        "cgroup-v1",
        "cgroups",
        f"v1, with {', '.join(_CONTROLLERS)}; or v2 on a node that the run can boot with v1, by GRUB",
        f"Put {' '.join(boot.ARGUMENTS)} on the kernel's command line by your boot loader's means, and reboot; or take "
        "a kernel that has v1's controllers (Debian 12, Ubuntu 22.04).",
        _cgroups,
        _is_kubernetes,
    ),
    Check("memory", "memory", "enough for the node's roles", "Give the machine more memory.", _memory),
    Check(
        "cpus",
        "processors of a control plane",
        "2 or more, as kubeadm demands",
        "Give the machine another processor.",
        _cpus,
        lambda v: v.node in v.spec.control_plane,
    ),
    Check("disk", "free space in /var", f"{_DISK_GIB} GiB or more", "Free or add space.", _disk),
    Check(
        "hostname",
        "the hostname",
        "the node's name in the inventory",
        "hostnamectl set-hostname NAME, or name the node in the inventory as it is called.",
        lambda v: _not(v.line("hostname"), v.node.name),
    ),
    Check(
        "machine-id",
        "the machine-id",
        "a different one on every node",
        "Cloned machines share it: rm /etc/machine-id; systemd-machine-id-setup; reboot.",
        lambda v: _shared_by(v, "machine-id"),
    ),
    Check(
        "address",
        "the inventory's address, on an interface with network.mtu",
        "so",
        "Correct the address or network.mtu in the inventory, or the interface.",
        _address,
    ),
    Check(
        "one-link",
        "the way to the other nodes",
        "direct: pods are routed without encapsulation, so no router may lie between nodes",
        "Put the nodes into one subnet, or set network.encapsulation.",
        lambda v: v.line("routers") or None,
        lambda v: v.spec.network.encapsulation == "Never",
    ),
    Check(
        "ports",
        "the cluster's ports",
        "free, or held by the cluster's own processes",
        "Stop what holds them.",
        _ports,
    ),
    Check(
        "no-overlap",
        "network.pod_cidr and network.service_cidr",
        "in nobody's way",
        "Choose other ranges in the inventory.",
        _overlap,
    ),
    Check(
        "containerd",
        "containerd, installed or to be had",
        "1.6 or 1.7: 2.0 dropped the CRI that kubelet 1.15 speaks",
        "Run apt-get update there, or add a package source that has it.",
        _containerd,
        _is_kubernetes,
    ),
    Check(
        "no-docker",
        "Docker",
        "not running: kubeadm would choose it over containerd",
        "systemctl disable --now docker docker.socket",
        lambda v: "running" if v.line("docker") == "active" else None,
        _is_kubernetes,
    ),
    Check(
        "ip_vs",
        "the kernel module ip_vs",
        "there: without it kube-proxy falls back to iptables in silence",
        "Install the distribution's full kernel (not a -kvm flavour), or set kube_proxy.mode to iptables.",
        lambda v: v.line("ip_vs") or None,
        lambda v: _is_kubernetes(v) and kernel.proxy_mode(v.spec, v.node) == "ipvs",
    ),
    Check(
        "tunnel",
        "the kernel modules of network.encapsulation",
        "there",
        'Install the distribution\'s full kernel, or set network.encapsulation to "Never".',
        lambda v: ", ".join(v.lines("tunnel")) or None,
        lambda v: _is_kubernetes(v) and not v.node.shared_kernel,
    ),
    Check(
        "bgp-reachable",
        f"TCP {layout.BGP_PORT} of the other nodes",
        "reached, whether or not somebody listens yet",
        "Let TCP 179 through between the nodes, in both directions.",
        _bgp_blocked,
        _is_kubernetes,
    ),
    Check(
        "pool-fixed",
        "the pods' addresses in a cluster that exists",
        "those of the inventory: a pool's range and block size cannot be changed",
        "Put the old values back into the inventory; a new range needs a new pool and every pod restarted, by hand.",
        _pool_fixed,
        lambda v: v.node == v.spec.first_control_plane,
    ),
    Check(
        "nameserver",
        "nameservers for CoreDNS, from the node's resolv.conf",
        "one or more, and none of them on the loopback",
        "Configure the node's resolver (systemd-resolved is fine), or give dns.upstreams in the inventory.",
        _nameservers,
        lambda v: _is_kubernetes(v) and not v.spec.dns.upstreams,
    ),
    Check("clock", "the clock", f"within {_SKEW_S:g} s of the other nodes", "Let chrony or timesyncd run.", _skew),
    Check(
        "etcd-members",
        "etcd_members of a cluster that exists",
        "those that it was made with",
        "Put etcd_members back: this project cannot add members to a running etcd, or remove them.",
        _other_members,
        lambda v: bool(v.line("etcd")),
    ),
    *storage.CHECKS,
    Check(
        "own-cluster",
        "membership of another cluster",
        "none",
        "kubeadm reset there, if that cluster does not need the node; or take the node out of the inventory.",
        _foreign_cluster,
        _is_kubernetes,
    ),
)


def _not(value: str, wanted: str) -> str | None:
    return None if value == wanted else (value or "unknown")
