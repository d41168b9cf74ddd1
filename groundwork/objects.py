"""Objects of Kubernetes as data: labelled as ours, and compared with what the API server holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

__all__ = [
    "MANAGED_BY",
    "Object",
    "belongs_to",
    "collection",
    "contained",
    "drift",
    "dump",
    "everywhere",
    "identity",
    "listings",
    "parse",
    "part_of",
    "path",
    "rolled",
]

Object = dict[str, Any]

MANAGED_BY = {"app.kubernetes.io/managed-by": "kube-groundwork"}
_PART_OF = "app.kubernetes.io/part-of"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_RESOURCES: Mapping[str, tuple[str, str, bool]] = {
    "Namespace": ("/api/v1", "namespaces", False),
    "Node": ("/api/v1", "nodes", False),
    "ConfigMap": ("/api/v1", "configmaps", True),
    "Endpoints": ("/api/v1", "endpoints", True),
    "Secret": ("/api/v1", "secrets", True),
    "Pod": ("/api/v1", "pods", True),
    "Service": ("/api/v1", "services", True),
    "ServiceAccount": ("/api/v1", "serviceaccounts", True),
    "DaemonSet": ("/apis/apps/v1", "daemonsets", True),
    "Deployment": ("/apis/apps/v1", "deployments", True),
    "StatefulSet": ("/apis/apps/v1", "statefulsets", True),
    "PodDisruptionBudget": ("/apis/policy/v1beta1", "poddisruptionbudgets", True),
    "Ingress": ("/apis/networking.k8s.io/v1beta1", "ingresses", True),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies", True),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings", True),
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1beta1", "customresourcedefinitions", False),
    "IPPool": ("/apis/crd.projectcalico.org/v1", "ippools", False),
    "BGPConfiguration": ("/apis/crd.projectcalico.org/v1", "bgpconfigurations", False),
    "BGPPeer": ("/apis/crd.projectcalico.org/v1", "bgppeers", False),
}
"""Kind -> where the API serves it: group and version, plural, whether it belongs to a namespace."""


def path(obj: Mapping[str, Any]) -> str:
    """Where the API serves the object."""
    kind, namespace, name = identity(obj)
    group, plural, namespaced = _RESOURCES[kind]
    return f"{group}/namespaces/{namespace}/{plural}/{name}" if namespaced else f"{group}/{plural}/{name}"


def collection(kind: str, namespace: str) -> str:
    """Where the API lists every object of a kind in a namespace."""
    group, plural, _ = _RESOURCES[kind]
    return f"{group}/namespaces/{namespace}/{plural}"


def everywhere(kind: str) -> str:
    """Where the API lists every object of this project of a kind."""
    group, plural, _ = _RESOURCES[kind]
    selector = quote(",".join(f"{key}={value}" for key, value in MANAGED_BY.items()))
    return f"{group}/{plural}?labelSelector={selector}"


def listings() -> list[str]:
    """Where the API lists every object of this project."""
    return [everywhere(kind) for kind in _RESOURCES]


def belongs_to(obj: Mapping[str, Any], part: str) -> bool:
    """Whether somebody applied the live object as part of `part`.

    Not everything with our labels was applied: Endpoints have the labels of their Service, and are nobody's.
    """
    metadata = obj["metadata"]
    return metadata.get("labels", {}).get(_PART_OF) == part and _LAST_APPLIED in metadata.get("annotations", {})


def parse(text: str) -> list[Object]:
    """The objects in an answer of the API: one, the items of a list, or none where it says that there is none."""
    # A group that is not defined yet is no Status, but plain text: "404 page not found".
    if not text.strip().startswith("{"):
        return []
    answer: Object = json.loads(text)
    if answer["kind"] == "Status":
        return []
    if not answer["kind"].endswith("List"):
        return [answer]
    # Items of a list do not say what they are; the list does.
    common = {"apiVersion": answer["apiVersion"], "kind": answer["kind"].removesuffix("List")}
    return [{**common, **item} for item in answer["items"] or []]


def part_of(name: str, objects: Iterable[Object]) -> list[Object]:
    """The objects, labelled as this project's and as part of `name`."""
    return [_labelled(o, {**MANAGED_BY, _PART_OF: name}) for o in objects]


def identity(obj: Mapping[str, Any]) -> tuple[str, str, str]:
    """Kind, namespace ("" for a cluster's own) and name."""
    metadata = obj["metadata"]
    return obj["kind"], metadata.get("namespace", ""), metadata["name"]


def drift(desired: Object, live: Object | None) -> tuple[str, ...]:
    """Where the live object is not as desired; empty when nothing is to be done.

    Fields that the server fills in are not looked at, so what is desired need only be contained in what is live.
    A field that was desired once and is no longer shows in the record of what was applied last.
    """
    if live is None:
        return ("absent",)
    found = list(_contradictions(desired, live, ""))
    applied = json.loads(live["metadata"].get("annotations", {}).get(_LAST_APPLIED, "{}"))
    found += [f"{path} (no longer wanted)" for path in _contradictions(_plain(applied), _plain(desired), "")]
    return tuple(found)


def contained(desired: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Whether everything in `desired` is so in `live`."""
    return not any(_contradictions(desired, live, ""))


def rolled(workload: Mapping[str, Any]) -> bool:
    """Whether a live DaemonSet or Deployment runs as declared, on every node or in every replica."""
    spec, status = workload["spec"], workload.get("status", {})
    if status.get("observedGeneration", 0) < workload["metadata"]["generation"]:
        return False
    if workload["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        return bool(wanted) and wanted == status.get("updatedNumberScheduled") == status.get("numberAvailable")
    wanted, states = spec["replicas"], ("replicas", "updatedReplicas", "availableReplicas")
    return all(status.get(name, 0) == wanted for name in states)


def dump(objects: Iterable[Object]) -> str:
    """The objects as one List for kubectl. JSON, since YAML takes Python far longer to write."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})


def _labelled(obj: Object, labels: Mapping[str, str]) -> Object:
    metadata = obj["metadata"]
    return {**obj, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **labels}}}


def _plain(obj: Mapping[str, Any]) -> Object:
    """Without annotations, which kubectl adds to what it records, and the default namespace likewise."""
    metadata = {k: v for k, v in obj.get("metadata", {}).items() if k != "annotations"}
    return {**obj, "metadata": metadata}


def _contradictions(desired: Any, live: Any, path: str) -> Iterator[str]:
    if isinstance(desired, Mapping):
        held = live if isinstance(live, Mapping) else {}
        for key, value in desired.items():
            yield from _contradictions(value, held.get(key), f"{path}.{key}")
    elif isinstance(desired, list) and desired:
        if not isinstance(live, list) or len(live) != len(desired):
            yield path
        else:
            for i, (wanted, found) in enumerate(zip(desired, live, strict=True)):
                yield from _contradictions(wanted, found, f"{path}[{i}]")
    elif desired != live and not (desired in (None, "", []) and live in (None, "", [])):
        yield path
