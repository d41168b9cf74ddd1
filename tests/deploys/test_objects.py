"""Objects in the cluster: applied where they differ, deleted when nobody declares them any more, nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploys.policies import policies
from deploys.resolver import resolver
from groundwork import policies as model
from groundwork.objects import part_of
from groundwork.spec import ClusterSpec, Dns, Flow, Pods, Policies
from tests.deploys.conftest import Run

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@pytest.fixture
def spec(spec: ClusterSpec) -> ClusterSpec:
    """The cluster with a shop that policies and resolver options are for."""
    tiers = [Pods(namespace="shop", labels={"app": tier}) for tier in ("frontend", "backend")]
    flow = Flow(source=tiers[0], destination=tiers[1], port=8080)
    wanted = Policies(namespaces=("shop",), flows=(flow,))
    dns = Dns(version="1.6.2", ndots_namespaces=("shop",))
    return spec.model_copy(update={"policies": wanted, "dns": dns})


def listed(kind: str, api: str, objects: list[dict[str, Any]]) -> list[str]:
    items = [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in objects]
    return [json.dumps({"kind": f"{kind}List", "apiVersion": api, "items": items}), "##groundwork"]


def live(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**o, "metadata": {**o["metadata"], "annotations": {APPLIED: json.dumps(o)}}}
        for o in part_of("policies", objects)
    ]


NAMESPACE = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "shop", "labels": {"name": "shop"}}}
OURS = "?labelSelector=app.kubernetes.io"
SHOP = ":6443/api/v1/namespaces/shop"


class TestPolicies:
    def test_nothing_is_there(self, run: Run) -> None:
        created, applied = run(policies).done["cp1"]
        assert created.command.endswith("create -f -")
        assert json.loads(created.stdin)["metadata"] == {"name": "shop", "labels": {"name": "shop"}}
        assert applied.command.endswith("apply -f -")
        assert len(json.loads(applied.stdin)["items"]) == 4

    def test_second_run_changes_nothing(self, run: Run, spec: ClusterSpec) -> None:
        there = listed("NetworkPolicy", "networking.k8s.io/v1", live(model.objects(spec)))
        answers = {OURS: there, SHOP: [json.dumps(NAMESPACE), "##groundwork"]}
        assert run(policies, {"cp1": answers}).commands("cp1") == []

    def test_what_nobody_declares_is_deleted(self, run: Run, spec: ClusterSpec) -> None:
        old = {**model.objects(spec)[0], "metadata": {"name": "old", "namespace": "shop"}}
        foreign = {**old, "metadata": {"name": "foreign", "namespace": "shop"}}
        there = [*live([*model.objects(spec), old]), *part_of("policies", [foreign])]
        answers = {OURS: listed("NetworkPolicy", "networking.k8s.io/v1", there), SHOP: [json.dumps(NAMESPACE)]}
        (deleted,) = run(policies, {"cp1": answers}).done["cp1"]
        assert " delete " in deleted.command
        assert [o["metadata"]["name"] for o in json.loads(deleted.stdin)["items"]] == ["old"]

    def test_only_the_first_control_plane_is_asked(self, run: Run) -> None:
        assert run(policies).commands("w1") == []


class TestResolver:
    def deployment(self, **pod: Any) -> list[str]:
        metadata = {"name": "a", "namespace": "shop", "generation": 1}
        status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
        made = {"metadata": metadata, "spec": {"replicas": 1, "template": {"spec": pod}}, "status": status}
        one = {"kind": "Deployment", "apiVersion": "apps/v1", **made}
        return [*listed("Deployment", "apps/v1", [one])]

    def test_a_workload_without_ndots_is_patched(self, run: Run) -> None:
        one = json.loads(self.deployment()[0])["items"][0]
        single = [json.dumps({"kind": "Deployment", "apiVersion": "apps/v1", **one}), "##groundwork"]
        answers = {"deployments/a": single, "/namespaces/shop/deployments": self.deployment()}
        (patched,) = run(resolver, {"cp1": answers}).done["cp1"]
        assert "-n shop patch deployment a --type=strategic" in patched.command
        options = json.loads(patched.stdin)["spec"]["template"]["spec"]["dnsConfig"]["options"]
        assert options == [{"name": "ndots", "value": "2"}]

    def test_second_run_changes_nothing(self, run: Run) -> None:
        answer = self.deployment(dnsConfig={"options": [{"name": "ndots", "value": "2"}]})
        assert run(resolver, {"cp1": {"/namespaces/shop/deployments": answer}}).commands("cp1") == []
