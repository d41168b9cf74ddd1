"""The example: a shop of frontend and backend, on which policies and ingress are proven by what packets do."""

from __future__ import annotations

from groundwork.artefacts import image_of
from groundwork.objects import Object
from groundwork.spec import ClusterSpec, Example

__all__ = ["BLACKHOLE", "objects", "unreachable_host", "workloads"]

PORT = 8080

BLACKHOLE = "192.0.2.1"
"""An address of the range for documentation (RFC 5737): nobody answers there, not even with a refusal."""


def objects(spec: ClusterSpec) -> list[Object]:
    """The shop; nothing where the inventory declares none."""
    example = spec.example
    if example is None:
        return []
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": example.namespace, "labels": {"name": example.namespace}},
        },
        *_tier(spec, example, "frontend", {"BACKEND": f"http://backend.{example.namespace}:{PORT}/"}),
        *_tier(spec, example, "backend", {}),
        *_unreachable(spec, example),
    ]


def workloads(spec: ClusterSpec) -> list[tuple[str, str, str]]:
    """Kind, namespace and name of what must roll out."""
    if spec.example is None:
        return []
    return [("Deployment", spec.example.namespace, name) for name in ("frontend", "backend")]


def unreachable_host(example: Example) -> str:
    """The host whose backend swallows packets: connecting to it takes as long as the controller lets it."""
    return f"unreachable.{example.host}"


def _tier(spec: ClusterSpec, example: Example, name: str, environment: dict[str, str]) -> list[Object]:
    labels = {"app": name}
    place = {"name": name, "namespace": example.namespace}
    probe = {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 5}
    apart = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}
    container = {
        "name": name,
        "image": image_of(spec, "shop"),
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": key, "value": value} for key, value in {"ROLE": name, **environment}.items()],
        "ports": [{"containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": probe,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65534, "allowPrivilegeEscalation": False},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": place,
        "spec": {
            "replicas": example.replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": 5,
                    "affinity": {
                        "podAntiAffinity": {
                            "preferredDuringSchedulingIgnoredDuringExecution": [
                                {"weight": 100, "podAffinityTerm": apart}
                            ]
                        }
                    },
                    "containers": [container],
                },
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": place,
        "spec": {"selector": labels, "ports": [{"port": PORT, "targetPort": PORT, "protocol": "TCP"}]},
    }
    return [deployment, service]


def _unreachable(spec: ClusterSpec, example: Example) -> list[Object]:
    place = {"name": "unreachable", "namespace": example.namespace}
    rule = {
        "host": unreachable_host(example),
        "http": {"paths": [{"path": "/", "backend": {"serviceName": place["name"], "servicePort": PORT}}]},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": place,
            "spec": {"ports": [{"port": PORT, "protocol": "TCP"}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": place,
            "subsets": [{"addresses": [{"ip": BLACKHOLE}], "ports": [{"port": PORT, "protocol": "TCP"}]}],
        },
        {
            "apiVersion": "networking.k8s.io/v1beta1",
            "kind": "Ingress",
            "metadata": {**place, "annotations": {"kubernetes.io/ingress.class": spec.ingress.class_name}},
            "spec": {"rules": [rule]},
        },
    ]
