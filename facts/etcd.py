"""What a node holds of etcd: authority, certificates, and whether its member answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from pyinfra.api import FactBase

from groundwork import layout
from groundwork.etcd import etcdctl

__all__ = ["CERTIFICATES", "Authority", "Certificates", "MemberCertificates", "MemberHealth"]

_SPARE = timedelta(days=7)
"""How long a certificate must be valid from now on, not to be issued anew."""

CERTIFICATES = ("server", "peer", "healthcheck-client")


@dataclass(frozen=True)
class Certificates:
    """etcd's TLS files on a node, as far as they are there and fit together."""

    authority: str | None = None
    """SHA-256 fingerprint of the certificate of etcd's authority."""
    names: frozenset[str] = frozenset()
    """The names and addresses that both the server's and the peer's certificate carry."""
    complete: bool = False
    """Every certificate is there with its key, is issued by the authority, and is valid for another week."""


class MemberCertificates(FactBase[Certificates]):
    """The certificates in a member's directory (layout.ETCD_PKI). Keys stay there; only their presence is told.

    The certificates are read here rather than by openssl there: a node starts one process instead of five.
    """

    @staticmethod
    def default() -> Certificates:
        return Certificates()

    def command(self) -> str:
        return (
            f"cd {layout.ETCD_PKI} 2>/dev/null || exit 0; for c in ca {' '.join(CERTIFICATES)}; do "
            'echo "##$c"; cat $c.crt 2>/dev/null; [ -s $c.key ] && echo "##$c-key"; done; true'
        )

    def process(self, output: list[str]) -> Certificates:
        return _parse(output)


class Authority(FactBase[str | None]):
    """SHA-256 fingerprint of etcd's authority on the first control-plane node; None before it is made."""

    @staticmethod
    def default() -> None:
        return None

    def command(self) -> str:
        ca = layout.KUBERNETES_PKI / "etcd/ca"
        return f"[ -s {ca}.key ] && cat {ca}.crt 2>/dev/null; true"

    def process(self, output: list[str]) -> str | None:
        certificate = _loaded(output)
        return _fingerprint(certificate) if certificate else None


class MemberHealth(FactBase[str]):
    """`healthy`, or what etcdctl said last, after asking the member at `endpoint` for up to `timeout` s."""

    @staticmethod
    def default() -> str:
        return "etcdctl said nothing"

    def command(self, endpoint: str, timeout: int) -> str:
        ask = f"{etcdctl(endpoint)} endpoint health 2>&1"
        return (
            f"end=$(($(date +%s) + {timeout})); while ! said=$({ask}) && [ $(date +%s) -lt $end ]; "
            'do sleep 1; done; echo "$said"'
        )

    def process(self, output: list[str]) -> str:
        said = " ".join(output)
        return "healthy" if "is healthy: successfully committed" in said else said


def _parse(lines: Iterable[str]) -> Certificates:
    parts: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("##"):
            parts[line[2:]] = []
        elif parts:
            parts[next(reversed(parts))].append(line)
    authority = _loaded(parts.get("ca", []))
    held = {name: _loaded(parts.get(name, [])) for name in CERTIFICATES}
    names = [_names(c) for name, c in held.items() if c and name in ("server", "peer")]
    return Certificates(
        authority=_fingerprint(authority) if authority else None,
        names=frozenset.intersection(*names) if len(names) == 2 else frozenset(),
        complete=authority is not None
        and all(c is not None and _usable(c, authority) and f"{name}-key" in parts for name, c in held.items()),
    )


def _loaded(lines: Iterable[str]) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate("\n".join(lines).encode())
    except ValueError:
        return None


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def _usable(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return certificate.not_valid_after_utc > datetime.now(UTC) + _SPARE


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = (str(a) for a in found.get_values_for_type(x509.IPAddress))
    return frozenset([*found.get_values_for_type(x509.DNSName), *addresses])
