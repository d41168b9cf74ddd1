"""Preflight and proofs: each can fail, and says on which node, what was found, and what to do."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from groundwork import catalogue, kernel, preflight, proofs
from groundwork.checks import Answers, Check, View, judge, parse_answers, script, unsettled
from groundwork.spec import ClusterSpec, KubeProxy, Node, define
from tests import disks


def cluster(**change: Any) -> ClusterSpec:
    nodes = [Node(name=n, address=a) for n, a in (("cp1", "10.0.0.11"), ("w1", "10.0.0.12"), ("w2", "10.0.0.13"))]
    return define(**{"name": "t", "control_plane": nodes[:1], "workers": nodes[1:], "etcd_members": nodes, **change})


def test_answers_survive_the_shell() -> None:
    questions = {"plain": "echo one; echo two", "no-newline": "printf x", "fails": "false", "noise": "echo e >&2"}
    said = subprocess.run(["sh", "-c", script(questions)], capture_output=True, text=True, check=True)
    assert said.stderr == ""
    assert parse_answers(said.stdout.splitlines()) == {
        "plain": ("one", "two"),
        "no-newline": ("x",),
        "fails": (),
        "noise": (),
    }


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_every_question_is_valid_shell(shell: str) -> None:
    spec = cluster()
    pods = {n.name: f"10.244.0.{i}" for i, n in enumerate(spec.nodes)}
    for node in spec.nodes:
        tables = (
            preflight.questions(spec, node),
            proofs.node_questions(spec, node),
            proofs.pod_questions(spec, node, pods),
            proofs.cluster_questions(spec),
        )
        for table in tables:
            subprocess.run([shell, "-n", "-c", script(table)], check=True, capture_output=True)


GOOD_PREFLIGHT: dict[str, Sequence[str]] = {
    "lock": (),
    "os": ("debian 12",),
    "kernel": ("6.1.0-28-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22)"),
    "arch": ("x86_64",),
    "init": ("systemd",),
    "hostname": ("w1",),
    "machine-id": ("aaaa",),
    "clock": ("1000.0",),
    "offset": ("0.000",),
    "cgroups": ("tmpfs", *(f"{c}\t1\t1\t1" for c in ("cpu", "cpuacct", "cpuset", "devices", "freezer", "memory"))),
    "memory": ("4000000",),
    "cpus": ("2",),
    "disk": ("  90000000000",),
    "addresses": ("lo 127.0.0.1/8", "eth0 10.0.0.12/24"),
    "links": ("lo 65536", "eth0 1500"),
    "routers": (),
    "routes": (
        "10.0.0.0/24 eth0 eth0",
        "10.244.3.0/26 10.0.0.13 eth0",
        # Where somebody turned Calico's tunnel on: the run that turns it off again must not be refused.
        "10.244.4.0/26 10.244.4.0 vxlan.calico",
    ),
    "listening": ('0.0.0.0:22 users:(("sshd",pid=1,fd=3))', '*:10250 users:(("kubelet",pid=2,fd=9))'),
    "containerd": ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u2",),
    "docker": ("inactive",),
    "ip_vs": (),
    "nameservers": ("10.0.0.1",),
    "etcd": ("cp1=https://10.0.0.11:2380,w1=https://10.0.0.12:2380,w2=https://10.0.0.13:2380",),
    "kubelet": ("10.0.0.11:6443",),
    "boot": ("grub",),
    "fio": ("fio-3.33",),
    **disks.answers(disks.disk()),
}


def refusals(answers: dict[str, Sequence[str]], name: str = "w1", spec: ClusterSpec | None = None) -> dict[str, str]:
    spec = spec or cluster()
    others: dict[str, Answers] = {
        name: answers,
        "w2": {"machine-id": ("bbbb",), "offset": ("0.1",)},
        "cp1": {"offset": ("0.0",)},
    }
    found = judge(preflight.CHECKS, [View(spec, spec.node(name), answers, others)])
    return {f.check.id: f.sentence() for f in found if not f.passed}


def test_a_good_node_is_not_refused() -> None:
    assert refusals(GOOD_PREFLIGHT) == {}


@pytest.mark.parametrize(
    ("check", "change", "words"),
    [
        ("not-busy", {"lock": ("held",)}, "held"),
        ("os", {"os": ("debian 13",)}, "Debian 13 cannot run it at all"),
        ("os", {"os": ("rocky 9.3",)}, "rocky 9.3"),
        ("kernel", {"kernel": ("5.19.0-50-generic", "#50-Ubuntu SMP")}, "5.19.0"),
        ("kernel", {"kernel": ("6.1.0-13-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.55-1 (2023-09-29)")}, "6.1.55"),
        ("kernel", {"kernel": ("6.2.0-39-generic", "#40~22.04.1-Ubuntu SMP")}, "6.2.0"),
        ("kernel", {"kernel": ("6.5.0-9-generic", "#9-Ubuntu SMP", "Ubuntu 6.5.0-9.9-generic 6.5.3")}, "6.5.3"),
        ("kernel", {"kernel": ("2.6.32", "#1 SMP")}, "2.6.32"),
        ("arch", {"arch": ("aarch64",)}, "aarch64"),
        ("init", {"init": ("init",)}, "init"),
        ("cgroup-v1", {"cgroups": ("cgroup2fs",), "boot": ()}, "v2, and it cannot be changed: there is no GRUB"),
        (
            "cgroup-v1",
            {"cgroups": ("cgroup2fs",), "boot": ("grub", "# CONFIG_MEMCG_V1 is not set")},
            "the kernel was built without the controllers of v1",
        ),
        ("cgroup-v1", {"cgroups": ("cgroup2fs",), "boot": ("asked", "grub")}, "systemd does not follow it"),
        ("cgroup-v1", {"cgroups": ()}, "unknown"),
        ("cgroup-v1", {"cgroups": ("tmpfs", "cpu\t1\t1\t1", "memory\t0\t1\t0")}, "no controller cpuacct"),
        ("memory", {"memory": ("500000",)}, "488 MiB"),
        ("disk", {"disk": ("1000000000",)}, "0.9 GiB"),
        ("hostname", {"hostname": ("debian",)}, "debian"),
        ("machine-id", {"machine-id": ("bbbb",)}, "the same as w2"),
        ("address", {"addresses": ("eth0 10.9.9.9/24",)}, "10.0.0.12 is on no interface"),
        ("address", {"links": ("eth0 1450",)}, "eth0 has an MTU of 1450"),
        ("one-link", {"routers": ("10.0.0.13 via 10.0.0.1 dev eth0",)}, "via 10.0.0.1"),
        ("ports", {"listening": ('*:10250 users:(("nginx",pid=2,fd=9))',)}, "10250 (kubelet) by nginx"),
        ("ports", {"listening": ('10.0.0.12:2379 users:(("minio",pid=2,fd=9))',)}, "2379 (etcd) by minio"),
        ("no-overlap", {"routes": ("10.96.0.0/12 tun0 tun0",)}, "the route 10.96.0.0/12 is in the way"),
        ("no-overlap", {"addresses": ("eth0 10.0.0.12/24", "docker0 10.244.0.1/16")}, "10.244.0.1/16"),
        ("containerd", {"containerd": ("candidate 2.1.4",)}, "candidate 2.1.4"),
        ("containerd", {"containerd": ()}, "neither installed nor to be had"),
        ("no-docker", {"docker": ("active",)}, "running"),
        ("ip_vs", {"ip_vs": ("missing",)}, "missing"),
        ("nameserver", {"nameservers": ()}, "none"),
        ("clock", {"offset": ("30.0",)}, "from the others"),
        ("etcd-members", {"etcd": ("cp1=https://10.0.0.11:2380",)}, "etcd was made with cp1"),
        ("etcd-disk", {"disk-signatures": ("/dev/nvme0n1,0x438,aaaa,old,ext4",)}, "is not blank: it holds ext4"),
        ("fio", {"fio": ("fio-3.1",)}, "fio-3.1"),
        ("own-cluster", {"kubelet": ("10.7.7.7:6443",)}, "10.7.7.7:6443"),
    ],
)
def test_a_node_is_refused(check: str, change: dict[str, Sequence[str]], words: str) -> None:
    refused = refusals({**GOOD_PREFLIGHT, **change})
    assert list(refused) == [check]
    assert words in refused[check]
    assert refused[check].startswith("w1: ")


@pytest.mark.parametrize(
    "said",
    [
        ("5.15.0-91-generic", "#101-Ubuntu SMP", "Ubuntu 5.15.0-91.101-generic 5.15.131"),
        ("6.5.0-21-generic", "#21~22.04.1-Ubuntu SMP", "Ubuntu 6.5.0-21.21~22.04.1-generic 6.5.8"),
        ("6.8.0-31-generic", "#31-Ubuntu SMP", "Ubuntu 6.8.0-31.31-generic 6.8.1"),
        ("6.18.44", "#1 SMP"),
    ],
)
def test_kernels_that_do(said: Sequence[str]) -> None:
    assert refusals({**GOOD_PREFLIGHT, "kernel": said}) == {}


def test_a_node_that_boots_with_cgroup_v2_is_not_refused_where_grub_can_change_it() -> None:
    assert refusals({**GOOD_PREFLIGHT, "cgroups": ("cgroup2fs",), "boot": ("grub",)}) == {}


def test_a_shared_kernel_cannot_be_booted_otherwise() -> None:
    node = Node(name="w1", address="10.0.0.12", shared_kernel=True)
    spec = cluster(workers=[node], etcd_members=[node])
    refused = refusals({**GOOD_PREFLIGHT, "cgroups": ("cgroup2fs",), "etcd": ()}, spec=spec)
    assert "the kernel is its host's" in refused["cgroup-v1"]


def test_a_control_plane_needs_two_processors() -> None:
    answers = {**GOOD_PREFLIGHT, "hostname": ("cp1",), "addresses": ("eth0 10.0.0.11/24",), "cpus": ("1",)}
    assert list(refusals(answers, "cp1")) == ["cpus"]


def test_ip_vs_is_not_asked_for_when_it_is_not_used() -> None:
    spec = cluster(kube_proxy=KubeProxy(mode="iptables"))
    assert refusals({**GOOD_PREFLIGHT, "ip_vs": ("missing",)}, spec=spec) == {}


BIRD = (
    "0001 BIRD 1.6.8 ready.",
    "2002-name     proto    table    state  since       info",
    "1002-static1  Static   master   up     16:39:50    ",
    " kernel1  Kernel   master   up     16:39:50    ",
    " Mesh_10_0_0_11 BGP      master   up     16:39:52    Established   ",
    " Mesh_10_0_0_13 BGP      master   up     16:39:51    Established   ",
    "0000 ",
)


def good_node(spec: ClusterSpec) -> dict[str, Sequence[str]]:
    return {
        **disks.held(spec, "w1"),
        "kernel": ("6.1.0-28-amd64",),
        "cgroups": ("tmpfs",),
        "iptables": ("iptables v1.8.9 (legacy)",),
        "swap": (),
        "sysctls": [f"{s.key} = {s.value}" for s in kernel.sysctls(spec.node("w1"))],
        "modules": (),
        "etcd-health": ('{"health": "true"}',),
        "etcd-anonymous": ("refused",),
        "etcd-members": tuple(f"a{n.name}, started, {n.name}, https://x, https://y" for n in spec.etcd_members),
        "etcd-directory": ("700 etcd",),
        "proxy-mode": ("ipvs",),
        "ipvs": (
            "TCP  10.96.0.1:443 rr",
            "  -> 10.0.0.11:6443               Masq    1      0          0",
            "UDP  10.96.0.10:53 rr",
            "  -> 10.244.1.5:53                Masq    1      0          0",
            "  -> 10.244.3.5:53                Masq    1      0          0",
            "TCP  10.96.0.10:53 rr",
            "  -> 10.244.1.5:53                Masq    1      0          0",
            "kube-ipvs0       DOWN           10.96.0.10/32 10.96.0.1/32",
        ),
        "ipvs-reuse": ("1",),
        "felix": ("204",),
        "bird": BIRD,
        "routes": ("10.244.1.0/26 via 10.0.0.11 dev eth0", "10.244.3.0/26 via 10.0.0.13 dev eth0"),
        "pings": ("10.244.1.2", "10.244.3.2"),
        "dns": ("10.96.0.1",),
        "service": ("200",),
        "host-service": ("200",),
    }


def failures(checks: Sequence[Check], view: View) -> dict[str, str]:
    return {f.check.id: f.sentence() for f in judge(checks, [view]) if not f.passed}


def test_a_good_node_proves_everything() -> None:
    spec = cluster()
    assert failures(proofs.NODE_CHECKS, View(spec, spec.node("w1"), good_node(spec))) == {}


@pytest.mark.parametrize(
    ("check", "change", "words"),
    [
        ("cgroup-v1", {"cgroups": ("cgroup2fs",)}, "cgroup2fs"),
        ("iptables-legacy", {"iptables": ("iptables v1.8.9 (nf_tables)",)}, "nf_tables"),
        ("swap-off", {"swap": ("/dev/vda2 partition 976 0 -2",)}, "/dev/vda2"),
        ("sysctls", {"sysctls": ("net.ipv4.ip_forward = 0",)}, "net.ipv4.ip_forward = 0"),
        ("modules", {"modules": ("ip_vs_rr",)}, "ip_vs_rr"),
        ("etcd-health", {"etcd-health": ('{"health": "false"}',)}, "false"),
        ("etcd-health", {"etcd-health": ()}, "no answer"),
        ("etcd-refuses-strangers", {"etcd-anonymous": ('{"health": "true"}', "answered")}, "health"),
        ("etcd-members", {"etcd-members": ("a, started, cp1, x, y",)}, "members are cp1"),
        ("etcd-directory", {"etcd-directory": ("755 root",)}, "755 root"),
        ("proxy-mode", {"proxy-mode": ("iptables",)}, "iptables"),
        (
            "proxy-mode",
            {"proxy-mode": ("iptables",), "ipvs-module": ("/etc/modprobe.d/x.conf:blacklist ip_vs",)},
            "iptables; /etc/modprobe.d/x.conf:blacklist ip_vs",
        ),
        ("ipvs-table", {"ipvs": ("TCP  10.96.0.1:443 rr",)}, "the Service of DNS has 0 of 2 endpoints"),
        (
            "ipvs-table",
            {"ipvs": ("UDP  10.96.0.10:53 rr", "  -> 10.244.1.5:53  Masq 1 0 0", "  -> 10.244.3.5:53  Masq 1 0 0")},
            "missing: TCP  10.96.0.1:443 rr",
        ),
        ("ipvs-reuse", {"ipvs-reuse": ("0",)}, "0"),
        ("sysctls", {"sysctl-overrides": ("/etc/sysctl.d/zz.conf:vm.swappiness = 60",)}, "zz.conf:vm.swappiness = 60"),
        ("etcd-disk", {"disk-mounted": ("/dev/nvme0n1 ext4 rw,relatime",)}, "atime is on"),
        ("etcd-disk-speed", {"disk-report": ()}, "this disk was not measured"),
        ("felix-ready", {"felix": ("503",)}, "503"),
        ("bgp-established", {"bird": BIRD[:5]}, "no session with w2"),
        ("bgp-established", {"bird": ()}, "BIRD does not answer"),
        ("bgp-established", {"bird": [s.replace("Established", "Connect") for s in BIRD]}, "cp1, w2"),
        ("bgp-routes", {"routes": ("10.244.1.0/26 via 10.0.0.11 dev eth0",)}, "no route to the pods of w2"),
        ("bgp-routes", {"routes": ("10.244.1.0/26 via 10.0.0.11 dev tunl0",)}, "a tunnel carries"),
        ("pod-mtu", {"pings": ("10.244.1.2",)}, "1 of 2 pods"),
        ("pod-dns", {"dns": (";; connection timed out; no servers could be reached",)}, "timed out"),
        ("pod-service", {"service": ("000",)}, "000"),
        ("node-service", {"host-service": ()}, "no answer"),
    ],
)
def test_a_broken_claim_is_caught(check: str, change: dict[str, Sequence[str]], words: str) -> None:
    spec = cluster()
    failed = failures(proofs.NODE_CHECKS, View(spec, spec.node("w1"), {**good_node(spec), **change}))
    assert list(failed) == [check]
    assert words in failed[check]


def test_only_what_may_settle_is_asked_again() -> None:
    spec = cluster()
    answers = {**good_node(spec), "felix": ("503",), "bird": BIRD[:5], "iptables": ("nf_tables",)}
    del answers["service"]
    assert unsettled(proofs.NODE_CHECKS, View(spec, spec.node("w1"), answers)) == {"felix", "bird"}
    assert unsettled(proofs.NODE_CHECKS, View(spec, spec.node("w1"), good_node(spec))) == set()


def test_what_settles_is_asked_somewhere() -> None:
    spec = cluster()
    node = spec.node("cp1")
    asked = {*proofs.node_questions(spec, node), *proofs.pod_questions(spec, node, {}), *proofs.cluster_questions(spec)}
    # Those of policies and ingress are in test_network.
    asked |= {"policies", "policy-dns", "ingress"}
    assert {c.settles for c in (*proofs.NODE_CHECKS, *proofs.CLUSTER_CHECKS) if c.settles} <= asked


def good_cluster(spec: ClusterSpec) -> dict[str, Any]:
    info = {"kubeletVersion": "v1.15.12", "containerRuntimeVersion": "containerd://1.6.20~ds1"}
    ready = [{"type": "Ready", "status": "True"}]
    nodes = [{"metadata": {"name": n.name}, "status": {"conditions": ready, "nodeInfo": info}} for n in spec.nodes]
    pods = [
        {"metadata": {}, "spec": {"nodeName": n}, "status": {"containerStatuses": [{"ready": True}]}}
        for n in ("w1", "w2")
    ]
    pool = {"cidr": "10.244.0.0/16", "blockSize": 26, "ipipMode": "Never", "vxlanMode": "Never"}
    return {
        "version": {"gitVersion": "v1.15.12"},
        "nodes": {"items": nodes},
        "dns-pods": {"items": pods},
        "pool": {"spec": pool},
        "bgp": {"spec": {"asNumber": 64512, "nodeToNodeMeshEnabled": True}},
    }


def cluster_failures(change: Callable[[dict[str, Any]], object], *tokens: str, etcd: str = "ok") -> dict[str, str]:
    spec = cluster()
    answers = good_cluster(spec)
    change(answers)
    lines = {name: (json.dumps(value),) for name, value in answers.items()}
    view = View(spec, spec.node("cp1"), {**lines, "tokens": tokens, "etcd-from-api": (etcd,)})
    return failures(proofs.CLUSTER_CHECKS, view)


def test_a_good_cluster_proves_everything() -> None:
    assert cluster_failures(lambda a: None) == {}


@pytest.mark.parametrize(
    ("check", "change", "words"),
    [
        ("api-version", lambda a: a["version"].update(gitVersion="v1.15.11"), "v1.15.11"),
        ("nodes-ready", lambda a: a["nodes"]["items"].pop(), "not ready: w2"),
        (
            "nodes-ready",
            lambda a: a["nodes"]["items"][1]["status"].update(conditions=[{"type": "Ready", "status": "Unknown"}]),
            "not ready: w1",
        ),
        ("dns-replicas", lambda a: a["dns-pods"]["items"].pop(), "1 of 2 replicas are ready"),
        (
            "dns-replicas",
            lambda a: a["dns-pods"]["items"][0]["spec"].update(nodeName="w2"),
            "2 replicas on w2",
        ),
        ("pool", lambda a: a["pool"]["spec"].update(vxlanMode="Always"), "vxlanMode is Always"),
        ("mesh", lambda a: a["bgp"]["spec"].update(nodeToNodeMeshEnabled=False), "nodeToNodeMeshEnabled is False"),
        ("mesh", lambda a: a.pop("bgp"), "asNumber is None"),
    ],
)
def test_a_broken_cluster_is_caught(check: str, change: Callable[[dict[str, Any]], object], words: str) -> None:
    failed = cluster_failures(change)
    assert list(failed) == [check]
    assert words in failed[check]


def test_other_broken_clusters() -> None:
    def stranger(answers: dict[str, Any]) -> None:
        answers["nodes"]["items"].append({**answers["nodes"]["items"][0], "metadata": {"name": "x"}})

    def old(answers: dict[str, Any]) -> None:
        answers["nodes"]["items"][0]["status"]["nodeInfo"] = {
            "kubeletVersion": "v1.15.3",
            "containerRuntimeVersion": "containerd://2.0.1",
        }

    assert "unknown: x" in cluster_failures(stranger)["no-strangers"]
    assert "cp1 runs v1.15.3" in cluster_failures(old)["kubelet-versions"]
    assert "containerd://2.0.1" in cluster_failures(old)["runtime-versions"]
    assert list(cluster_failures(lambda a: None, etcd="failed")) == ["etcd-from-api"]
    line = "abcdef.0123456789abcdef   14m   2026   authentication,signing   kube-groundwork: for one run"
    assert "1 token(s)" in cluster_failures(lambda a: None, line)["no-tokens"]


def test_ids_are_unique_and_the_page_is_current() -> None:
    for table in (preflight.CHECKS, (*proofs.NODE_CHECKS, *proofs.CLUSTER_CHECKS)):
        ids = [check.id for check in table]
        assert len(ids) == len(set(ids))
    page = Path(catalogue.__file__).resolve().parent.parent / "docs" / "checks.md"
    assert page.read_text(encoding="utf-8") == catalogue.text(), "run: make docs"
