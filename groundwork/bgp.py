"""Who speaks BGP with whom: a node-to-node mesh, or route reflectors, and routers outside the cluster."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Mapping

from groundwork.calico import resource
from groundwork.objects import Object
from groundwork.spec import BgpPeer, ClusterSpec, Node

__all__ = ["BIRD", "REFLECTOR_LABEL", "configuration", "established", "neighbours", "peers", "reflector_patch"]

BIRD = (
    # BIRD hangs up when its client stops sending, and its answer ends with a line of code 0000: so the client, which
    # is perl since no shell can wait for that, stays until then, five seconds at most.
    'perl -MIO::Socket::UNIX -e \'alarm 5; my $bird = IO::Socket::UNIX->new("/var/run/calico/bird.ctl") or exit 1; '
    'print $bird "show protocols\\n"; while (<$bird>) { print; last if /^0000/ }\''
)
"""A command on a node that prints BIRD's protocols; nothing where BIRD does not answer."""

REFLECTOR_LABEL = "kube-groundwork/route-reflector"
_CLUSTER_ID = "projectcalico.org/RouteReflectorClusterID"
_PASSWORDS = "bgp-passwords"


def neighbours(spec: ClusterSpec, node: Node) -> dict[str, str]:
    """Address -> name of everybody that `node` must have a session with."""
    reflectors = spec.network.bgp.route_reflectors
    others = [n for n in spec.kubernetes_nodes if n != node]
    if reflectors and node.name not in reflectors:
        others = [n for n in others if n.name in reflectors]
    outside = {str(p.address): f"the router {p.address}" for p in spec.network.bgp.peers}
    return {**{str(n.address): n.name for n in others}, **outside}


def established(lines: Iterable[str]) -> set[str]:
    """Addresses with which BIRD's sessions are up.

    BIRD answers `1002-Mesh_10_0_0_12 BGP master up 16:38:29 Established`, with _ for the dots of an address.
    """
    return {
        m[1].replace("_", ".")
        for line in lines
        if (m := re.search(r"(?:Mesh|Node|Global)_(\d+_\d+_\d+_\d+)\S*\s+BGP\s.*\bEstablished\b", line))
    }


def configuration(spec: ClusterSpec, *, mesh: bool) -> Object:
    """Calico's BGP configuration, with the node-to-node mesh on or off."""
    return resource(
        "BGPConfiguration",
        "default",
        {
            "asNumber": spec.network.bgp.as_number,
            "nodeToNodeMeshEnabled": mesh,
            "logSeverityScreen": "Info",
        },
    )


def peers(spec: ClusterSpec) -> list[Object]:
    """The peerings beside the mesh, with the passwords that they need."""
    made = [_outside(peer) for peer in spec.network.bgp.peers]
    if spec.network.bgp.route_reflectors:
        # One peering serves both: nodes and reflectors speak with every reflector.
        selectors = {"nodeSelector": "all()", "peerSelector": f"has({REFLECTOR_LABEL})"}
        made.append(resource("BGPPeer", "route-reflectors", selectors))
    if passwords := {_key(p): os.environ[p.password_variable] for p in spec.network.bgp.peers if p.password_variable}:
        made += _secret(passwords)
    return made


def reflector_patch(spec: ClusterSpec, node: Node, *, reflects: bool) -> Object:
    """What makes a route reflector of a node, or an ordinary node again."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "labels": {REFLECTOR_LABEL: "" if reflects else None},
            # One cluster of reflectors: they do not pass on to each other what they learnt from the other.
            "annotations": {_CLUSTER_ID: "224.0.0.1" if reflects else None},
        },
    }


def _outside(peer: BgpPeer) -> Object:
    password = {"password": {"secretKeyRef": {"name": _PASSWORDS, "key": _key(peer)}}} if peer.password_variable else {}
    return resource(
        "BGPPeer", f"router-{_key(peer)}", {"peerIP": str(peer.address), "asNumber": peer.as_number, **password}
    )


def _key(peer: BgpPeer) -> str:
    return str(peer.address).replace(".", "-")


def _secret(passwords: Mapping[str, str]) -> list[Object]:
    """The passwords, and calico-node's right to read them."""
    place = {"name": _PASSWORDS, "namespace": "kube-system"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": place,
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in passwords.items()},
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": place,
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["secrets"],
                    "resourceNames": [_PASSWORDS],
                    "verbs": ["get", "list", "watch"],
                }
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": place,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": _PASSWORDS},
            "subjects": [{"kind": "ServiceAccount", "name": "calico-node", "namespace": "kube-system"}],
        },
    ]
