"""etcd's configuration file for one member, as data."""

from __future__ import annotations

import yaml

from groundwork import layout
from groundwork.spec import ClusterSpec, Node

__all__ = ["client_url", "configuration", "etcdctl"]


def client_url(node: Node) -> str:
    """Where clients reach the member on `node`."""
    return f"https://{node.address}:{layout.ETCD_CLIENT_PORT}"


def etcdctl(endpoint: str) -> str:
    """The start of an etcdctl command (API 3) on a member, with the member's own client certificate."""
    pki = layout.ETCD_PKI
    return (
        f"ETCDCTL_API=3 {layout.BIN}/etcdctl --endpoints={endpoint} --cacert={pki}/ca.crt "
        f"--cert={pki}/healthcheck-client.crt --key={pki}/healthcheck-client.key"
    )


def configuration(spec: ClusterSpec, node: Node) -> str:
    """The member's --config-file. Clients and peers must both show a certificate of etcd's own authority."""
    peers = ",".join(f"{n.name}={_peer_url(n)}" for n in spec.etcd_members)
    return yaml.safe_dump(
        {
            "name": node.name,
            "data-dir": str(layout.ETCD_DATA),
            "listen-peer-urls": _peer_url(node),
            "listen-client-urls": f"{client_url(node)},https://127.0.0.1:{layout.ETCD_CLIENT_PORT}",
            "initial-advertise-peer-urls": _peer_url(node),
            "advertise-client-urls": client_url(node),
            "listen-metrics-urls": f"http://127.0.0.1:{layout.ETCD_METRICS_PORT}",
            "initial-cluster": peers,
            "initial-cluster-token": spec.name,
            "initial-cluster-state": "new",
            "heartbeat-interval": spec.etcd.heartbeat_interval_ms,
            "election-timeout": spec.etcd.election_timeout_ms,
            "quota-backend-bytes": spec.etcd.quota_backend_bytes,
            "enable-v2": False,
            "strict-reconfig-check": True,
            "client-transport-security": _transport("server"),
            "peer-transport-security": _transport("peer"),
        },
        sort_keys=False,
    )


def _peer_url(node: Node) -> str:
    return f"https://{node.address}:{layout.ETCD_PEER_PORT}"


def _transport(certificate: str) -> dict[str, object]:
    return {
        "cert-file": str(layout.ETCD_PKI / f"{certificate}.crt"),
        "key-file": str(layout.ETCD_PKI / f"{certificate}.key"),
        "trusted-ca-file": str(layout.ETCD_PKI / "ca.crt"),
        "client-cert-auth": True,
    }
