"""Programs and images: which ones a node needs, and where each comes from with which pin.

`artefacts.yaml` holds the official versions, URLs and sums. A bundle brings a manifest.json of its own, whose
sums replace the official ones: its files are fetched from the mirror that serves it, or uploaded from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from groundwork.spec import ClusterSpec, Node

__all__ = ["Artefact", "ArtefactError", "image_of", "images_of", "official", "programs_of", "resolve"]

Kind = Literal["binary", "archive", "image"]

_EVERY_NODE = ("kubeadm", "kubelet", "crictl", "cni-plugins")
_CONTROL_PLANE = ("kubectl", "calicoctl")
_EVERY_NODE_IMAGES = (
    "pause",
    "kube-proxy",
    "coredns",
    "calico-node",
    "calico-cni",
    "calico-kube-controllers",
)
_CONTROL_PLANE_IMAGES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


class ArtefactError(Exception):
    """An artefact that cannot be had as the inventory asks for it; the message says what would be right."""


@dataclass(frozen=True)
class Artefact:
    """A file or image that is fetched and checked before it is put in place."""

    name: str
    version: str
    kind: Kind
    sha256: str
    """Of the file; of the manifest when an image is pulled from a registry."""
    origin: Literal["release", "built"]
    """`built`: made from source by this project, not the official file."""
    url: str | None = None
    """Where the node fetches it from."""
    path: Path | None = None
    """Where it lies on this machine, to be uploaded."""
    image: str | None = None
    """An image's full name with its tag."""


def official(name: str, version: str | None = None) -> tuple[str, str] | None:
    """URL and sha256 of the official file; None where there is no pin, or it is an image, or ours."""
    entry = _catalogue().get(name)
    if entry is None or entry["kind"] == "image" or "sha256" not in entry or version not in (None, entry["version"]):
        return None
    return entry["url"].format(version=entry["version"]), entry["sha256"]


def programs_of(spec: ClusterSpec, node: Node) -> tuple[Artefact, ...]:
    """What a Kubernetes node runs outside containers, by its roles."""
    names = _EVERY_NODE + (_CONTROL_PLANE if node in spec.control_plane else ())
    return tuple(resolve(spec, name) for name in names)


def images_of(spec: ClusterSpec, node: Node) -> tuple[Artefact, ...]:
    """The images a Kubernetes node must hold before kubeadm asks for them."""
    names = _EVERY_NODE_IMAGES + (_CONTROL_PLANE_IMAGES if node in spec.control_plane else ())
    if node in spec.ingress_nodes:
        names += ("ingress-nginx",)
    if spec.example is not None:
        names += ("shop",)
    return tuple(resolve(spec, name) for name in names)


def image_of(spec: ClusterSpec, name: str) -> str:
    """The full name, with its tag, of the image `name`."""
    entry = _catalogue()[name]
    return f"{entry['image']}:{_version(spec, entry['version'])}"


def resolve(spec: ClusterSpec, name: str) -> Artefact:
    """The artefact `name` as the cluster's source provides it; ArtefactError when it does not."""
    entry = _catalogue()[name]
    version = _version(spec, entry["version"])
    image = image_of(spec, name) if entry["kind"] == "image" else None
    if spec.artefacts.directory is not None:
        return _from_bundle(spec, name, version, image)
    sha256 = spec.artefacts.sha256.get(name) or entry.get("sha256")
    if sha256 is None:
        what = f"the digest of the image {image}" if image else f"the sha256 of {name} {version}"
        raise ArtefactError(
            f"{name}: no pinned sum is known for {version}. Give {what} in the inventory as "
            f'artefacts.sha256["{name}"], or use a bundle (artefacts.source = "bundle")'
        )
    return Artefact(name, version, entry["kind"], sha256, "release", _url(spec, entry, version), image=image)


def _url(spec: ClusterSpec, entry: Mapping[str, Any], version: str) -> str | None:
    if entry["kind"] == "image":
        return None
    url: str = entry["url"].format(version=version)
    return f"{_base(spec)}/{url.rsplit('/', 1)[1]}" if spec.artefacts.source == "mirror" else url


def _from_bundle(spec: ClusterSpec, name: str, version: str, image: str | None) -> Artefact:
    directory = spec.artefacts.directory
    assert directory is not None
    for entry in _manifest(directory):
        if (entry.get("image") or (entry["name"], entry["version"])) == (image or (name, version)):
            mirrored = spec.artefacts.source == "mirror"
            return Artefact(
                name=name,
                version=version,
                kind=entry["kind"],
                sha256=entry["sha256"],
                origin=entry["source"],
                url=f"{_base(spec)}/{entry['file']}" if mirrored else None,
                path=None if mirrored else directory / entry["file"],
                image=image,
            )
    raise ArtefactError(f"{name} {version} is not in the bundle {directory}: build the bundle again")


def _base(spec: ClusterSpec) -> str:
    return (spec.artefacts.url or "").rstrip("/")


def _version(spec: ClusterSpec, version: str) -> str:
    chosen = {"calico": spec.calico.release, "dns": spec.dns.version, "ingress": spec.ingress.version}
    return chosen.get(version, version)


@cache
def _catalogue() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_name("artefacts.yaml").read_text(encoding="utf-8")
    )
    return loaded


@cache
def _manifest(directory: Path) -> tuple[dict[str, Any], ...]:
    path = directory / "manifest.json"
    try:
        return tuple(json.loads(path.read_text(encoding="utf-8"))["artefacts"])
    except (OSError, ValueError, KeyError) as error:
        raise ArtefactError(f"the bundle's manifest {path} cannot be read: {error}") from None
