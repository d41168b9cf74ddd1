"""What Kubernetes 1.15, kube-proxy and Felix need of a kernel: modules and sysctls, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundwork.layout import SYSCTL_FILE
from groundwork.spec import ClusterSpec, Node

__all__ = ["Sysctl", "conn_reuse_mode", "modules", "overrides", "proxy_mode", "sysctls", "tunnels", "version"]


@dataclass(frozen=True)
class Sysctl:
    """A kernel parameter and the value that it must have."""

    key: str
    value: str
    reason: str
    shared: bool = True
    """False where a container cannot have its own value: the parameter is the whole kernel's."""


_MODULES: Mapping[str, str] = {
    "overlay": "containerd's snapshots",
    "br_netfilter": "net.bridge.*, which kubeadm asks for",
    "nf_conntrack": "connection tracking of kube-proxy and Felix",
    "ip_set": "Felix keeps the addresses of policies in sets",
    "xt_set": "iptables rules that look into those sets",
    "ip_tables": "the legacy iptables that kube-proxy v1.15 speaks",
    "ip6_tables": "the same for IPv6",
    "ipt_rpfilter": "Felix checks the source address of what comes from pods",
    "ipt_REJECT": "Services without endpoints answer at once",
}

_IPVS_MODULES = ("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "dummy")
"""kube-proxy falls back to iptables in silence when one of the first four is missing (kubernetes#70304)."""

_SYSCTLS: Sequence[Sysctl] = (
    Sysctl("net.ipv4.ip_forward", "1", "a node routes its pods' packets"),
    Sysctl("net.bridge.bridge-nf-call-iptables", "1", "kubeadm's preflight"),
    Sysctl("net.bridge.bridge-nf-call-ip6tables", "1", "the same for IPv6"),
    Sysctl("net.bridge.bridge-nf-call-arptables", "1", "and for ARP"),
    Sysctl("net.ipv4.conf.all.rp_filter", "1", "Felix exits when it is 2"),
    Sysctl("net.ipv4.conf.default.rp_filter", "1", "and so for interfaces to come"),
    Sysctl("net.ipv4.tcp_keepalive_time", "600", "s; below IPVS' 900 s for an idle connection"),
    Sysctl("net.ipv4.tcp_keepalive_intvl", "30", "s; between probes"),
    Sysctl("net.ipv4.tcp_keepalive_probes", "10", "before a connection is given up"),
    Sysctl("net.ipv4.ip_local_reserved_ports", "30000-32767", "NodePorts must not be taken by clients"),
    Sysctl("net.ipv4.neigh.default.gc_thresh1", "1024", "one entry for each pod and node", shared=False),
    Sysctl("net.ipv4.neigh.default.gc_thresh2", "4096", "the same", shared=False),
    Sysctl("net.ipv4.neigh.default.gc_thresh3", "8192", "the same", shared=False),
    Sysctl("net.core.somaxconn", "32768", "bursts of connections to the API and ingress"),
    Sysctl("net.ipv4.tcp_max_syn_backlog", "8192", "the same"),
    Sysctl("net.core.netdev_max_backlog", "16384", "the same", shared=False),
    Sysctl("fs.file-max", "2097152", "the kubelet's maxOpenFiles is a million", shared=False),
    Sysctl("fs.nr_open", "2097152", "the same", shared=False),
    Sysctl("vm.max_map_count", "262144", "search engines map many files", shared=False),
    Sysctl("vm.swappiness", "0", "nothing swaps", shared=False),
    Sysctl("fs.inotify.max_user_watches", "524288", "the kubelet and log readers watch files", shared=False),
    Sysctl("fs.inotify.max_user_instances", "8192", "the same", shared=False),
    Sysctl("kernel.pid_max", "4194304", "many pods", shared=False),
    Sysctl("vm.overcommit_memory", "1", "the kubelet's protectKernelDefaults", shared=False),
    Sysctl("vm.panic_on_oom", "0", "the kubelet's protectKernelDefaults", shared=False),
    Sysctl("kernel.panic", "10", "the kubelet's protectKernelDefaults", shared=False),
    Sysctl("kernel.panic_on_oops", "1", "the kubelet's protectKernelDefaults", shared=False),
    Sysctl("kernel.keys.root_maxkeys", "1000000", "the kubelet's protectKernelDefaults", shared=False),
    Sysctl("kernel.keys.root_maxbytes", "25000000", "the kubelet's protectKernelDefaults", shared=False),
)


def modules(spec: ClusterSpec, node: Node) -> list[str]:
    """The modules to be loaded on `node`, now and at every boot; none where the kernel is somebody else's."""
    if node.shared_kernel:
        return []
    ipvs = (*_IPVS_MODULES, f"ip_vs_{spec.kube_proxy.scheduler}") if spec.kube_proxy.mode == "ipvs" else ()
    return list(dict.fromkeys((*_MODULES, *ipvs, *tunnels(spec))))


def tunnels(spec: ClusterSpec) -> tuple[str, ...]:
    """The modules that `network.encapsulation` needs."""
    return {"Never": (), "IPIPCrossSubnet": ("ipip",), "VXLANCrossSubnet": ("vxlan",)}[spec.network.encapsulation]


def sysctls(node: Node) -> list[Sysctl]:
    """The parameters to be set on `node`; on a shared kernel only those of its network namespace."""
    return [s for s in _SYSCTLS if s.shared or not node.shared_kernel]


def overrides(node: Node) -> str:
    """A shell command that prints `file:line` for what is read after our file at boot and sets one of its keys.

    systemd-sysctl sorts the files of all directories by name, whatever directory they are in.
    """
    keys = "|".join(re.escape(s.key) for s in sysctls(node))
    return (
        "for f in /etc/sysctl.d/*.conf /run/sysctl.d/*.conf /usr/local/lib/sysctl.d/*.conf /usr/lib/sysctl.d/*.conf; "
        f'do [ -e $f ] && expr "${{f##*/}}" \\> {SYSCTL_FILE.name} >/dev/null && '
        f"grep -HE '^[[:space:]]*-?({keys})[[:space:]]*=' $f; done; true"
    )


def version(release: str, build: str = "") -> tuple[int, ...]:
    """The kernel's version from `uname -r` and what else the distribution says of its `build`.

    Debian's and Ubuntu's releases are 6.1.0-N and 6.5.0-N for every patch: Debian's `uname -v` names the version, and
    so does Ubuntu's /proc/version_signature, in its last word.
    """
    patched = re.search(r"Debian (\d+\.\d+\.\d+)", build) or re.search(r"Ubuntu \d\S+ (\d+\.\d+\.\d+)", build)
    return tuple(int(n) for n in re.findall(r"\d+", patched[1] if patched else release)[:3])


def proxy_mode(spec: ClusterSpec, node: Node) -> str:
    """How kube-proxy balances on `node`: as the spec says, but by iptables where a container has no ip_vs."""
    return "iptables" if node.shared_kernel else spec.kube_proxy.mode


def conn_reuse_mode(release: str) -> int:
    """What net.ipv4.vs.conn_reuse_mode is to be on a kernel. kube-proxy v1.15 sets 0 whatever the kernel, since up to
    5.8 another value costs a second for each reused port (kubernetes#70747); from 5.9 on 0 only sends new connections
    to pods that are gone (kubernetes#81775)."""
    return 1 if version(release) >= (5, 9) else 0
