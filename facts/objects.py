"""What the API server holds of given objects; asked on a control-plane node."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pyinfra.api import FactBase

from groundwork import layout
from groundwork.kubeadm import api_get, kubectl

__all__ = ["LiveObjects", "RolloutStatus", "Workloads"]


class LiveObjects(FactBase[list[dict[str, Any]]]):
    """The live state of the objects given on standard input, as far as they exist."""

    @staticmethod
    def default() -> list[dict[str, Any]]:
        return []

    def command(self) -> str:
        get = kubectl("get -f - -o json --ignore-not-found")
        # Errors are not facts: what cannot be read is applied, and that says what is wrong.
        return f"if [ -s {layout.ADMIN_KUBECONFIG} ]; then {get} 2>/dev/null; fi; true"

    def process(self, output: list[str]) -> list[dict[str, Any]]:
        return _parse(output)


class Workloads(FactBase[list[dict[str, Any]]]):
    """The live DaemonSets and Deployments at `paths` of the API, as far as they exist."""

    @staticmethod
    def default() -> list[dict[str, Any]]:
        return []

    def command(self, paths: Iterable[str]) -> str:
        return "; ".join(f"{api_get(path)} 2>/dev/null; echo '##'" for path in paths) + "; true"

    def process(self, output: list[str]) -> list[dict[str, Any]]:
        texts = "\n".join(output).split("##")
        return [json.loads(text) for text in texts if text.strip()]


class RolloutStatus(FactBase[str]):
    """`complete`, or what is wrong after waiting up to `timeout` s for a workload (`daemonset/NAME`)."""

    @staticmethod
    def default() -> str:
        return "kubectl said nothing"

    def command(self, workload: str, namespace: str, timeout: int) -> str:
        status = kubectl(f"-n {namespace} rollout status {workload} --timeout={timeout}s")
        pods = kubectl(f"-n {namespace} get pods -o wide --no-headers")
        return f"{status} 2>&1 && echo '##complete' || {pods} | grep -v ' Running ' | head -n 10; true"

    def process(self, output: list[str]) -> str:
        return "complete" if "##complete" in output else "\n".join(output)


def _parse(lines: list[str]) -> list[dict[str, Any]]:
    text = "\n".join(lines).strip()
    if not text:
        return []
    answer = json.loads(text)
    found: list[dict[str, Any]] = answer["items"] if answer.get("kind") == "List" else [answer]
    return found
