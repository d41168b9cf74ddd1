"""Certificates and keys in files: whether they are what an inventory says they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

__all__ = ["fingerprint", "mistakes"]

_PAIRS = (("certificate", "key"), ("client_certificate", "client_key"))


def mistakes(host: str, files: Mapping[str, Path]) -> Iterator[str]:
    """What is wrong with the `files` of a host, by field; a sentence each."""
    loaded: dict[str, Any] = {}
    for field, path in files.items():
        load: Callable[[bytes], Any] = _key if field.endswith("key") else _first_certificate
        try:
            loaded[field] = load(path.read_bytes())
        except OSError as error:
            yield f"{field} {path} cannot be read: {error.strerror}"
        except (ValueError, TypeError):
            what = "an unencrypted private key" if field.endswith("key") else "a certificate"
            yield f"{field} {path} is not {what} in PEM"
    yield from _mismatches(loaded, files)
    for field, certificate in loaded.items():
        if not field.endswith("key") and certificate.not_valid_after_utc < datetime.now(UTC):
            yield f"{field} {files[field]} expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if "certificate" in loaded and not _names(loaded["certificate"], host):
        yield f"certificate {files['certificate']} is not for {host}"


def fingerprint(path: Path) -> str:
    """The SHA-256 of the first certificate in a PEM file, as `openssl x509 -fingerprint -sha256` writes it."""
    certificate = _first_certificate(path.read_bytes())
    return certificate.fingerprint(SHA256()).hex(":").upper()


def _mismatches(loaded: Mapping[str, Any], files: Mapping[str, Path]) -> Iterator[str]:
    for certificate, key in _PAIRS:
        if certificate in loaded and key in loaded and _public(loaded[certificate]) != _public(loaded[key]):
            yield f"{key} {files[key]} is not the key of {certificate} {files[certificate]}"
    if "client_ca" in loaded and "client_certificate" in loaded:
        try:
            loaded["client_certificate"].verify_directly_issued_by(loaded["client_ca"])
        except (ValueError, TypeError, InvalidSignature):
            yield f"client_certificate {files['client_certificate']} was not issued by client_ca {files['client_ca']}"


def _first_certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificates(pem)[0]


def _key(pem: bytes) -> Any:
    return load_pem_private_key(pem, None)


def _public(owner: Any) -> bytes:
    found: bytes = owner.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return found


def _names(certificate: x509.Certificate, host: str) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    given = names.get_values_for_type(x509.DNSName)
    return host in given or f"*.{host.partition('.')[2]}" in given
