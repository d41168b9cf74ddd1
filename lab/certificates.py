"""Certificates for the lab's ingress hosts, made anew with each lab: a server's, and clients' of two authorities."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["SHOP_HOSTS", "make"]

SHOP_HOSTS = ("shop.example", "admin.shop.example")

_VALID = timedelta(days=365)


def make(directory: Path) -> None:
    """`server`, `clients-ca` and `client` in `directory`, each with .crt and .key; kept when they are there."""
    if (directory / "client.key").exists():
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    server_authority, client_authority = (_authority(name) for name in ("the lab's servers", "the lab's clients"))
    _write(directory / "clients-ca", *client_authority)
    _write(directory / "server", *_issued(SHOP_HOSTS[0], *server_authority, names=SHOP_HOSTS))
    _write(directory / "client", *_issued("a client of the lab", *client_authority, names=()))


_Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _authority(name: str) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()), key


def _issued(
    name: str, issuer: x509.Certificate, issuer_key: ec.EllipticCurvePrivateKey, names: tuple[str, ...]
) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    common = issuer.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    builder = _builder(name, str(common), key)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()), key


def _builder(name: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALID)
    )


def _write(path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    path.with_suffix(".crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = path.with_suffix(".key")
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
