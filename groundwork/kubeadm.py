"""kubeadm's documents (v1beta2), as data: for init, for join, and for the certificates of etcd."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

import yaml

from groundwork import layout
from groundwork.spec import ClusterSpec, Node

__all__ = [
    "PROXY_MODE",
    "api_endpoint",
    "api_get",
    "api_get_all",
    "etcd_certificates",
    "init",
    "join",
    "kubectl",
]

Document = dict[str, Any]

PROXY_MODE = f"curl -s --max-time 5 http://127.0.0.1:{layout.KUBE_PROXY_METRICS_PORT}/proxyMode"
"""A command on a node that prints how its kube-proxy balances."""

_API = "kubeadm.k8s.io/v1beta2"
TOKEN_DESCRIPTION = "kube-groundwork: for one run"


def init(spec: ClusterSpec, *, kernel: str) -> str:
    """The document of `kubeadm init` on the first control-plane node, which runs `kernel` (uname -r)."""
    node = spec.first_control_plane
    return _dump(
        {
            "apiVersion": _API,
            "kind": "InitConfiguration",
            "bootstrapTokens": [{"ttl": "15m0s", "description": TOKEN_DESCRIPTION}],
            "localAPIEndpoint": {"advertiseAddress": str(node.address), "bindPort": layout.API_PORT},
            "nodeRegistration": _registration(node, kernel=kernel),
        },
        _cluster(spec),
        _kube_proxy(spec),
        _kubelet(),
    )


def join(spec: ClusterSpec, node: Node, *, kernel: str, token: str, ca_hash: str) -> str:
    """The document of `kubeadm join` for a worker. It holds a token: it belongs on a tmpfs, 0600."""
    return _dump(
        {
            "apiVersion": _API,
            "kind": "JoinConfiguration",
            "discovery": {
                "bootstrapToken": {
                    "apiServerEndpoint": api_endpoint(spec),
                    "token": token,
                    "caCertHashes": [ca_hash],
                }
            },
            "nodeRegistration": _registration(node, kernel=kernel),
        }
    )


def etcd_certificates(spec: ClusterSpec, node: Node, *, directory: str) -> str:
    """The document from which kubeadm makes etcd's certificates for `node` in `directory`.

    Every certificate names all members: the API server's etcd client checks each endpoint against the first
    one's name (kubernetes#72102), so a member whose certificate names only itself breaks failover.
    """
    names = [n.name for n in spec.etcd_members] + [str(n.address) for n in spec.etcd_members]
    return _dump(
        {
            "apiVersion": _API,
            "kind": "InitConfiguration",
            "localAPIEndpoint": {"advertiseAddress": str(node.address)},
            "nodeRegistration": {"name": node.name, "criSocket": str(layout.CONTAINERD_SOCKET)},
        },
        {
            "apiVersion": _API,
            "kind": "ClusterConfiguration",
            "kubernetesVersion": spec.kubernetes_version,
            "certificatesDir": directory,
            "etcd": {"local": {"serverCertSANs": names, "peerCertSANs": names}},
        },
    )


def kubectl(arguments: str) -> str:
    """A kubectl command on a control-plane node, with the administrator's credentials."""
    return f"{layout.BIN}/kubectl --kubeconfig {layout.ADMIN_KUBECONFIG} {arguments}"


def api_get(path: str) -> str:
    """A command on a control-plane node that prints what the API server answers to GET `path`; it fails when that
    is an error."""
    return f"{_curl('--fail')} '{_local(path)}'"


def api_get_all(paths: Iterable[str], *, mark: str) -> str:
    """A command that prints the answers to GET each of `paths`, errors as well, and a line `mark` after each.

    One connection serves all of them: a hundred answers take a tenth of a second.
    """
    return f"{_curl('')} -g -w '\\n{mark}\\n' {' '.join(shlex.quote(_local(path)) for path in paths)}"


def _curl(option: str) -> str:
    """For reading only: kubectl takes ten times as long to start. The credentials are those with which the API
    server itself speaks to kubelets; kubeadm puts them into the group of administrators."""
    pki = layout.KUBERNETES_PKI
    client = f"{pki}/apiserver-kubelet-client"
    return (
        f"curl -s {option} --max-time 10 --cacert {pki}/ca.crt --cert {client}.crt --key {client}.key "
        # A name that kubeadm writes into every API server's certificate.
        f"--resolve kubernetes:{layout.API_PORT}:127.0.0.1"
    )


def _local(path: str) -> str:
    return f"https://kubernetes:{layout.API_PORT}{path}"


def api_endpoint(spec: ClusterSpec) -> str:
    """host:port under which kubelets and clients reach the API server."""
    return f"{spec.first_control_plane.address}:{layout.API_PORT}"


def _tolerated_preflight_errors(node: Node, *, kernel: str) -> list[str]:
    """What kubeadm's preflight may find; nothing else is ever ignored.

    SystemVerification: kubeadm v1.15 knows kernels 3.10 to 5.x, and from 6 on refuses the release number. Our own
    preflight asks what that check stands for (cgroup controllers, kernel range). IPVSProxierCheck: a container of the
    lab has no ip_vs and falls back to iptables; verification demands that of it, and says so.
    """
    return [
        *(["SystemVerification"] if int(kernel.split(".")[0]) >= 6 else []),
        *(["IPVSProxierCheck"] if node.shared_kernel else []),
    ]


def _registration(node: Node, *, kernel: str) -> Document:
    # The kernel of a shared host is not this cluster's to tune, so its defaults cannot be demanded there.
    lenient = {"protect-kernel-defaults": "false"} if node.shared_kernel else {}
    return {
        "name": node.name,
        "criSocket": str(layout.CONTAINERD_SOCKET),
        "kubeletExtraArgs": {"node-ip": str(node.address), **lenient},
        "ignorePreflightErrors": _tolerated_preflight_errors(node, kernel=kernel),
    }


def _cluster(spec: ClusterSpec) -> Document:
    return {
        "apiVersion": _API,
        "kind": "ClusterConfiguration",
        "clusterName": spec.name,
        "kubernetesVersion": spec.kubernetes_version,
        "controlPlaneEndpoint": api_endpoint(spec),
        "certificatesDir": str(layout.KUBERNETES_PKI),
        "imageRepository": spec.artefacts.image_repository,
        "networking": {
            "podSubnet": str(spec.network.pod_cidr),
            "serviceSubnet": str(spec.network.service_cidr),
            "dnsDomain": spec.network.dns_domain,
        },
        "dns": {"type": "CoreDNS", "imageTag": spec.dns.version},
        "etcd": {
            "external": {
                "endpoints": [f"https://{n.address}:{layout.ETCD_CLIENT_PORT}" for n in spec.etcd_members],
                "caFile": str(layout.KUBERNETES_PKI / "etcd/ca.crt"),
                "certFile": str(layout.KUBERNETES_PKI / "apiserver-etcd-client.crt"),
                "keyFile": str(layout.KUBERNETES_PKI / "apiserver-etcd-client.key"),
            }
        },
        "apiServer": {
            "certSANs": [n.name for n in spec.control_plane] + [str(n.address) for n in spec.control_plane],
            "extraArgs": {
                "authorization-mode": "Node,RBAC",
                "enable-admission-plugins": "NodeRestriction",
                "insecure-port": "0",
                "profiling": "false",
                # Tokens bound to a pod (TokenRequest): Calico's CNI plugin of 3.28 asks for them.
                "service-account-issuer": f"https://kubernetes.default.svc.{spec.network.dns_domain}",
                "service-account-signing-key-file": str(layout.KUBERNETES_PKI / "sa.key"),
                "api-audiences": f"https://kubernetes.default.svc.{spec.network.dns_domain}",
            },
        },
        "controllerManager": {"extraArgs": {"bind-address": "127.0.0.1", "profiling": "false"}},
        "scheduler": {"extraArgs": {"bind-address": "127.0.0.1", "profiling": "false"}},
    }


def _kube_proxy(spec: ClusterSpec) -> Document:
    document: Document = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": spec.kube_proxy.mode,
        "clusterCIDR": str(spec.network.pod_cidr),
        "metricsBindAddress": f"127.0.0.1:{layout.KUBE_PROXY_METRICS_PORT}",
        "ipvs": {
            "scheduler": spec.kube_proxy.scheduler,
            "strictARP": spec.kube_proxy.strict_arp,
            "minSyncPeriod": "1s",
            "syncPeriod": "30s",
        },
    }
    if any(n.shared_kernel for n in spec.kubernetes_nodes):
        # nf_conntrack_max is read-only in a network namespace: kube-proxy exits if it is told to raise it.
        document["conntrack"] = {"maxPerCore": 0, "min": 0}
    return document


def _kubelet() -> Document:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "systemd",
        "serializeImagePulls": False,
        "protectKernelDefaults": True,
        "systemReserved": {"cpu": "100m", "memory": "256Mi"},
        "kubeReserved": {"cpu": "100m", "memory": "256Mi"},
        "evictionHard": {
            "memory.available": "200Mi",
            "nodefs.available": "10%",
            "nodefs.inodesFree": "5%",
            "imagefs.available": "15%",
        },
    }


def _dump(*documents: Document) -> str:
    return yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True)
