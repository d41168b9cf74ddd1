"""kubeadm, taken up from wherever an earlier run was killed, with its own preflight on.

A bare node gets one `kubeadm init` or `kubeadm join`. After that, each of kubeadm's phases has its evidence
on the node or in the API; the phases whose evidence is missing are run again, and only those.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping

import yaml
from pyinfra import host, state
from pyinfra.api import Host, OperationError, StringCommand, operation

from facts.answers import AnswersFact
from facts.kubeadm import (
    CONTROL_PLANE_PODS,
    BootstrapTokens,
    ControlPlane,
    ControlPlaneFact,
    MembershipFact,
)
from groundwork import kubeadm, layout
from groundwork.kubeadm import kubectl
from groundwork.spec import ClusterSpec, Node
from operations.commands import locked, run_on
from operations.files import File, write

__all__ = ["initialised", "joined", "proxy_mode_taken", "tokens_deleted"]

_KUBEADM = f"{layout.BIN}/kubeadm"
_NEW_DOCUMENT = layout.RUN / "kubeadm.yaml"

_API_WAIT_S = 240

_FIXED = ("clusterName", "networking", "controlPlaneEndpoint", "kubernetesVersion", "etcd", "imageRepository")
"""Of the ClusterConfiguration: what a running cluster cannot be given anew by repeating phases."""


@operation()
def initialised(*, spec: ClusterSpec, node: Node, document: str) -> Generator[StringCommand, None, None]:
    """The node runs the control plane that `document` describes, and kubeadm's addons are in the API."""
    found = host.get_fact(ControlPlaneFact, timeout=_API_WAIT_S)
    if "kube-apiserver" not in found.manifests:
        yield write(File(_NEW_DOCUMENT, document, mode="600"))
        yield locked(
            # What an init that was killed early left running would hold the ports that preflight wants free.
            f"systemctl stop kubelet; rm -f {layout.KUBERNETES}/manifests/kube-*.yaml; "
            f"{_KUBEADM} init --config {_NEW_DOCUMENT} --skip-token-print"
        )
    else:
        yield from _completed(node, found, document)
    if found.document != document:
        yield write(File(layout.KUBEADM_DOCUMENT, document, mode="600"))


def _completed(node: Node, found: ControlPlane, document: str) -> Generator[StringCommand, None, None]:
    """Runs the phases of a control plane that was begun: those without evidence, or whose input changed."""
    changed = bool(found.document) and _differs(node, found.document, document)
    missing = not found.manifests.issuperset(CONTROL_PLANE_PODS)
    if changed or missing or not _evidence(node).keys() <= found.objects:
        yield write(File(_NEW_DOCUMENT, document, mode="600"))
    if changed or missing:
        yield _phase("control-plane all")
        found = host.get_fact(ControlPlaneFact, timeout=_API_WAIT_S)
    if state.is_executing and not found.answers:
        raise OperationError(
            f"the API server on {node.name} does not answer within {_API_WAIT_S} s. Look at: crictl ps -a, "
            f"crictl logs, journalctl -u kubelet on {node.name}; and whether etcd is healthy"
        )
    for evidence, phase in _evidence(node).items():
        if changed or evidence not in found.objects:
            yield _phase(phase)
    if changed:
        yield StringCommand(kubectl("-n kube-system rollout restart daemonset/kube-proxy"))


def _evidence(node: Node) -> Mapping[str, str]:
    """kind/name in the API -> the phase of `kubeadm init` that puts it there."""
    return {
        "configmap/kubeadm-config": "upload-config kubeadm",
        "configmap/kubelet-config-1.15": "upload-config kubelet",
        f"node/{node.name}": "mark-control-plane",
        "configmap/cluster-info": "bootstrap-token",
        "daemonset/kube-proxy": "addon kube-proxy",
        "deployment/coredns": "addon coredns",
    }


def _phase(phase: str) -> StringCommand:
    return locked(f"{_KUBEADM} init phase {phase} --config {_NEW_DOCUMENT}")


def _differs(node: Node, applied: str, wanted: str) -> bool:
    """Whether what kubeadm applies changed; OperationError when a part changed that cannot change."""
    old, new = _by_kind(applied), _by_kind(wanted)
    fixed = [(key, old["ClusterConfiguration"].get(key), new["ClusterConfiguration"][key]) for key in _FIXED]
    fixed.append(("KubeletConfiguration", old["KubeletConfiguration"], new["KubeletConfiguration"]))
    if refused := [f"{key} is {was}, wanted is {now}" for key, was, now in fixed if was != now]:
        raise OperationError(
            f"the cluster that runs on {node.name} was made with other settings, which cannot be changed in "
            f"place: {'; '.join(refused)}. Put the inventory back, or build a new cluster"
        )
    kinds = ("ClusterConfiguration", "KubeProxyConfiguration")
    return any(old[kind] != new[kind] for kind in kinds)


def _by_kind(documents: str) -> dict[str, dict[str, object]]:
    return {d["kind"]: d for d in yaml.safe_load_all(documents)}


@operation()
def joined(*, spec: ClusterSpec, node: Node, kernel: str, first: Host) -> Generator[StringCommand, None, None]:
    """The node is a worker of the cluster: its kubelet runs and the API server knows its Node."""
    endpoint = kubeadm.api_endpoint(spec)
    found = host.get_fact(MembershipFact, node=node.name, endpoint=endpoint)
    if found.registered:
        host.noop(f"{node.name} is a member")
        return
    if found.credentials:
        # A kubelet registers its Node when it starts; credentials tell that the join itself was complete.
        yield StringCommand("systemctl restart kubelet")
        yield _await_registration(node, endpoint)
        return
    if found.leftovers:
        yield locked(f"{_KUBEADM} reset --force --cri-socket {layout.CONTAINERD_SOCKET}")
    yield StringCommand(f"mkdir -p -m 700 {layout.RUN}")
    yield from _join(spec, node, kernel, first)
    yield _await_registration(node, endpoint)


def _join(spec: ClusterSpec, node: Node, kernel: str, first: Host) -> Generator[StringCommand, None, None]:
    token = run_on(
        first,
        f"{_KUBEADM} token create --ttl 15m --description '{kubeadm.TOKEN_DESCRIPTION}' "
        f"--kubeconfig {layout.ADMIN_KUBECONFIG}",
    ).strip()
    try:
        document = f"{layout.RUN}/join.yaml"
        yield locked(
            f"umask 077; cat > {document}; {_KUBEADM} join --config {document}; e=$?; rm -f {document}; "
            f"mkdir -p {layout.KUBERNETES}/manifests; exit $e",
            stdin=kubeadm.join(spec, node, kernel=kernel, token=token, ca_hash=_ca_hash(first)),
        )
    finally:
        run_on(
            first,
            f"{_KUBEADM} token delete {token.split('.')[0]} --kubeconfig {layout.ADMIN_KUBECONFIG}",
        )


def _ca_hash(first: Host) -> str:
    """kubeadm's pin of the cluster's authority: SHA-256 of its public key."""
    return (
        "sha256:"
        + run_on(
            first,
            f"openssl x509 -pubkey -noout -in {layout.KUBERNETES_PKI}/ca.crt | "
            "openssl pkey -pubin -outform der | sha256sum | cut -c-64",
        ).strip()
    )


def _await_registration(node: Node, endpoint: str) -> StringCommand:
    ask = MembershipFact().command(node=node.name, endpoint=endpoint)
    return StringCommand(
        f"n=0; until ({ask}) | grep -q 'answer 200'; do n=$((n+1)); if [ $n -ge 60 ]; then "
        f'echo "{node.name} is not known to the API server at {endpoint} after 60 tries; look at: '
        f'journalctl -u kubelet" >&2; exit 1; fi; sleep 2; done'
    )


@operation()
def proxy_mode_taken(*, mode: str) -> Generator[StringCommand, None, None]:
    """kube-proxy balances by `mode`. Where it fell back for want of a module that is there by now, it starts anew."""
    found = host.get_fact(AnswersFact, questions={"proxy-mode": kubeadm.PROXY_MODE}).get("proxy-mode", ())
    if found in ((), (mode,)):
        host.noop(f"kube-proxy balances by {mode}, or does not run yet")
        return
    yield StringCommand("pkill -x kube-proxy")


@operation()
def tokens_deleted() -> Generator[StringCommand, None, None]:
    """No bootstrap token of this or of an earlier, killed run is left; asked on a control-plane node."""
    for token in host.get_fact(BootstrapTokens, description=kubeadm.TOKEN_DESCRIPTION):
        yield StringCommand(f"{_KUBEADM} token delete {token} --kubeconfig {layout.ADMIN_KUBECONFIG}")
