"""ingress-nginx on the ingress nodes, and what it serves.

Settings are plain numbers: the controller ignores "10s" without a word and takes its default. Run here: the
lab's build of 2020-06-30; v0.49.3, the default, was only rendered and validated.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml

from groundwork import layout
from groundwork.artefacts import image_of
from groundwork.objects import Object
from groundwork.spec import ClusterSpec, IngressHost
from groundwork.templates import render

__all__ = ["NAMESPACE", "NODE_LABEL", "authorities", "objects", "settings", "workloads"]

NAMESPACE = "ingress-nginx"
NODE_LABEL = "kube-groundwork/ingress"


_FORBIDS_SNIPPETS = ("v0.49.3",)
"""Versions in which annotations with pieces of nginx.conf can be turned off: they read every Secret of the cluster
(CVE-2021-25742)."""


def objects(spec: ClusterSpec) -> list[Object]:
    """The controller and the hosts that it serves; nothing without ingress nodes."""
    if not spec.ingress_nodes:
        return []
    text = render(
        "ingress/controller.yaml.j2",
        namespace=NAMESPACE,
        node_label=NODE_LABEL,
        image=image_of(spec, "ingress-nginx"),
        class_name=spec.ingress.class_name,
        replicas=spec.ingress.replicas or len(spec.ingress_nodes),
        health_port=layout.INGRESS_HEALTH_PORT,
        http_port=layout.HTTP_PORT,
        https_port=layout.HTTPS_PORT,
    )
    controller = [o for o in yaml.safe_load_all(text) if o]
    return [*controller, _settings(spec), *(o for host in spec.ingress.hosts for o in _host(spec, host))]


def authorities(spec: ClusterSpec) -> list[Object]:
    """The Secrets with the authorities of hosts that ask their clients for certificates: nothing private."""
    return [_authority(host, host.client_ca) for host in spec.ingress.hosts if spec.ingress_nodes and host.client_ca]


def settings(spec: ClusterSpec) -> dict[str, str]:
    """The controller's settings for all hosts."""
    wanted = {
        "proxy-body-size": spec.ingress.proxy_body_size,
        "proxy-connect-timeout": str(spec.ingress.proxy_connect_timeout_s),
        "proxy-read-timeout": str(spec.ingress.proxy_read_timeout_s),
        "server-tokens": "false",
        "ssl-protocols": "TLSv1.2 TLSv1.3",
    }
    if spec.ingress.version in _FORBIDS_SNIPPETS:
        wanted["allow-snippet-annotations"] = "false"
    return wanted


def workloads(spec: ClusterSpec) -> list[tuple[str, str, str]]:
    """Kind, namespace and name of what must roll out."""
    return [("Deployment", NAMESPACE, "ingress-nginx")] if spec.ingress_nodes else []


def _settings(spec: ClusterSpec) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "ingress-nginx", "namespace": NAMESPACE},
        "data": settings(spec),
    }


def _host(spec: ClusterSpec, host: IngressHost) -> list[Object]:
    annotations = {"kubernetes.io/ingress.class": spec.ingress.class_name}
    body: dict[str, Any] = {
        "rules": [
            {
                "host": host.host,
                "http": {"paths": [{"path": "/", "backend": {"serviceName": host.service, "servicePort": host.port}}]},
            }
        ]
    }
    made: list[Object] = []
    if host.certificate and host.key:
        body["tls"] = [{"hosts": [host.host], "secretName": f"{host.name}-tls"}]
        made.append(_secret(host, "tls", {"tls.crt": host.certificate, "tls.key": host.key}))
    if host.client_ca:
        annotations |= {
            "nginx.ingress.kubernetes.io/auth-tls-secret": f"{host.namespace}/{host.name}-client-ca",
            "nginx.ingress.kubernetes.io/auth-tls-verify-client": "on",
            "nginx.ingress.kubernetes.io/auth-tls-verify-depth": "1",
        }
        made.append(_authority(host, host.client_ca))
    metadata = {"name": host.name, "namespace": host.namespace, "annotations": annotations}
    made.append({"apiVersion": "networking.k8s.io/v1beta1", "kind": "Ingress", "metadata": metadata, "spec": body})
    return made


def _authority(host: IngressHost, certificate: Path) -> Object:
    # Where the key ca.crt is missing in it, a controller lets everybody in when it starts anew.
    return _secret(host, "client-ca", {"ca.crt": certificate})


def _secret(host: IngressHost, suffix: str, files: dict[str, Path]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls" if suffix == "tls" else "Opaque",
        "metadata": {"name": f"{host.name}-{suffix}", "namespace": host.namespace},
        "data": {name: base64.b64encode(path.read_bytes()).decode() for name, path in files.items()},
    }
