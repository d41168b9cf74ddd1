"""The documents that kubeadm, etcd and Calico are given."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from groundwork import calico, dns, etcd, kernel, kubeadm
from groundwork.spec import Calico, ClusterSpec, Dns, KubeProxy, Node, define


def cluster(**change: Any) -> ClusterSpec:
    nodes = [Node(name=f"n{i}", address=f"10.0.0.1{i}") for i in range(3)]
    return define(**{"name": "t", "control_plane": nodes[:1], "workers": nodes[1:], "etcd_members": nodes, **change})


def by_kind(text: str) -> dict[str, Any]:
    return {d["kind"]: d for d in yaml.safe_load_all(text)}


@pytest.mark.parametrize(
    ("kernel_release", "ignored"),
    [("4.15.0-213-generic", []), ("5.10.0-30-amd64", []), ("6.1.0-28-amd64", ["SystemVerification"])],
)
def test_only_system_verification_is_ever_ignored(kernel_release: str, ignored: list[str]) -> None:
    document = by_kind(kubeadm.init(cluster(), kernel=kernel_release))["InitConfiguration"]
    assert document["nodeRegistration"]["ignorePreflightErrors"] == ignored


def test_init() -> None:
    documents = by_kind(kubeadm.init(cluster(), kernel="5.10.0"))
    wanted = documents["ClusterConfiguration"]
    assert wanted["kubernetesVersion"] == "v1.15.12"
    assert wanted["etcd"]["external"]["endpoints"] == [f"https://10.0.0.1{i}:2379" for i in range(3)]
    assert documents["KubeProxyConfiguration"]["mode"] == "ipvs"
    assert documents["KubeProxyConfiguration"]["ipvs"]["strictARP"] is True
    assert documents["KubeletConfiguration"]["cgroupDriver"] == "systemd"
    assert documents["KubeletConfiguration"]["protectKernelDefaults"] is True
    assert "token" not in documents["InitConfiguration"]["bootstrapTokens"][0]


def test_shared_kernels_are_not_tuned() -> None:
    shared = [Node(name="n", address="10.0.0.1", shared_kernel=True)]
    spec = cluster(control_plane=shared, workers=[], etcd_members=shared, kube_proxy=KubeProxy(mode="iptables"))
    documents = by_kind(kubeadm.init(spec, kernel="6.18.0"))
    assert documents["KubeProxyConfiguration"]["conntrack"] == {"maxPerCore": 0, "min": 0}
    registration = documents["InitConfiguration"]["nodeRegistration"]
    assert registration["kubeletExtraArgs"]["protect-kernel-defaults"] == "false"
    assert registration["ignorePreflightErrors"] == ["SystemVerification", "IPVSProxierCheck"]
    assert kernel.modules(spec, shared[0]) == []
    assert "vm.overcommit_memory" not in {s.key for s in kernel.sysctls(shared[0])}


def test_kernels_of_their_own_are_tuned_beside_shared_ones() -> None:
    shared, own = Node(name="c", address="10.0.0.1", shared_kernel=True), Node(name="v", address="10.0.0.2")
    spec = cluster(control_plane=[shared], workers=[own], etcd_members=[shared])
    documents = by_kind(kubeadm.init(spec, kernel="6.18.0"))
    assert documents["KubeletConfiguration"]["protectKernelDefaults"] is True
    assert documents["KubeProxyConfiguration"]["mode"] == "ipvs"
    joined = by_kind(kubeadm.join(spec, own, kernel="6.1.0", token="t", ca_hash="h"))["JoinConfiguration"]
    assert "protect-kernel-defaults" not in joined["nodeRegistration"]["kubeletExtraArgs"]
    assert [kernel.proxy_mode(spec, n) for n in (shared, own)] == ["iptables", "ipvs"]


@pytest.mark.parametrize(
    ("release", "mode"),
    [("4.15.0-213-generic", 0), ("5.4.0-1", 0), ("5.9.0", 1), ("5.10.0-30-amd64", 1), ("6.1.0-28-amd64", 1)],
)
def test_conn_reuse_mode_follows_the_kernel(release: str, mode: int) -> None:
    assert kernel.conn_reuse_mode(release) == mode


def test_join_pins_the_authority() -> None:
    spec = cluster()
    text = kubeadm.join(spec, spec.workers[0], kernel="5.10.0", token="abcdef.0123456789abcdef", ca_hash="sha256:00")
    discovery = by_kind(text)["JoinConfiguration"]["discovery"]["bootstrapToken"]
    assert discovery["caCertHashes"] == ["sha256:00"]
    assert "unsafeSkipCAVerification" not in discovery


def test_every_etcd_certificate_names_every_member() -> None:
    spec = cluster()
    for node in spec.etcd_members:
        local = by_kind(kubeadm.etcd_certificates(spec, node, directory="/run/x"))["ClusterConfiguration"]["etcd"]
        for kind in ("serverCertSANs", "peerCertSANs"):
            assert set(local["local"][kind]) == {"n0", "n1", "n2", "10.0.0.10", "10.0.0.11", "10.0.0.12"}


def test_etcd_wants_certificates_of_clients_and_peers() -> None:
    spec = cluster()
    wanted = yaml.safe_load(etcd.configuration(spec, spec.etcd_members[1]))
    assert wanted["name"] == "n1"
    assert wanted["initial-cluster"].count("https://") == 3
    assert wanted["client-transport-security"]["client-cert-auth"] is True
    assert wanted["peer-transport-security"]["client-cert-auth"] is True


@pytest.mark.parametrize(
    ("scheduler", "module"), [("rr", "ip_vs_rr"), ("wrr", "ip_vs_wrr"), ("lc", "ip_vs_lc"), ("sh", "ip_vs_sh")]
)
def test_modules_of_the_scheduler(scheduler: Any, module: str) -> None:
    spec = cluster(kube_proxy=KubeProxy(scheduler=scheduler))
    assert module in kernel.modules(spec, spec.workers[0])


class TestCalico:
    @pytest.fixture(params=["v3.13.4", "v3.28.5"])
    def objects(self, request: pytest.FixtureRequest) -> list[dict[str, Any]]:
        return calico.objects(cluster(calico=Calico(release=request.param)))

    def test_only_apis_that_kubernetes_1_15_serves(self, objects: list[dict[str, Any]]) -> None:
        served = {
            "apiextensions.k8s.io/v1beta1",
            "apps/v1",
            "crd.projectcalico.org/v1",
            "policy/v1beta1",
            "rbac.authorization.k8s.io/v1",
            "v1",
        }
        assert {o["apiVersion"] for o in objects} <= served

    def test_nothing_is_encapsulated(self, objects: list[dict[str, Any]]) -> None:
        pool = next(o["spec"] for o in objects if o["kind"] == "IPPool")
        assert (pool["ipipMode"], pool["vxlanMode"], pool["blockSize"]) == ("Never", "Never", 26)
        config = next(o["data"] for o in objects if o["kind"] == "ConfigMap")
        assert config["veth_mtu"] == "1500"
        assert json.loads(config["cni_network_config"].replace("__CNI_MTU__", "1500"))["plugins"][0]["mtu"] == 1500

    def test_every_image_is_of_the_release(self, objects: list[dict[str, Any]]) -> None:
        pods = [o["spec"]["template"]["spec"] for o in objects if o["kind"] in ("DaemonSet", "Deployment")]
        images = [c["image"] for p in pods for c in [*p.get("initContainers", []), *p["containers"]]]
        assert len(images) == 3
        assert len({image.rsplit(":", 1)[1] for image in images}) == 1

    def test_what_differs_between_releases(self) -> None:
        old, new = (
            {(o["kind"], o["metadata"]["name"]): o for o in calico.objects(cluster(calico=Calico(release=r)))}
            for r in ("v3.13.4", "v3.28.5")
        )
        added = {name for kind, name in new.keys() - old.keys() if kind == "CustomResourceDefinition"}
        assert added == {
            "bgpfilters.crd.projectcalico.org",
            "caliconodestatuses.crd.projectcalico.org",
            "endpointslices.discovery.k8s.io",
            "ipreservations.crd.projectcalico.org",
            "kubecontrollersconfigurations.crd.projectcalico.org",
        }
        node = old[("DaemonSet", "calico-node")]["spec"]["template"]["spec"]
        assert node["initContainers"][0]["command"] == ["/install-cni.sh"]
        assert {"name": "IP_AUTODETECTION_METHOD", "value": "can-reach=10.0.0.10"} in node["containers"][0]["env"]


def test_coredns_has_a_corefile_that_its_version_understands() -> None:
    corefile, deployment, namespace = dns.patches(cluster())
    assert "ready" not in corefile["data"]["Corefile"].split(), "CoreDNS 1.3.1 does not know it"
    assert deployment["spec"]["replicas"] == 2
    assert namespace["metadata"]["labels"] == {"name": "kube-system"}


@pytest.mark.parametrize(("replicas", "rule"), [(1, "preferred"), (2, "required"), (3, "required"), (4, "preferred")])
def test_coredns_keeps_its_replicas_apart(replicas: int, rule: str) -> None:
    """On three nodes; a preference alone once left both of two on one node."""
    _, deployment, _ = dns.patches(cluster(dns=Dns(replicas=replicas)))
    rules = deployment["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
    assert [key for key, value in rules.items() if value] == [f"{rule}DuringSchedulingIgnoredDuringExecution"]
    assert len(rules) == 2, "the other one is taken away where it was"
