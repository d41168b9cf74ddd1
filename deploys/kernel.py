"""Every node's kernel forwards, balances and remembers connections as kube-proxy and Felix expect, nothing swaps,
and there is one iptables, the legacy one."""

from __future__ import annotations

from pyinfra import host

from deploys import phase
from deploys.preflight import kernel_of, lives
from groundwork import kernel as model
from groundwork import layout
from groundwork.etcd import client_url
from groundwork.layout import MODULES_FILE, SYSCTL_FILE
from groundwork.spec import ClusterSpec, Node
from groundwork.templates import render
from operations import boot, files, packages, services
from operations import kernel as operations
from operations.files import File

PACKAGES = (
    "arptables",
    "ca-certificates",
    "conntrack",
    "curl",
    "dnsutils",
    "ebtables",
    "ethtool",
    "ipset",
    "iptables",
    "iputils-ping",
    "ipvsadm",
    "kmod",
    "openssl",
    "socat",
)
"""What the kubelet and kube-proxy call, and what the proofs look with."""


@phase("Kernel")
def kernel(cluster: ClusterSpec, node: Node) -> None:
    modules, sysctls = model.modules(cluster, node), model.sysctls(node)
    packages.installed(name="Tools of the network stack are installed", packages=PACKAGES)
    files.present(
        name="Modules and sysctls are there at every boot",
        files=[
            File(MODULES_FILE, render("kernel/modules.conf.j2", modules=modules)),
            File(SYSCTL_FILE, render("kernel/sysctl.conf.j2", sysctls=sysctls)),
        ],
    )
    if node in cluster.kubernetes_nodes and not node.shared_kernel:
        _conn_reuse(cluster, node)
        boot.cgroup_v1(
            name="The node boots with cgroup v1",
            etcd=client_url(node) if lives(node, "etcd") else None,
            # A bare cluster reboots at once; one that lives, node by node.
            _serial=any(lives(n, what) for n in cluster.nodes for what in ("etcd", "kubelet")),
        )
    operations.prepared(
        name="The kernel is as Kubernetes needs it",
        modules=modules,
        sysctls=sysctls,
        overrides=model.overrides(node),
    )


def _conn_reuse(cluster: ClusterSpec, node: Node) -> None:
    mode = model.conn_reuse_mode(kernel_of(host))
    if model.proxy_mode(cluster, node) != "ipvs" or mode == 0:
        return
    timer = layout.IPVS_UNIT.with_suffix(".timer")
    files.present(
        name="IPVS' setting is kept",
        files=[
            File(layout.IPVS_UNIT, render("kernel/ipvs.service.j2", mode=mode)),
            File(timer, render("kernel/ipvs.timer.j2")),
        ],
    )
    services.running(name="Its timer runs", unit=timer.name, reads=[timer])
