"""How far kubeadm came on a node: the control plane's pieces, a worker's membership, bootstrap tokens."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from pyinfra.api import FactBase

from groundwork import layout
from groundwork.kubeadm import api_get, kubectl

__all__ = ["BootstrapTokens", "ControlPlane", "ControlPlaneFact", "Membership", "MembershipFact"]

CONTROL_PLANE_PODS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


@dataclass(frozen=True)
class ControlPlane:
    """The pieces of a control plane that are there."""

    manifests: frozenset[str] = frozenset()
    """Names of the static pods that the kubelet is to run."""
    answers: bool = False
    """The API server says it is healthy."""
    objects: frozenset[str] = frozenset()
    """kind/name of what kubeadm puts into the API; a control-plane node only with its label."""
    document: str = ""
    """kubeadm's document as it was applied last."""


class ControlPlaneFact(FactBase[ControlPlane]):
    """The control plane on this node; an API server that should run gets `timeout` seconds to answer."""

    @staticmethod
    def default() -> ControlPlane:
        return ControlPlane()

    def command(self, timeout: int) -> str:
        manifests = layout.KUBERNETES / "manifests"
        system = "/api/v1/namespaces/kube-system/configmaps"
        apps = "/apis/apps/v1/namespaces/kube-system"
        evidence = {
            "configmap/kubeadm-config": f"{system}/kubeadm-config",
            "configmap/kubelet-config-1.15": f"{system}/kubelet-config-1.15",
            "configmap/cluster-info": "/api/v1/namespaces/kube-public/configmaps/cluster-info",
            "daemonset/kube-proxy": f"{apps}/daemonsets/kube-proxy",
            "deployment/coredns": f"{apps}/deployments/coredns",
        }
        masters = "/api/v1/nodes?labelSelector=node-role.kubernetes.io%2Fmaster"
        return (
            f"for m in {' '.join(CONTROL_PLANE_PODS)}; do "
            f"[ -s {manifests}/$m.yaml ] && echo manifest $m; done; "
            f"if [ -s {manifests}/kube-apiserver.yaml ] && [ -s {layout.ADMIN_KUBECONFIG} ]; then "
            f"end=$(($(date +%s) + {timeout})); "
            f"while said=$({api_get('/healthz')}); "
            '[ "$said" != ok ] && [ $(date +%s) -lt $end ]; do sleep 1; done; '
            'if [ "$said" = ok ]; then echo answers; '
            + "".join(f"{api_get(path)} >/dev/null && echo {name}; " for name, path in evidence.items())
            + rf"{api_get(masters)} | sed -n 's|.*\"kubernetes.io/hostname\": \"\(.*\)\".*|node/\1|p'; fi; fi; "
            f"echo '##document'; cat {layout.KUBEADM_DOCUMENT} 2>/dev/null; true"
        )

    def process(self, output: list[str]) -> ControlPlane:
        return _parse_control_plane(output)


@dataclass(frozen=True)
class Membership:
    """How far a worker is a member of the cluster."""

    credentials: bool = False
    """The kubelet has a kubeconfig of its own."""
    leftovers: bool = False
    """Something of an unfinished join is there."""
    answer: int = 0
    """HTTP status when the kubelet asks the API server for its own Node; 0 when nothing answered."""
    active: bool = False

    @property
    def registered(self) -> bool:
        return self.credentials and self.answer == 200 and self.active


class MembershipFact(FactBase[Membership]):
    """Whether the node called `node` is a member of the cluster whose API server is at `endpoint`."""

    @staticmethod
    def default() -> Membership:
        return Membership()

    def command(self, node: str, endpoint: str) -> str:
        kubernetes, kubelet = layout.KUBERNETES, layout.KUBELET_STATE
        pem = f"{kubelet}/pki/kubelet-client-current.pem"
        return (
            f"[ -s {layout.KUBELET_KUBECONFIG} ] && [ -s {pem} ] && echo credentials && "
            f"curl -s -o /dev/null --max-time 20 --cacert {layout.KUBERNETES_PKI}/ca.crt --cert {pem} "
            f"--key {pem} -w 'answer %{{http_code}}\\n' https://{endpoint}/api/v1/nodes/{node}; "
            f"for f in {kubernetes}/bootstrap-kubelet.conf {layout.KUBERNETES_PKI}/ca.crt "
            f"{kubelet}/config.yaml; do [ -e $f ] && echo leftovers; done; "
            "systemctl is-active --quiet kubelet && echo active; true"
        )

    def process(self, output: list[str]) -> Membership:
        return _parse_membership(output)


class BootstrapTokens(FactBase[tuple[str, ...]]):
    """The ids of the bootstrap tokens whose description is `description`; asked on a control-plane node."""

    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def command(self, description: str) -> str:
        # The description is encoded in a Secret, so the whole answer is read and compared here.
        return (
            f"[ -s {layout.ADMIN_KUBECONFIG} ] && echo '{description}' && "
            + kubectl(
                "-n kube-system get secrets --field-selector type=bootstrap.kubernetes.io/token -o "
                "jsonpath='{range .items[*]}{.data.token-id} {.data.description}{\"\\n\"}{end}' 2>/dev/null"
            )
            + "; true"
        )

    def process(self, output: list[str]) -> tuple[str, ...]:
        return _parse_tokens(output)


def _parse_control_plane(lines: list[str]) -> ControlPlane:
    cut = lines.index("##document") if "##document" in lines else len(lines)
    manifests = {line.split()[1] for line in lines[:cut] if line.startswith("manifest ")}
    return ControlPlane(
        manifests=frozenset(manifests),
        answers="answers" in lines[:cut],
        objects=frozenset(line for line in lines[:cut] if "/" in line),
        document="".join(f"{line}\n" for line in lines[cut + 1 :]),
    )


def _parse_membership(lines: Iterable[str]) -> Membership:
    words = [line.split() for line in lines]
    answers = [int(w[1]) for w in words if w[:1] == ["answer"]]
    return Membership(
        credentials=["credentials"] in words,
        leftovers=["leftovers"] in words,
        answer=answers[0] if answers else 0,
        active=["active"] in words,
    )


def _parse_tokens(lines: list[str]) -> tuple[str, ...]:
    def decoded(text: str) -> str:
        return base64.b64decode(text).decode()

    described = [line.split() for line in lines[1:]]
    return tuple(decoded(w[0]) for w in described if len(w) == 2 and decoded(w[1]) == lines[0])
