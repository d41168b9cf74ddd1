"""Parsers of what nodes say, on output that nodes said."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from facts.artefacts import ImageSums
from facts.boot import BootFact
from facts.etcd import Authority, MemberCertificates, MemberHealth
from facts.files import FileStates
from facts.kernel import KernelFact
from facts.kubeadm import BootstrapTokens, ControlPlaneFact, MembershipFact
from facts.objects import LiveObjects
from facts.packages import InstalledPackages
from facts.services import UnitFact

NOW = datetime.now(UTC)
MEMBERS = ("cp1", "w1", "10.115.0.11", "10.115.0.12")


def certificate(
    *, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None, days: int = 365
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate for the members, of `issuer` or of itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "etcd-ca" if issuer is None else "cp1")])
    names = [x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in MEMBERS]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer[0].subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    return built, key


CA, FOREIGN_CA = certificate(), certificate()


def directory(*, of: Any = CA, days: int = 365, keys: bool = True) -> list[str]:
    """What a member's directory answers: the authority CA, and certificates issued by `of`."""
    lines = ["##ca", *pem(CA)]
    for name in ("server", "peer", "healthcheck-client"):
        lines += [f"##{name}", *pem(certificate(issuer=of, days=days)), *([f"##{name}-key"] if keys else [])]
    return lines


def pem(made: tuple[x509.Certificate, ec.EllipticCurvePrivateKey]) -> list[str]:
    return made[0].public_bytes(Encoding.PEM).decode().splitlines()


@pytest.mark.parametrize(
    ("lines", "complete"),
    [
        (directory(), True),
        (directory(of=FOREIGN_CA), False),
        (directory(days=6), False),
        (directory(keys=False), False),
        (["##ca", "##server", "##peer", "##healthcheck-client"], False),
        (["##ca", "-----BEGIN CERTIFICATE-----", "half"], False),
        ([], False),
    ],
)
def test_member_certificates(lines: list[str], complete: bool) -> None:
    assert MemberCertificates().process(lines).complete is complete


def test_names_in_certificates() -> None:
    held = MemberCertificates().process(directory())
    assert held.authority == Authority().process(pem(CA))
    assert held.authority != Authority().process(pem(FOREIGN_CA))
    assert held.names == set(MEMBERS)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("https://10.0.0.1:2379 is healthy: successfully committed proposal: took = 2.1ms", "healthy"),
        ("Error: unhealthy cluster", "Error: unhealthy cluster"),
    ],
)
def test_member_health(line: str, answer: str) -> None:
    assert MemberHealth().process([line]) == answer


def test_control_plane() -> None:
    found = ControlPlaneFact().process(
        [
            "manifest kube-apiserver",
            "manifest kube-scheduler",
            "answers",
            "configmap/kubeadm-config",
            "node/cp1",
            "##document",
            "---",
            "kind: X",
        ]
    )
    assert found.manifests == {"kube-apiserver", "kube-scheduler"}
    assert found.answers
    assert found.objects == {"configmap/kubeadm-config", "node/cp1"}
    assert found.document == "---\nkind: X\n"


def test_control_plane_of_a_bare_node() -> None:
    found = ControlPlaneFact().process(["##document"])
    assert (found.manifests, found.answers, found.objects, found.document) == (frozenset(), False, frozenset(), "")


@pytest.mark.parametrize(
    ("lines", "registered", "leftovers"),
    [
        (["credentials", "answer 200", "leftovers", "active"], True, True),
        (["credentials", "answer 404", "active"], False, False),
        (["credentials", "answer 000", "active"], False, False),
        (["credentials", "answer 200"], False, False),
        (["leftovers"], False, True),
        ([], False, False),
    ],
)
def test_membership(lines: list[str], registered: bool, leftovers: bool) -> None:
    found = MembershipFact().process(lines)
    assert (found.registered, found.leftovers) == (registered, leftovers)


def test_only_tokens_of_ours() -> None:
    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    lines = ["ours", f"{encoded('abcdef')} {encoded('ours')}", f"{encoded('ghijkl')} {encoded('theirs')}"]
    assert BootstrapTokens().process([*lines, encoded("no description")]) == ("abcdef",)


def unit(*, since: float, written: float, active: str = "active") -> list[str]:
    """A unit active since `since` s after boot, on a machine up for 1000 s at the time 5000."""
    return [
        "LoadState=loaded",
        f"ActiveState={active}",
        "UnitFileState=enabled",
        "NeedDaemonReload=no",
        f"ActiveEnterTimestampMonotonic={int(since * 1e6)}",
        "Now=5000.5",
        "Uptime=1000.5",
        f"Written={written}",
    ]


@pytest.mark.parametrize(
    ("since", "written", "stale"),
    [(100, 4099.0, False), (100, 4100.5, True), (100, 0, False), (900, 4100.5, False)],
)
def test_a_unit_older_than_its_files_is_stale(since: float, written: float, stale: bool) -> None:
    assert UnitFact().process(unit(since=since, written=written)).stale is stale


def test_kernel() -> None:
    found = KernelFact().process(
        [
            "absent ip_vs",
            "sysctl net.ipv4.ip_forward 1",
            "sysctl net.ipv4.ip_local_port_range 32768\t60999",
            "sysctl net.ipv4.ip_local_reserved_ports",
            "swap /dev/vda2 partition 976 0 -2",
            "fstab UUID=1 none swap sw 0 0",
            "alternative iptables /usr/sbin/xtables-nft-multi",
        ]
    )
    assert found.absent_modules == ("ip_vs",)
    assert found.sysctls["net.ipv4.ip_local_port_range"] == "32768 60999"
    assert found.sysctls["net.ipv4.ip_local_reserved_ports"] == ""
    assert (found.swaps, found.fstab_swaps) == (("/dev/vda2",), 1)
    assert found.alternatives == {"iptables": "/usr/sbin/xtables-nft-multi"}


@pytest.mark.parametrize(
    ("lines", "v1", "asked", "asks", "grub"),
    [
        (["id 3b1f", "cgroups cgroup2fs", "grub"], False, False, False, True),
        (["id 3b1f", "cgroups tmpfs", "asked", "asks", "grub"], True, True, True, True),
        (["id 3b1f", "cgroups tmpfs"], True, False, False, False),
    ],
)
def test_boot(lines: list[str], v1: bool, asked: bool, asks: bool, grub: bool) -> None:
    found = BootFact().process(lines)
    assert (found.id, found.v1, found.asked, found.asks, found.grub) == ("3b1f", v1, asked, asks, grub)


def test_images_know_their_sum() -> None:
    lines = [
        "REF TYPE DIGEST SIZE PLATFORMS LABELS",
        "docker.io/calico/cni:v3.28.5 application/vnd.docker.distribution.manifest.v2+json sha256:aa 83.6 MiB "
        f"linux/amd64 io.cri-containerd.image=managed,kube-groundwork.sha256={'ab' * 32}",
        "registry.k8s.io/pause:3.1 application/vnd.docker.distribution.manifest.v2+json sha256:bb 1 MiB linux/amd64 -",
    ]
    assert ImageSums().process(lines) == {"docker.io/calico/cni:v3.28.5": "ab" * 32}


def test_files_with_spaces_in_their_names() -> None:
    state = FileStates().process([f"{'0' * 64} 644 root:root /etc/a file"])["/etc/a file"]
    assert (state.mode, state.owner) == ("644", "root:root")


def test_packages_that_were_removed_are_not_installed() -> None:
    lines = ["installed hold containerd", "installed install curl", "config-files deinstall socat"]
    assert InstalledPackages().process(lines) == {"containerd": True, "curl": False}


def test_live_objects_of_one_and_of_many() -> None:
    listed = {"kind": "PodList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"}}]}
    nothing = {"kind": "Status", "code": 404}
    one = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n"}}
    lines = [part for answer in (listed, nothing, one) for part in (json.dumps(answer), "##groundwork")]
    assert LiveObjects().process([]) == []
    lines += ["404 page not found", "", "##groundwork"]
    assert LiveObjects().process(lines) == [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}, one]
