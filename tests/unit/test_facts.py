"""Parsers of what nodes say, on output that nodes said."""

from __future__ import annotations

import base64

import pytest

from facts.artefacts import ImageSums
from facts.etcd import MemberCertificates, MemberHealth
from facts.files import FileStates
from facts.kernel import KernelFact
from facts.kubeadm import BootstrapTokens, ControlPlaneFact, MembershipFact
from facts.objects import LiveObjects
from facts.packages import InstalledPackages
from facts.services import UnitFact

SANS = (
    "    DNS:cp1, DNS:localhost, DNS:cp1, DNS:w1, DNS:w2, IP Address:10.115.0.11, IP Address:127.0.0.1, "
    "IP Address:0:0:0:0:0:0:0:1, IP Address:10.115.0.11, IP Address:10.115.0.12, IP Address:10.115.0.13"
)


def certificates(*, issued: bool = True, lasting: bool = True) -> list[str]:
    listed = ["server", "peer", "healthcheck-client"]
    lines = ["sha256 Fingerprint=78:B1:4F:16"]
    lines += [f"{c}.crt: OK" if issued else f"error {c}.crt: verification failed" for c in listed]
    for c in listed:
        lines += [f"##{c}", "X509v3 Subject Alternative Name: ", SANS]
        lines += ["Certificate will not expire" if lasting else "Certificate will expire"]
    return lines


@pytest.mark.parametrize(
    ("lines", "complete"),
    [
        (certificates(), True),
        (certificates(issued=False), False),
        (certificates(lasting=False), False),
        ([], False),
    ],
)
def test_member_certificates(lines: list[str], complete: bool) -> None:
    assert MemberCertificates().process(lines).complete is complete


def test_names_in_certificates() -> None:
    held = MemberCertificates().process(certificates())
    assert held.authority == "78:B1:4F:16"
    assert {"cp1", "w1", "w2", "10.115.0.12", "10.115.0.13"} <= held.names


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
    lines = ["installed curl 7.88.1-10", "config-files socat 1.7", "not-installed ipvsadm "]
    assert InstalledPackages().process(lines) == {"curl": "7.88.1-10"}


def test_live_objects_of_one_and_of_many() -> None:
    assert LiveObjects().process([]) == []
    assert LiveObjects().process(['{"kind": "List", "items": [{"kind": "Pod"}]}']) == [{"kind": "Pod"}]
    assert LiveObjects().process(['{"kind": "Pod"}']) == [{"kind": "Pod"}]
