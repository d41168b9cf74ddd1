"""What the API server holds of given objects; asked on a control-plane node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyinfra.api import FactBase

from groundwork import layout
from groundwork.kubeadm import api_get_all, kubectl
from groundwork.objects import parse

__all__ = ["LiveObjects", "UnreadyPods"]

_MARK = "##groundwork"


class LiveObjects(FactBase[list[dict[str, Any]]]):
    """The live objects at `paths` of the API, lists of them or single ones, as far as they exist."""

    @staticmethod
    def default() -> list[dict[str, Any]]:
        return []

    def command(self, paths: Iterable[str]) -> str:
        # Errors are not facts: what cannot be read is applied, and that says what is wrong.
        return f"if [ -s {layout.ADMIN_KUBECONFIG} ]; then {api_get_all(paths, mark=_MARK)} 2>/dev/null; fi; true"

    def process(self, output: list[str]) -> list[dict[str, Any]]:
        return [found for text in "\n".join(output).split(_MARK) for found in parse(text)]


class UnreadyPods(FactBase[list[str]]):
    """One line for each pod of a namespace that is not ready: its name, containers, state, restarts, node."""

    @staticmethod
    def default() -> list[str]:
        return []

    def command(self, namespace: str) -> str:
        pods = kubectl(f"-n {namespace} get pods -o wide --no-headers")
        return f"{pods} 2>&1 | awk '{{split($2, ready, \"/\")}} ready[1] != ready[2]' | head -n 10; true"

    def process(self, output: list[str]) -> list[str]:
        return output
