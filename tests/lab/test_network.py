"""Policies, ingress, DNS and BGP on a real cluster: what is declared is proven, what is broken is named."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from groundwork import bgp, calico, ingress
from groundwork.objects import dump
from groundwork.spec import Bgp, BgpPeer, Calico, Ingress, IngressHost, Network, Node, define
from tests.lab.conftest import BGP_PASSWORD, Outcome, TestLab

LAB = (
    "kgnet",
    "10.119.0.0/24",
    {
        "cp1": ["control_plane", "etcd"],
        "w1": ["worker", "ingress"],
        "w2": ["worker", "ingress"],
        "tor": ["router"],
    },
)

pytestmark = pytest.mark.lab

KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"


def kubectl(lab: TestLab, arguments: str) -> str:
    return lab.on("cp1", f"{KUBECTL} {arguments}")


def verified(lab: TestLab) -> Outcome:
    return lab.run("deploys/verify.py")


def open_ports(lab: TestLab) -> dict[str, bool]:
    """From a pod of the backend to one of the frontend and the other way round, which no policy forbids at first."""
    pods = json.loads(kubectl(lab, "-n shop get pods -o json"))["items"]
    at = {p["metadata"]["labels"]["app"]: (p["spec"]["nodeName"], p["status"]["podIP"]) for p in pods}
    found = {}
    for source, target in (("frontend", "backend"), ("backend", "frontend")):
        node, address = at[source]
        inside = (
            f"for n in /run/netns/*; do nsenter --net=$n ip -4 -o addr | grep -qF ' {address}/' || continue; "
            f"nsenter --net=$n timeout 3 bash -c ': >/dev/tcp/{at[target][1]}/8080' && echo open; done; true"
        )
        found[source] = "open" in lab.on(node, inside)
    return found


def router_up(lab: TestLab) -> None:
    """A router outside the cluster: it learns the pods' blocks, and says nothing itself."""
    neighbours = "".join(
        f"protocol bgp {m.name} from node {{ neighbor {m.address} as 64512; }}\n"
        for m in lab.lab.machines
        if "router" not in m.roles
    )
    configuration = (
        f"router id {lab.lab.machine('tor').address};\nprotocol device {{}}\nprotocol kernel {{ export all; }}\n"
        f'template bgp node {{ local as 64999; import all; export none; password "{BGP_PASSWORD}"; }}\n'
        f"{neighbours}"
    )
    lab.on("tor", "apt-get update -qq && apt-get install -y -qq bird >/dev/null 2>&1; command -v bird >/dev/null")
    lab.on("tor", "cat > /etc/bird/bird.conf && systemctl restart bird", stdin=configuration)


def test_the_shop_stands_and_everything_is_proven(bare: TestLab) -> None:
    router_up(bare)
    outcome = bare.run()
    assert outcome.code == 0, outcome.text[-4000:]
    assert outcome.number("failed") == 0
    for proof in ("policy-denies", "ingress-clients", "ingress-read-timeout", "dns-queries"):
        assert proof in outcome.text
    assert "node-to-node mesh | up" in bare.on("cp1", "calicoctl node status")


def test_a_second_run_changes_nothing(bare: TestLab) -> None:
    outcome = bare.run()
    assert outcome.code == 0, outcome.text[-4000:]
    assert outcome.number("changes") == 0
    assert "not proven again" in outcome.text


def test_a_router_outside_learns_where_the_pods_are(bare: TestLab) -> None:
    """With the password of the environment; the lab's kernel checks TCP MD5."""
    assert bare.on("tor", "birdc show protocols").count("Established") == 3
    pod = kubectl(bare, "-n kube-system get pods -l k8s-app=kube-dns -o jsonpath={.items[0].status.podIP}")
    assert "1 received" in bare.on("tor", f"ping -c 1 -W 3 {pod}")
    assert BGP_PASSWORD not in kubectl(bare, "get bgppeers.crd.projectcalico.org -o yaml")


def test_before_any_policy_everything_is_open(bare: TestLab) -> None:
    assert open_ports(bare) == {"frontend": True, "backend": False}
    kubectl(bare, "-n shop delete networkpolicy --all")
    assert open_ports(bare) == {"frontend": True, "backend": True}
    outcome = bare.run()
    assert outcome.code == 0, outcome.text[-4000:]
    assert open_ports(bare) == {"frontend": True, "backend": False}


BREAKS: dict[str, tuple[Callable[[TestLab], object], str, str]] = {
    "bird-stopped": (
        lambda lab: lab.on("w2", "pkill -STOP -x bird; sleep 1; true"),
        "bgp-established w2",
        "BGP sessions",
    ),
    "policy-deleted": (
        lambda lab: kubectl(lab, "-n shop delete networkpolicy default-deny"),
        "policies-declared cp1",
        "shop/default-deny: absent",
    ),
    "flow-cut": (
        lambda lab: kubectl(
            lab, f"-n shop delete $({KUBECTL} -n shop get netpol -o name | grep frontend-to-backend | grep egress)"
        ),
        "policy-allows w",
        "is dropped",
    ),
    "policies-gone": (
        lambda lab: kubectl(lab, "-n shop delete networkpolicy --all"),
        "policy-denies w",
        "is open",
    ),
    "pool-tunnelled": (
        lambda lab: kubectl(
            lab, 'patch ippool default-ipv4-ippool --type=merge -p \'{"spec":{"vxlanMode":"Always"}}\''
        ),
        "pool cp1",
        "vxlanMode is Always",
    ),
    "dns-gone": (
        lambda lab: kubectl(lab, "-n kube-system scale deployment coredns --replicas=0"),
        "dns-replicas cp1",
        "0 of 2 replicas are ready",
    ),
    "mtu-lowered": (lambda lab: lab.on("w1", "ip link set host0 mtu 1400"), "pod-mtu", "pods on other nodes answered"),
    "ndots-lost": (
        lambda lab: kubectl(
            lab,
            "-n shop patch deployment frontend --type=json -p "
            '\'[{"op":"remove","path":"/spec/template/spec/dnsConfig"}]\' && '
            f"{KUBECTL} -n shop patch deployment backend --type=json -p "
            '\'[{"op":"remove","path":"/spec/template/spec/dnsConfig"}]\' && '
            f"{KUBECTL} -n shop rollout status deployment frontend --timeout=120s && "
            f"{KUBECTL} -n shop rollout status deployment backend --timeout=120s && sleep 8",
        ),
        "dns-queries w",
        "8.0 queries (options ndots:5)",
    ),
    "client-ca-emptied": (
        lambda lab: kubectl(
            lab, '-n shop patch secret admin-shop-example-client-ca -p \'{"data":{"ca.crt":null,"x":"eA=="}}\''
        ),
        "ingress-authorities cp1",
        "in shop/admin-shop-example-client-ca",
    ),
}

MENDS: dict[str, Callable[[TestLab], object]] = {
    "bird-stopped": lambda lab: lab.on("w2", "pkill -CONT -x bird; true"),
    "mtu-lowered": lambda lab: lab.on("w1", "ip link set host0 mtu 1500"),
}
"""What is no object of the cluster is mended by hand; everything else by the next run."""


@pytest.mark.parametrize("broken", list(BREAKS))
def test_a_broken_claim_is_named_and_mended(bare: TestLab, broken: str) -> None:
    break_it, where, what = BREAKS[broken]
    break_it(bare)
    outcome = verified(bare)
    MENDS.get(broken, lambda lab: None)(bare)
    mended = bare.run()
    assert outcome.code == 1, outcome.text[-4000:]
    assert where in outcome.text
    assert what in outcome.text
    assert mended.code == 0, mended.text[-4000:]


@pytest.mark.parametrize("how", ["--dry-run", "--server-dry-run"])
def test_the_production_releases_are_valid_here(bare: TestLab, how: str) -> None:
    """They cannot be run in a lab: every object of theirs is checked against this API server's own OpenAPI."""
    nodes = [Node(name=m.name, address=m.address) for m in bare.lab.machines]
    peers = Bgp(route_reflectors=["w1", "w2"], peers=[BgpPeer(address="10.119.0.1", as_number=64999)])
    files = bare.lab.certificates
    host = IngressHost(
        host="shop.example",
        namespace="default",
        service="frontend",
        port=8080,
        certificate=files / "server.crt",
        key=files / "server.key",
        client_ca=files / "clients-ca.crt",
    )
    spec = define(
        name="valid",
        control_plane=nodes[:1],
        workers=nodes[1:],
        etcd_members=nodes[:1],
        ingress_nodes=nodes[1:],
        network=Network(bgp=peers),
        calico=Calico(release="v3.13.4"),
        ingress=Ingress(version="v0.49.3", hosts=[host]),
    )
    objects = [*calico.objects(spec), bgp.configuration(spec, mesh=False), *bgp.peers(spec), *ingress.objects(spec)]
    said = bare.on("cp1", f"{KUBECTL} apply --validate=true {how} -f -", stdin=dump(objects))
    assert said.count("dry run)") == len(objects)


def test_what_cannot_change_is_refused(bare: TestLab) -> None:
    kubectl(bare, 'patch ippool default-ipv4-ippool --type=merge -p \'{"spec":{"blockSize":24}}\'')
    outcome = bare.run()
    assert outcome.code == 1
    assert "network.block_size is 24 in the cluster and 26 in the inventory" in outcome.text
    kubectl(bare, 'patch ippool default-ipv4-ippool --type=merge -p \'{"spec":{"blockSize":26}}\'')


def test_kubeadm_keeps_the_corefile(bare: TestLab) -> None:
    bare.on("cp1", "kubeadm init phase addon coredns --config /etc/kubernetes/kubeadm.yaml")
    assert "success 9984 30" in kubectl(bare, "-n kube-system get configmap coredns -o yaml")
    outcome = bare.run()
    assert outcome.code == 0, outcome.text[-4000:]
    affinity = kubectl(bare, "-n kube-system get deployment coredns -o jsonpath={.spec.template.spec.affinity}")
    assert "podAntiAffinity" in affinity


def test_route_reflectors_and_back(bare: TestLab) -> None:
    """Nobody is without sessions on the way: a ping from node to node's pod may miss a reflector's second."""
    before = {name: list(m["roles"]) for name, m in bare.data["machines"].items()}
    for machine in ("w1", "w2"):
        bare.data["machines"][machine]["roles"] = [*before[machine], "route_reflector"]
    bare.write()
    outcome = bare.run()
    assert outcome.code == 0, outcome.text[-4000:]
    assert bare.run().number("changes") == 0
    status = bare.on("cp1", "calicoctl node status")
    assert status.count("Established") == 3, "two reflectors and the router"
    assert "node-to-node mesh" not in status
    for machine, roles in before.items():
        bare.data["machines"][machine]["roles"] = roles
    bare.write()
    outcome = bare.run()
    assert outcome.code == 0, outcome.text[-4000:]
    assert bare.on("cp1", "calicoctl node status").count("node-to-node mesh") == 2
    assert "route-reflectors" not in kubectl(bare, "get bgppeers.crd.projectcalico.org -o name")


def test_what_is_not_declared_any_more_leaves_nothing(bare: TestLab) -> None:
    for machine in ("w1", "w2"):
        bare.data["machines"][machine]["roles"] = ["worker"]
    bare.write()
    outcome = bare.run()
    assert outcome.code == 0, outcome.text[-4000:]
    left = "get ns,deploy,svc,ep,ing,netpol,secret,cm,sa,clusterrole -A -l app.kubernetes.io/part-of -o name"
    parts = "app.kubernetes.io/part-of in (example,ingress,policies)"
    assert kubectl(bare, left.replace("app.kubernetes.io/part-of", f"'{parts}'")) == ""
    namespaces = kubectl(bare, "get namespaces -o name")
    assert "shop" not in namespaces
    assert "ingress-nginx" not in namespaces
    again = bare.run()
    assert again.number("changes") == 0
