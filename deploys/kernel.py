"""Every node's kernel forwards, balances and remembers connections as kube-proxy and Felix expect, nothing swaps,
and there is one iptables, the legacy one."""

from __future__ import annotations

from deploys import phase
from groundwork import kernel as model
from groundwork.layout import MODULES_FILE, SYSCTL_FILE
from groundwork.spec import ClusterSpec, Node
from groundwork.templates import render
from operations import files, packages
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
    operations.prepared(name="The kernel is as Kubernetes needs it", modules=modules, sysctls=sysctls)
