"""Where things are on a node: every path and port of the product, written once."""

from __future__ import annotations

from pathlib import PurePosixPath as Path
from typing import Final

BIN: Final = Path("/usr/local/bin")
PROGRAMS: Final = Path("/opt/kube-groundwork")
"""Every pinned program in a directory of its own, named after version and sum."""
STATE: Final = Path("/var/lib/kube-groundwork")
ARTEFACTS: Final = STATE / "artefacts"
"""Image archives, for as long as it takes to verify and import them."""
RUN: Final = Path("/run/kube-groundwork")
"""tmpfs, 0700: documents with a token and keys on their way; gone with a reboot."""
LOCK: Final = RUN / "lock"
"""Held by every long command, so that a run that follows a killed one waits for what it left behind."""

MODULES_FILE: Final = Path("/etc/modules-load.d/kube-groundwork.conf")
SYSCTL_FILE: Final = Path("/etc/sysctl.d/99-z-kube-groundwork.conf")
"""Named to be read last: whatever else sets a parameter, this one wins."""
IPVS_UNIT: Final = Path("/etc/systemd/system/kube-groundwork-ipvs.service")
GRUB_FILE: Final = Path("/etc/default/grub.d/99-kube-groundwork.cfg")

CONTAINERD_SOCKET: Final = Path("/run/containerd/containerd.sock")
CNI_BIN: Final = Path("/opt/cni/bin")
CNI_CONFIG: Final = Path("/etc/cni/net.d")

KUBERNETES: Final = Path("/etc/kubernetes")
KUBERNETES_PKI: Final = KUBERNETES / "pki"
ADMIN_KUBECONFIG: Final = KUBERNETES / "admin.conf"
KUBELET_KUBECONFIG: Final = KUBERNETES / "kubelet.conf"
KUBEADM_DOCUMENT: Final = KUBERNETES / "kubeadm.yaml"
KUBELET_STATE: Final = Path("/var/lib/kubelet")

CALICOCTL_CONFIG: Final = Path("/etc/calico/calicoctl.cfg")
"""Where calicoctl looks when nothing else is said."""

ETCD_DATA: Final = Path("/var/lib/etcd")
ETCD_MOUNT_UNIT: Final = Path("/etc/systemd/system/var-lib-etcd.mount")
"""Its name is ETCD_DATA's, as systemd wants it."""
ETCD_DISK_REPORT: Final = STATE / "etcd-disk.json"
"""What fio measured on etcd's disk."""
ETCD_CONFIG: Final = Path("/etc/etcd")
ETCD_PKI: Final = ETCD_CONFIG / "pki"

API_PORT: Final = 6443
KUBELET_PORT: Final = 10250
SCHEDULER_PORT: Final = 10251
CONTROLLER_MANAGER_PORT: Final = 10252
KUBE_PROXY_METRICS_PORT: Final = 10249
KUBE_PROXY_HEALTH_PORT: Final = 10256
ETCD_CLIENT_PORT: Final = 2379
ETCD_PEER_PORT: Final = 2380
ETCD_METRICS_PORT: Final = 2381
BGP_PORT: Final = 179
FELIX_HEALTH_PORT: Final = 9099
HTTP_PORT: Final = 80
HTTPS_PORT: Final = 443
INGRESS_HEALTH_PORT: Final = 10254
DNS_METRICS_PORT: Final = 9153
