"""What a node holds of etcd: authority, certificates, and whether its member answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pyinfra.api import FactBase

from groundwork import layout
from groundwork.etcd import etcdctl

__all__ = ["Certificates", "MemberCertificates", "MemberHealth"]

_WEEK_S = 7 * 24 * 3600

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
    """The certificates in a member's directory (layout.ETCD_PKI)."""

    @staticmethod
    def default() -> Certificates:
        return Certificates()

    def command(self) -> str:
        listed = " ".join(f"{name}.crt" for name in CERTIFICATES)
        return (
            f"cd {layout.ETCD_PKI} 2>/dev/null || exit 0; "
            "openssl x509 -in ca.crt -noout -fingerprint -sha256 2>/dev/null; "
            f"openssl verify -CAfile ca.crt {listed} 2>/dev/null; "
            f'for c in {" ".join(CERTIFICATES)}; do echo "##$c"; [ -s $c.key ] && '
            f"openssl x509 -in $c.crt -noout -checkend {_WEEK_S} -ext subjectAltName 2>/dev/null; done; true"
        )

    def process(self, output: list[str]) -> Certificates:
        return _parse(output)


class AuthorityFingerprint(FactBase[str | None]):
    """SHA-256 fingerprint of etcd's authority on the first control-plane node; None before it is made."""

    @staticmethod
    def default() -> None:
        return None

    def command(self) -> str:
        ca = layout.KUBERNETES_PKI / "etcd/ca"
        return f"[ -s {ca}.key ] && openssl x509 -in {ca}.crt -noout -fingerprint -sha256 2>/dev/null; true"

    def process(self, output: list[str]) -> str | None:
        return _fingerprint(output)


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


def _fingerprint(lines: Iterable[str]) -> str | None:
    for line in lines:
        if match := re.search(r"Fingerprint=([0-9A-F:]+)", line):
            return match[1]
    return None


def _parse(lines: list[str]) -> Certificates:
    names: dict[str, set[str]] = {}
    issued, lasting, section = set(), set(), ""
    for line in lines:
        if line.startswith("##"):
            section = line[2:]
        elif line.endswith(".crt: OK"):
            issued.add(line.removesuffix(".crt: OK"))
        elif "will not expire" in line:
            lasting.add(section)
        elif section:
            names.setdefault(section, set()).update(re.findall(r"(?:DNS|IP Address):([^,\s]+)", line))
    return Certificates(
        authority=_fingerprint(lines),
        names=frozenset(names.get("server", set()) & names.get("peer", set())),
        complete=issued & lasting == set(CERTIFICATES),
    )
