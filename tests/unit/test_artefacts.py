"""Where programs and images come from, and that none comes unpinned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from groundwork.artefacts import ArtefactError, images_of, official, programs_of, resolve
from groundwork.spec import Artefacts, ClusterSpec, Node, define

CP1 = Node(name="cp1", address="10.0.0.11")
W1 = Node(name="w1", address="10.0.0.12")
SUM = "ab" * 32


def cluster(**artefacts: Any) -> ClusterSpec:
    return define(name="t", control_plane=[CP1], workers=[W1], etcd_members=[CP1], artefacts=Artefacts(**artefacts))


def test_official_program() -> None:
    kubelet = resolve(cluster(), "kubelet")
    assert kubelet.url == "https://dl.k8s.io/release/v1.15.12/bin/linux/amd64/kubelet"
    assert kubelet.sha256 == "dff48393a3116b8f7dea206b81678e52f7fad298f1aff976f18f1bfa4e9ccdde"
    assert official("kubelet", "v1.15.12") == (kubelet.url, kubelet.sha256)
    assert official("kubelet", "v1.15.11") is None


@pytest.mark.parametrize(
    ("name", "asked"),
    [("etcd", "the sha256 of etcd v3.3.27"), ("kube-proxy", "the digest of the image registry.k8s.io/kube-proxy")],
)
def test_no_pin_no_artefact(name: str, asked: str) -> None:
    with pytest.raises(ArtefactError, match=asked):
        resolve(cluster(), name)


def test_a_pin_of_ones_own() -> None:
    assert resolve(cluster(sha256={"etcd": SUM}), "etcd").sha256 == SUM
    image = resolve(cluster(sha256={"pause": SUM}), "pause")
    assert (image.image, image.url, image.path) == ("registry.k8s.io/pause:3.1", None, None)


def test_a_mirror_of_official_files_has_the_official_pins() -> None:
    crictl = resolve(cluster(source="mirror", url="http://10.0.0.1/files/"), "crictl")
    assert crictl.url == "http://10.0.0.1/files/crictl-v1.15.0-linux-amd64.tar.gz"
    assert crictl.sha256.startswith("c3b71be1")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    entries = [
        {
            "name": "etcd",
            "version": "v3.3.27",
            "kind": "archive",
            "file": "e.tgz",
            "sha256": SUM,
            "source": "built",
        },
        {
            "name": "node",
            "version": "v3.13.4",
            "kind": "image",
            "file": "n.tar",
            "sha256": SUM,
            "source": "built",
            "image": "docker.io/calico/node:v3.13.4",
        },
    ]
    (tmp_path / "manifest.json").write_text(json.dumps({"artefacts": entries}))
    return tmp_path


def test_a_bundle_is_uploaded_and_its_mirror_is_fetched_from(bundle: Path) -> None:
    uploaded = resolve(cluster(source="bundle", directory=bundle), "etcd")
    assert (uploaded.path, uploaded.url, uploaded.origin) == (bundle / "e.tgz", None, "built")
    mirrored = resolve(cluster(source="mirror", url="http://m", directory=bundle), "calico-node")
    assert (mirrored.url, mirrored.path) == ("http://m/n.tar", None)


def test_a_bundle_without_it(bundle: Path) -> None:
    with pytest.raises(ArtefactError, match=r"kubelet v1\.15\.12 is not in the bundle"):
        resolve(cluster(source="bundle", directory=bundle), "kubelet")
    with pytest.raises(ArtefactError, match="manifest"):
        resolve(cluster(source="bundle", directory=bundle / "nowhere"), "kubelet")


def test_roles_decide_what_a_node_gets() -> None:
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "pause", "coredns")
    pins = dict.fromkeys((*names, "calico-node", "calico-cni", "calico-kube-controllers", "calicoctl"), SUM)
    spec = cluster(sha256=pins)
    only_cp = {a.name for a in images_of(spec, CP1)} - {a.name for a in images_of(spec, W1)}
    assert only_cp == {"kube-apiserver", "kube-controller-manager", "kube-scheduler"}
    assert {a.name for a in programs_of(spec, CP1)} - {a.name for a in programs_of(spec, W1)} == {
        "kubectl",
        "calicoctl",
    }
