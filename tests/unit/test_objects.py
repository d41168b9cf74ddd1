"""What is live is compared with what is wanted: the server's own additions are no drift."""

from __future__ import annotations

import json
from typing import Any

import pytest

from groundwork.objects import contained, drift, part_of, rolled

WANTED: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "x", "namespace": "n", "labels": {"a": "b"}},
    "data": {"k": "v"},
    "list": [{"name": "one", "value": "1"}],
}


def live(applied: dict[str, Any] | None = None, **change: Any) -> dict[str, Any]:
    """What the server answers: with defaults of its own, and the record of what was applied."""
    record = applied or WANTED
    recorded = {**record, "metadata": {**record["metadata"], "annotations": {}}}
    return {
        **WANTED,
        "metadata": {
            **WANTED["metadata"],
            "uid": "1",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(recorded)},
        },
        "list": [{"name": "one", "value": "1", "defaulted": True}],
        "status": {},
        **change,
    }


@pytest.mark.parametrize(
    ("found", "where"),
    [
        (None, ("absent",)),
        (live(), ()),
        (live(data={"k": "other"}), (".data.k",)),
        (live(data=None), (".data.k",)),
        (live(list=[]), (".list",)),
        (live(list=[{"name": "two", "value": "1"}]), (".list[0].name",)),
        (live({**WANTED, "data": {"k": "v", "old": "1"}}), (".data.old (no longer wanted)",)),
    ],
)
def test_drift(found: dict[str, Any] | None, where: tuple[str, ...]) -> None:
    assert drift(WANTED, found) == where


def test_empty_and_missing_are_the_same() -> None:
    assert contained({"a": None, "b": "", "c": []}, {})
    assert not contained({"a": "x"}, {})
    assert not contained({"a": 0}, {"a": False} | {"a": 1})


def test_labels_of_ours_are_added_to_labels_that_are_there() -> None:
    (obj,) = part_of("calico", [WANTED])
    assert obj["metadata"]["labels"] == {
        "a": "b",
        "app.kubernetes.io/managed-by": "kube-groundwork",
        "app.kubernetes.io/part-of": "calico",
    }
    assert "app.kubernetes.io/part-of" not in WANTED["metadata"]["labels"]


def daemonset(**status: int) -> dict[str, Any]:
    whole = {
        "observedGeneration": 2,
        "desiredNumberScheduled": 3,
        "updatedNumberScheduled": 3,
        "numberAvailable": 3,
    }
    return {"kind": "DaemonSet", "metadata": {"generation": 2}, "spec": {}, "status": {**whole, **status}}


@pytest.mark.parametrize(
    ("workload", "done"),
    [
        (daemonset(), True),
        (daemonset(observedGeneration=1), False),
        (daemonset(numberAvailable=2), False),
        (daemonset(desiredNumberScheduled=0, updatedNumberScheduled=0, numberAvailable=0), False),
        (
            {
                "kind": "Deployment",
                "metadata": {"generation": 1},
                "spec": {"replicas": 2},
                "status": {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 2},
            },
            False,
        ),
    ],
)
def test_rolled(workload: dict[str, Any], done: bool) -> None:
    assert rolled(workload) is done
