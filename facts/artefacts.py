"""Which pinned programs and images a node already holds."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

from pyinfra.api import FactBase

__all__ = ["ImageSums", "LinkTargets"]

SUM_LABEL = "kube-groundwork.sha256"
"""containerd keeps it with the image: the sum of the archive (or manifest) that the image came from."""

_LABEL = re.compile(rf"{re.escape(SUM_LABEL)}=([0-9a-f]{{64}})")


class LinkTargets(FactBase[dict[str, str]]):
    """Where each of `links` leads, for those that are symbolic links to something that exists."""

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def command(self, links: Iterable[str]) -> str:
        listed = " ".join(shlex.quote(link) for link in links)
        return f'for l in {listed}; do if [ -L "$l" ] && [ -e "$l" ]; then echo "$l $(readlink "$l")"; fi; done'

    def process(self, output: list[str]) -> dict[str, str]:
        return dict(line.split(" ", 1) for line in output)


class ImageSums(FactBase[dict[str, str]]):
    """The images of containerd's namespace k8s.io that carry our sum, by full name."""

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def command(self) -> str:
        return "ctr -n k8s.io images ls 2>/dev/null || true"

    def process(self, output: list[str]) -> dict[str, str]:
        return dict(_labelled(output))


def _labelled(lines: Iterable[str]) -> Mapping[str, str]:
    return {line.split()[0]: match[1] for line in lines if (match := _LABEL.search(line))}
