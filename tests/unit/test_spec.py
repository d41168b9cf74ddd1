"""Mistakes of an inventory are all named at once, with key, value and what would be right."""

from __future__ import annotations

from typing import Any

import pytest

from groundwork.spec import Node, define


def node(name: str = "cp1", address: str = "10.0.0.11") -> Node:
    return Node(name=name, address=address)


CP1, W1, W2 = node(), node("w1", "10.0.0.12"), node("w2", "10.0.0.13")
GOOD: dict[str, Any] = {"name": "test", "control_plane": [CP1], "workers": [W1, W2], "etcd_members": [CP1]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "Prod_1"}, "name = 'Prod_1': must be a DNS label"),
        ({"network": {"mtu": 100}}, "network.mtu = 100: Input should be greater than or equal to 1280"),
        ({"nework": {}}, "nework: Extra inputs are not permitted"),
        ({"control_plane": [CP1, W1], "workers": []}, "control_plane has 2 nodes: exactly one is supported"),
        ({"etcd_members": [CP1, W1]}, "etcd_members has 2 nodes: use one or three"),
        ({"workers": [CP1, W1]}, "cp1 is in control_plane and in workers: choose one"),
        ({"workers": [W1, W1]}, "workers names w1 2 times"),
        ({"workers": [W1, node("w2", "10.0.0.12")]}, "10.0.0.12 is the address of 2 nodes"),
        ({"etcd_members": [node("cp1", "10.0.0.99")]}, "cp1 is described twice, differently"),
        ({"ingress_nodes": [node("x", "10.0.0.5")]}, "ingress_nodes names x, which is neither"),
        ({"network": {"pod_cidr": "10.96.0.0/16"}}, "network.pod_cidr 10.96.0.0/16 overlaps network.service_cidr"),
        ({"network": {"pod_cidr": "10.0.0.0/16"}}, "contains the address of cp1, 10.0.0.11"),
        (
            {"network": {"pod_cidr": "10.244.0.0/28"}},
            "block_size /26 is larger than network.pod_cidr 10.244.0.0/28",
        ),
        ({"artefacts": {"source": "mirror"}}, "source is 'mirror' but url is missing"),
        ({"artefacts": {"source": "bundle"}}, "source is 'bundle' but directory is missing"),
        ({"etcd": {"election_timeout_ms": 500}}, "etcd wants at least ten heartbeats"),
        ({"kubernetes_version": "v1.16.0"}, "kubernetes_version = 'v1.16.0': Input should be 'v1.15.12'"),
    ],
)
def test_a_mistake_is_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SystemExit) as refused:
        define(**{**GOOD, **change})
    assert sentence in str(refused.value)


def test_all_mistakes_at_once() -> None:
    with pytest.raises(SystemExit) as refused:
        define(**{**GOOD, "name": "_", "network": {"mtu": 1}, "dns": {"replicas": 0}})
    text = str(refused.value)
    assert "3 mistake(s)" in text
    assert all(key in text for key in ("name", "network.mtu", "dns.replicas"))


def test_a_good_cluster() -> None:
    cluster = define(**{**GOOD, "etcd_members": [CP1, W1, W2]})
    assert [n.name for n in cluster.nodes] == ["cp1", "w1", "w2"]
    assert str(cluster.network.api_service_address) == "10.96.0.1"
    assert str(cluster.network.dns_service_address) == "10.96.0.10"
    (host, data), *_ = cluster.hosts("etcd")
    assert host == "cp1"
    assert data["ssh_hostname"] == "10.0.0.11"
    assert data["cluster"] is cluster
