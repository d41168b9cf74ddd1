"""Calico for the Kubernetes datastore: pod routes by BGP between nodes, and NetworkPolicies.

Two releases share everything but what `_RELEASES` says. v3.28.5 was run (the lab; built from source, see there);
v3.13.4, the last release that lists Kubernetes 1.15 as tested and the default, was only rendered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from groundwork import layout
from groundwork.objects import Object
from groundwork.spec import ClusterSpec
from groundwork.templates import render

__all__ = ["POOL", "POOL_PATH", "objects", "pool_modes", "resource"]

POOL = "default-ipv4-ippool"

_GROUP = "crd.projectcalico.org"

POOL_PATH = f"/apis/{_GROUP}/v1/ippools/{POOL}"


@dataclass(frozen=True)
class _Release:
    """What differs between releases of Calico."""

    installer: str
    """The command that puts the CNI plugin on the node."""
    address_method: str
    """IP_AUTODETECTION_METHOD; {api} stands for the API server's address. Never first-found: a node may have
    several addresses, and the mesh must use the inventory's."""
    added_kinds: Mapping[str, str]
    """Resources (plural -> kind) that earlier releases have not."""
    endpoint_slices: bool
    """Felix lists discovery.k8s.io EndpointSlices and is never ready where there is no such resource."""


_RELEASES = {
    "v3.13.4": _Release(
        installer="/install-cni.sh",
        address_method="can-reach={api}",
        added_kinds={},
        endpoint_slices=False,
    ),
    "v3.28.5": _Release(
        installer="/opt/cni/bin/install",
        address_method="kubernetes-internal-ip",
        added_kinds={
            "bgpfilters": "BGPFilter",
            "caliconodestatuses": "CalicoNodeStatus",
            "ipreservations": "IPReservation",
            "kubecontrollersconfigurations": "KubeControllersConfiguration",
        },
        endpoint_slices=True,
    ),
}

_KINDS = {
    "bgpconfigurations": "BGPConfiguration",
    "bgppeers": "BGPPeer",
    "blockaffinities": "BlockAffinity",
    "clusterinformations": "ClusterInformation",
    "felixconfigurations": "FelixConfiguration",
    "globalnetworkpolicies": "GlobalNetworkPolicy",
    "globalnetworksets": "GlobalNetworkSet",
    "hostendpoints": "HostEndpoint",
    "ipamblocks": "IPAMBlock",
    "ipamconfigs": "IPAMConfig",
    "ipamhandles": "IPAMHandle",
    "ippools": "IPPool",
    "networkpolicies": "NetworkPolicy",
    "networksets": "NetworkSet",
}

_NAMESPACED = {"networkpolicies", "networksets", "endpointslices"}


def objects(spec: ClusterSpec) -> list[Object]:
    """Everything of Calico in the cluster but BGP's configuration (`groundwork.bgp`)."""
    release = _RELEASES[spec.calico.release]
    return [*_definitions(release), *_accounts(), _pool(spec), *_rendered(spec, release)]


def pool_modes(spec: ClusterSpec) -> dict[str, str]:
    """The pool's encapsulation, as Calico has it: one mode for each kind of tunnel."""
    wanted = spec.network.encapsulation
    return {
        "ipipMode": "CrossSubnet" if wanted == "IPIPCrossSubnet" else "Never",
        "vxlanMode": "CrossSubnet" if wanted == "VXLANCrossSubnet" else "Never",
    }


def _definitions(release: _Release) -> list[Object]:
    kinds = {**_KINDS, **release.added_kinds}
    made = [_definition(_GROUP, "v1", plural, kind) for plural, kind in kinds.items()]
    if release.endpoint_slices:
        made.append(_definition("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"))
    return made


def _definition(group: str, version: str, plural: str, kind: str) -> Object:
    return {
        "apiVersion": "apiextensions.k8s.io/v1beta1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "version": version,
            "scope": "Namespaced" if plural in _NAMESPACED else "Cluster",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
        },
    }


def _accounts() -> list[Object]:
    made: list[Object] = []
    for name, rules in yaml.safe_load(render("calico/rules.yaml")).items():
        account = {"name": name, "namespace": "kube-system"}
        made += [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": name},
                "rules": rules,
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
                "subjects": [{"kind": "ServiceAccount", **account}],
            },
        ]
    return made


def _pool(spec: ClusterSpec) -> Object:
    """The pool is ours, not one that calico-node makes from its environment: that acts only once."""
    return resource(
        "IPPool",
        POOL,
        {
            "cidr": str(spec.network.pod_cidr),
            "blockSize": spec.network.block_size,
            **pool_modes(spec),
            "natOutgoing": True,
            "nodeSelector": "all()",
        },
    )


def resource(kind: str, name: str, spec: Mapping[str, Any]) -> Object:
    """An object of Calico's, as its Kubernetes datastore keeps it."""
    return {"apiVersion": f"{_GROUP}/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _rendered(spec: ClusterSpec, release: _Release) -> list[Object]:
    values = {
        "release": spec.calico.release,
        "installer": release.installer,
        "address_method": release.address_method.format(api=spec.first_control_plane.address),
        "mtu": spec.network.pod_mtu,
        "cni_config": json.dumps(_cni(), indent=2),
        "cni_bin": layout.CNI_BIN,
        "cni_net": layout.CNI_CONFIG,
        "felix_port": layout.FELIX_HEALTH_PORT,
    }
    names = ("config", "node", "kube-controllers", "kube-controllers-budget")
    return [yaml.safe_load(render(f"calico/{name}.yaml.j2", **values)) for name in names]


def _cni() -> Object:
    """The installer replaces __CNI_MTU__ (with its quotes gone), the node's name and the kubeconfig's path."""
    return {
        "name": "k8s-pod-network",
        "cniVersion": "0.3.1",
        "plugins": [
            {
                "type": "calico",
                "log_level": "info",
                "datastore_type": "kubernetes",
                "nodename": "__KUBERNETES_NODE_NAME__",
                "mtu": "__CNI_MTU__",
                "ipam": {"type": "calico-ipam"},
                "policy": {"type": "k8s"},
                "kubernetes": {"kubeconfig": "__KUBECONFIG_FILEPATH__"},
            },
            {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}},
        ],
    }
