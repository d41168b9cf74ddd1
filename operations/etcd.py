"""etcd's authority, certificates and members.

kubeadm makes every certificate, on the node that holds etcd's authority (kubernetes.io, "Set up a high
availability etcd cluster with kubeadm"); a member's key crosses the controller only in memory.
"""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host, state
from pyinfra.api import Host, OperationError, StringCommand, operation

from facts.etcd import CERTIFICATES, Authority, MemberCertificates, MemberHealth
from facts.files import FileStates
from groundwork import kubeadm, layout
from groundwork.etcd import client_url
from groundwork.spec import ClusterSpec, Node
from operations.commands import run_on

__all__ = ["authority_made", "certificates_issued", "client_certificate_made", "member_healthy"]

_PKI = layout.KUBERNETES_PKI


@operation()
def authority_made(*, spec: ClusterSpec, node: Node) -> Generator[StringCommand, None, None]:
    """etcd has a certificate authority of its own, on the first control-plane node."""
    if host.get_fact(Authority):
        host.noop("etcd's authority is there")
        return
    yield _phase("etcd-ca", kubeadm.etcd_certificates(spec, node, directory=str(_PKI)))


@operation()
def client_certificate_made(*, spec: ClusterSpec, node: Node) -> Generator[StringCommand, None, None]:
    """The API server has its client certificate for etcd."""
    paths = [str(_PKI / f"apiserver-etcd-client.{end}") for end in ("crt", "key")]
    if len(host.get_fact(FileStates, paths=paths)) == len(paths):
        host.noop("the API server's client certificate is there")
        return
    yield _phase("apiserver-etcd-client", kubeadm.etcd_certificates(spec, node, directory=str(_PKI)))


@operation()
def certificates_issued(*, spec: ClusterSpec, node: Node, authority: Host) -> Generator[StringCommand, None, None]:
    """The member has certificates of the cluster's etcd authority that name every member."""
    held = host.get_fact(MemberCertificates)
    wanted = {n.name for n in spec.etcd_members} | {str(n.address) for n in spec.etcd_members}
    if held.complete and held.authority == authority.get_fact(Authority) and wanted <= held.names:
        host.noop("the member's certificates name every member")
        return
    new, current = f"{layout.ETCD_PKI}.new", layout.ETCD_PKI
    yield StringCommand(f"rm -rf {new} && install -d -m 700 {layout.ETCD_CONFIG} {new}")
    yield StringCommand(
        f"base64 -d | tar -x -C {new} --no-same-owner && chown -R etcd:etcd {layout.ETCD_CONFIG} && "
        f"rm -rf {current} && mv -T {new} {current}",
        _stdin=_issue(spec, node, authority),
    )


@operation()
def member_healthy(*, node: Node, timeout: int = 120) -> Generator[StringCommand, None, None]:
    """The member commits a proposal within `timeout` seconds: a majority of members is up."""
    if state.is_executing:
        answer = host.get_fact(MemberHealth, endpoint=client_url(node), timeout=timeout)
        if answer != "healthy":
            raise OperationError(
                f"etcd on {node.name} is not healthy after {timeout} s: {answer}. "
                f"Look at: journalctl -u etcd on {node.name} and on the other members"
            )
    yield from ()


def _phase(certificate: str, document: str) -> StringCommand:
    return StringCommand(
        f"umask 077 && mkdir -p {layout.RUN} && f={layout.RUN}/{certificate}.yaml && cat > $f && "
        f"{layout.BIN}/kubeadm init phase certs {certificate} --config $f && rm $f",
        _stdin=document,
    )


def _issue(spec: ClusterSpec, node: Node, authority: Host) -> str:
    """A member's certificates and keys with the authority's certificate: a tar, as base64."""
    directory = f"{layout.RUN}/etcd-{node.name}"
    made = " && ".join(
        f"{layout.BIN}/kubeadm init phase certs etcd-{name} --config {directory}/kubeadm.yaml >&2"
        for name in CERTIFICATES
    )
    command = (
        f"umask 077; rm -rf {directory}; mkdir -p {directory}/etcd && "
        f"cat > {directory}/kubeadm.yaml && cp {_PKI}/etcd/ca.* {directory}/etcd/ && {made} && "
        f"rm {directory}/etcd/ca.key && tar -c -C {directory}/etcd . | base64 -w 0; "
        f"made=$?; rm -rf {directory}; exit $made"
    )
    return run_on(authority, command, stdin=kubeadm.etcd_certificates(spec, node, directory=directory))
