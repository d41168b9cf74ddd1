"""BGP, policies, ingress and resolver: the objects, and the proofs about them, which can all fail."""

from __future__ import annotations

import base64
import io
import json
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, ClassVar

import pytest

from groundwork import bgp, calico, dns, example, ingress, lookups, policies, preflight, proofs, traffic, web
from groundwork.certificates import fingerprint
from groundwork.checks import Check, View, script
from groundwork.objects import belongs_to, identity, listings, part_of, path
from groundwork.policies import Pod
from groundwork.spec import Calico, ClusterSpec, Dns, Example, Flow, Ingress, IngressHost, Node, Pods, Policies, define
from groundwork.traffic import Population
from lab import certificates

FRONTEND, BACKEND = (Pods(namespace="shop", labels={"app": tier}) for tier in ("frontend", "backend"))
FLOWS = (
    Flow(source="ingress", destination=FRONTEND, port=8080),
    Flow(source=FRONTEND, destination=BACKEND, port=8080),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    certificates.make(directory)
    return directory


def nodes() -> list[Node]:
    return [Node(name=n, address=a) for n, a in (("cp1", "10.0.0.11"), ("w1", "10.0.0.12"), ("w2", "10.0.0.13"))]


def cluster(**change: Any) -> ClusterSpec:
    machines = nodes()
    given = {
        "name": "t",
        "control_plane": machines[:1],
        "workers": machines[1:],
        "etcd_members": machines[:1],
        "ingress_nodes": machines[1:],
    }
    return define(**{**given, **change})


def shop(files: Path, **change: Any) -> ClusterSpec:
    served = {"namespace": "shop", "service": "frontend", "port": 8080}
    served |= {"certificate": files / "server.crt", "key": files / "server.key"}
    admin = {
        "client_ca": files / "clients-ca.crt",
        "client_certificate": files / "client.crt",
        "client_key": files / "client.key",
    }
    hosts = [IngressHost(host="shop.example", **served), IngressHost(host="admin.shop.example", **served, **admin)]
    given = {
        "policies": Policies(namespaces=["shop"], flows=FLOWS),
        "ingress": Ingress(hosts=hosts),
        "example": Example(),
    }
    return cluster(**{**given, **change})


def by_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {o["metadata"]["name"]: o for o in objects if o["kind"] == kind}


def check(table: Iterable[Check], name: str) -> Check:
    return next(c for c in table if c.id == name)


class TestMistakes:
    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"network": {"bgp": {"full_mesh_limit": 2}}}, "name two or more of them in network.bgp.route_reflectors"),
            ({"network": {"bgp": {"route_reflectors": ["w1"]}}}, "route_reflectors names only w1"),
            ({"network": {"bgp": {"route_reflectors": ["w1", "x"]}}}, "names x, which is neither"),
            (
                {
                    "network": {
                        "bgp": {"peers": [{"address": "10.0.0.1", "as_number": 1, "password_variable": "NO_SUCH"}]}
                    }
                },
                "the password of 10.0.0.1 is in $NO_SUCH, which is not set here",
            ),
            ({"policies": {"namespaces": ["kube-system"]}}, "the cluster itself lives there"),
            ({"policies": {"flows": [FLOWS[1]]}}, "touches no namespace of policies.namespaces"),
            (
                {"ingress_nodes": [], "policies": {"namespaces": ["shop"], "flows": [FLOWS[0]]}},
                "comes from ingress, and ingress_nodes is empty",
            ),
            (
                {"policies": {"namespaces": ["shop"], "flows": [Flow(source=FRONTEND, destination="api", port=443)]}},
                "they listen on 6443",
            ),
            ({"ingress": {"replicas": 3}}, "ingress.replicas is 3 and there are 2 ingress_nodes"),
            ({"ingress": {"proxy_body_size": "50 MB"}}, "ingress.proxy_body_size"),
            ({"example": Example()}, "example.host shop.example is none of ingress.hosts"),
        ],
    )
    def test_each_is_a_sentence(self, change: dict[str, Any], sentence: str) -> None:
        with pytest.raises(SystemExit) as refused:
            cluster(**change)
        assert sentence in str(refused.value)

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            ({"certificate": "server.crt"}, "certificate and key belong together"),
            ({"client_ca": "clients-ca.crt"}, "client_ca needs certificate and key"),
            ({"certificate": "server.crt", "key": "client.key"}, "is not the key of certificate"),
            ({"certificate": "server.crt", "key": "none.key"}, "none.key cannot be read: No such file"),
            ({"certificate": "server.key", "key": "server.key"}, "server.key is not a certificate in PEM"),
            ({"host": "other.example", "certificate": "server.crt", "key": "server.key"}, "is not for other.example"),
            (
                {
                    "certificate": "server.crt",
                    "key": "server.key",
                    "client_ca": "server.crt",
                    "client_certificate": "client.crt",
                    "client_key": "client.key",
                },
                "was not issued by client_ca",
            ),
        ],
    )
    def test_files_of_a_host(self, files: Path, given: dict[str, str], sentence: str) -> None:
        fields: dict[str, Any] = {k: v if k == "host" else files / v for k, v in given.items()}
        host = {"host": "shop.example", "namespace": "shop", "service": "frontend", "port": 80, **fields}
        with pytest.raises(SystemExit) as refused:
            cluster(ingress={"hosts": [host]})
        assert sentence in str(refused.value)


class TestBgp:
    def test_a_mesh(self) -> None:
        spec = cluster()
        assert bgp.neighbours(spec, spec.node("w1")) == {"10.0.0.11": "cp1", "10.0.0.13": "w2"}
        assert bgp.configuration(spec, mesh=True)["spec"]["nodeToNodeMeshEnabled"] is True
        assert bgp.peers(spec) == []

    def test_route_reflectors(self) -> None:
        spec = cluster(network={"bgp": {"route_reflectors": ["cp1", "w2"]}})
        assert set(bgp.neighbours(spec, spec.node("w1")).values()) == {"cp1", "w2"}
        assert set(bgp.neighbours(spec, spec.node("w2")).values()) == {"cp1", "w1"}
        (peer,) = bgp.peers(spec)
        assert peer["spec"]["peerSelector"] == "has(kube-groundwork/route-reflector)"

    def test_a_router_with_a_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TOR", "secret")
        peers = [{"address": "10.0.0.1", "as_number": 64999, "password_variable": "TOR"}]
        spec = cluster(network={"bgp": {"peers": peers}}, calico=Calico(release="v3.28.5"))
        objects = bgp.peers(spec)
        assert by_kind(objects, "BGPPeer")["router-10-0-0-1"]["spec"]["asNumber"] == 64999
        assert base64.b64decode(by_kind(objects, "Secret")["bgp-passwords"]["data"]["10-0-0-1"]) == b"secret"
        assert "the router 10.0.0.1" in bgp.neighbours(spec, spec.node("w1")).values()

    def test_sessions(self) -> None:
        lines = [
            "0001 BIRD 1.6.8 ready.",
            "1002-Mesh_10_0_0_12 BGP      master   up     16:38:29    Established   ",
            " Node_10_0_0_13 BGP      master   start  16:38:29    Active        Socket: Connection refused",
            " Global_10_0_0_1 BGP      master   up     16:38:29    Established   ",
        ]
        assert bgp.established(lines) == {"10.0.0.12", "10.0.0.1"}

    def test_a_slow_bird_is_waited_for(self, tmp_path: Path) -> None:
        """An emulated machine took longer than the tenth of a second that its client once gave it."""
        said = b"0001 BIRD 1.6.8 ready.\n", b"2002-name proto\n", b"1002-Mesh_10_0_0_12 BGP master up Established\n"
        control = tmp_path / "bird.ctl"

        def answer(listening: socket.socket) -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(said[0])
                assert connection.recv(100) == b"show protocols\n"
                for line in (*said[1:], b"0000 \n"):
                    time.sleep(0.2)
                    connection.sendall(line)
                # It does not hang up: the client has to know where the answer ends.
                connection.recv(1)

        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(control))
            listening.listen()
            threading.Thread(target=answer, args=(listening,), daemon=True).start()
            asked = bgp.BIRD.replace("/var/run/calico/bird.ctl", str(control))
            done = subprocess.run(["sh", "-c", asked], capture_output=True, timeout=4, check=True)
        assert done.stdout.splitlines(keepends=True) == [*said, b"0000 \n"]

    @pytest.mark.parametrize(
        ("mode", "pool", "mtu"),
        [("Never", ("Never", "Never"), 1500), ("IPIPCrossSubnet", ("CrossSubnet", "Never"), 1480)],
    )
    def test_encapsulation(self, mode: str, pool: tuple[str, str], mtu: int) -> None:
        spec = cluster(network={"encapsulation": mode})
        modes = calico.pool_modes(spec)
        assert (modes["ipipMode"], modes["vxlanMode"]) == pool
        assert spec.network.pod_mtu == mtu


POD = {
    "frontend": Pod("shop", "frontend-a", IPv4Address("10.244.1.1"), "w1", {"app": "frontend"}),
    "frontend2": Pod("shop", "frontend-b", IPv4Address("10.244.2.1"), "w2", {"app": "frontend"}),
    "backend": Pod("shop", "backend-a", IPv4Address("10.244.1.2"), "w1", {"app": "backend"}),
    "backend2": Pod("shop", "backend-b", IPv4Address("10.244.2.2"), "w2", {"app": "backend"}),
    "probe": Pod("kube-system", "probe-w1", IPv4Address("10.244.1.3"), "w1", {"k8s-app": "groundwork-probe"}),
}


class TestPolicies:
    def test_one_flow_makes_both_sides(self, files: Path) -> None:
        made = by_kind(policies.objects(shop(files)), "NetworkPolicy")
        assert {"default-deny", "allow-dns"} <= set(made)
        (egress,) = [o for n, o in made.items() if n.startswith("frontend-to-backend") and n.endswith("egress")]
        (into,) = [o for n, o in made.items() if n.startswith("frontend-to-backend") and n.endswith("ingress")]
        assert egress["spec"]["podSelector"] == {"matchLabels": {"app": "frontend"}}
        assert into["spec"]["podSelector"] == {"matchLabels": {"app": "backend"}}
        assert into["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": 8080}]

    def test_ingress_nodes_come_by_address(self, files: Path) -> None:
        made = by_kind(policies.objects(shop(files)), "NetworkPolicy")
        (policy,) = [o for n, o in made.items() if n.startswith("ingress-to-frontend")]
        blocks = [p["ipBlock"]["cidr"] for p in policy["spec"]["ingress"][0]["from"]]
        assert blocks == ["10.0.0.12/32", "10.0.0.13/32"]

    @pytest.mark.parametrize(
        ("source", "target", "allowed"),
        [
            ("frontend", "backend", True),
            ("frontend", "backend2", True),
            ("backend", "frontend", False),
            ("frontend", "frontend2", False),
            ("probe", "backend", False),
        ],
    )
    def test_permitted(self, files: Path, source: str, target: str, allowed: bool) -> None:
        assert policies.permitted(shop(files), POD[source], POD[target], 8080) is allowed
        assert not policies.permitted(shop(files), POD[source], POD[target], 9090)

    def test_out_of_the_cluster(self, files: Path) -> None:
        spec = shop(files)
        assert not policies.permitted(spec, POD["frontend"], IPv4Address("10.0.0.11"), 6443)
        assert policies.permitted(spec, POD["probe"], IPv4Address("10.0.0.11"), 6443)

    def test_what_is_tried(self, files: Path) -> None:
        spec = shop(files)
        service = {
            "kind": "Service",
            "metadata": {"name": "backend", "namespace": "shop"},
            "spec": {
                "selector": {"app": "backend"},
                "clusterIP": "10.96.1.1",
                "ports": [{"port": 80, "targetPort": 8080}],
            },
        }
        tried = traffic.attempts(spec, spec.node("w1"), Population(list(POD.values()), [service]))
        seen = {(str(a.source.name), f"{a.address}:{a.port}"): a.permitted for a in tried}
        assert seen["frontend-a", "10.244.2.2:8080"]
        assert seen["frontend-a", "10.96.1.1:80"]
        assert not seen["backend-a", "10.244.1.1:8080"]
        assert not seen["probe-w1", "10.96.1.1:80"]
        assert seen["w1", "10.244.2.1:8080"], "an ingress node is let in"
        assert not seen["w1", "10.244.2.2:8080"], "but not to the backend elsewhere"
        assert seen["w1", "10.244.1.2:8080"], "a node always reaches its own pods"
        assert ("backend-a", "10.244.1.2:8080") not in seen, "nobody asks himself"

    def test_every_question_is_valid_shell(self, files: Path) -> None:
        spec = shop(files, dns=Dns(ndots_namespaces=["shop"]))
        w1 = spec.node("w1")
        tables = (
            traffic.questions(spec, w1, Population(list(POD.values()))),
            web.questions(spec, w1),
            web.slow_questions(spec, w1),
            lookups.questions(spec, POD["frontend"], [POD["probe"]]),
        )
        for table in tables:
            assert table
            subprocess.run(["bash", "-n", "-c", script(table)], check=True, capture_output=True)

    @pytest.mark.parametrize(
        ("name", "line", "found"),
        [
            ("policy-denies", "dropped dropped a -> b 1.2.3.4:80", None),
            ("policy-denies", "dropped open a -> b 1.2.3.4:80", "1 of 1: a -> b 1.2.3.4:80 is open"),
            ("policy-denies", "dropped refused a -> b 1.2.3.4:80", "1 of 1: a -> b 1.2.3.4:80 is refused"),
            ("policy-allows", "open dropped a -> b 1.2.3.4:80", "1 of 1: a -> b 1.2.3.4:80 is dropped"),
            ("policy-dns", "shop/a 10.96.0.1", None),
            ("policy-dns", "shop/a", "shop/a cannot resolve"),
        ],
    )
    def test_what_packets_say(self, files: Path, name: str, line: str, found: str | None) -> None:
        spec = shop(files)
        question = "policy-dns" if name == "policy-dns" else "policies"
        assert check(traffic.CHECKS, name).wrong(View(spec, spec.node("w1"), {question: [line]})) == found


class TestDeclared:
    def view(self, files: Path, objects: list[dict[str, Any]]) -> View:
        spec = shop(files)
        items = []
        for obj in part_of("policies", objects):
            applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(obj)}
            live = {**obj, "metadata": {**obj["metadata"], "annotations": applied}}
            items.append({k: v for k, v in live.items() if k not in ("kind", "apiVersion")})
        answer = {"kind": "NetworkPolicyList", "apiVersion": "networking.k8s.io/v1", "items": items}
        return View(spec, spec.node("cp1"), {"policies-live": [json.dumps(answer)]})

    def test_as_made(self, files: Path) -> None:
        made = policies.objects(shop(files))
        assert check(proofs.CLUSTER_CHECKS, "policies-declared").wrong(self.view(files, made)) is None

    def test_one_is_gone_and_one_is_nobodys(self, files: Path) -> None:
        default_deny, *others = policies.objects(shop(files))
        stray = {**default_deny, "metadata": {"name": "stray", "namespace": "shop"}}
        found = check(proofs.CLUSTER_CHECKS, "policies-declared").wrong(self.view(files, [*others, stray]))
        assert found == "shop/default-deny: absent; shop/stray: not declared"


class TestAuthorities:
    def found(self, files: Path, live: list[dict[str, Any]]) -> str | None:
        spec = shop(files)
        lines = [line for o in live for line in (*json.dumps(o, indent=2).splitlines(), "#object")]
        return check(proofs.CLUSTER_CHECKS, "ingress-authorities").wrong(
            View(spec, spec.node("cp1"), {"authorities": lines})
        )

    def test_as_made(self, files: Path) -> None:
        assert self.found(files, ingress.authorities(shop(files))) is None

    @pytest.mark.parametrize("data", [{}, {"x": "eA=="}, {"ca.crt": "eA=="}])
    def test_another_or_none(self, files: Path, data: dict[str, str]) -> None:
        emptied = [{**o, "data": data} for o in ingress.authorities(shop(files))]
        assert str(self.found(files, emptied)).startswith("another ca.crt, or none, in shop/")
        assert self.found(files, []) is not None


class TestIngress:
    def test_settings_are_numbers(self, files: Path) -> None:
        settings = ingress.settings(shop(files))
        assert settings["proxy-connect-timeout"] == "10"
        assert settings["proxy-read-timeout"] == "20"
        assert settings["proxy-body-size"] == "50m"
        assert settings["allow-snippet-annotations"] == "false"

    def test_objects(self, files: Path) -> None:
        objects = ingress.objects(shop(files))
        admin = by_kind(objects, "Ingress")["admin-shop-example"]
        assert admin["apiVersion"] == "networking.k8s.io/v1beta1"
        annotations = admin["metadata"]["annotations"]
        assert annotations["nginx.ingress.kubernetes.io/auth-tls-secret"] == "shop/admin-shop-example-client-ca"
        assert set(by_kind(objects, "Secret")["admin-shop-example-client-ca"]["data"]) == {"ca.crt"}
        controller = by_kind(objects, "Deployment")["ingress-nginx"]
        assert controller["spec"]["replicas"] == 2
        assert controller["spec"]["template"]["spec"]["hostNetwork"] is True

    def test_nothing_without_ingress_nodes(self) -> None:
        assert ingress.objects(cluster(ingress_nodes=[])) == []

    def test_client_certificates_travel_as_a_tar(self, files: Path) -> None:
        packed = base64.b64decode(web.client_certificates(shop(files)))
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            assert tar.getnames() == ["client-1.pem"]
        asked = web.questions(shop(files), nodes()[1])
        assert "PRIVATE KEY" not in str(asked)

    def said(self, files: Path, **change: str) -> list[str]:
        served = fingerprint(files / "server.crt")
        good = {
            "default": "404",
            "shop.example/plain": "200",
            "shop.example/redirect": "308",
            "shop.example/served": served,
            "admin.shop.example/plain": "400",
            "admin.shop.example/redirect": "308",
            "admin.shop.example/served": served,
            "admin.shop.example/stranger": "400",
            "admin.shop.example/client": "200",
        }
        return [f"{key} {value}" for key, value in {**good, **change}.items()]

    @pytest.mark.parametrize(
        ("change", "failing", "found"),
        [
            ({}, None, ""),
            ({"default": "503"}, "ingress-default", "503"),
            ({"shop.example/plain": "504"}, "ingress-hosts", "shop.example answers 504"),
            ({"shop.example/served": "AA:BB"}, "ingress-tls", "shop.example shows another certificate"),
            ({"shop.example/redirect": "200"}, "ingress-tls", "answers 200, not 308"),
            ({"admin.shop.example/plain": "200"}, "ingress-clients", "answers 200 with nobody's certificate"),
            ({"admin.shop.example/stranger": "200"}, "ingress-clients", "with a certificate of another authority"),
            ({"admin.shop.example/client": "400"}, "ingress-clients", "answers 400 with a right one"),
        ],
    )
    def test_what_clients_see(self, files: Path, change: dict[str, str], failing: str | None, found: str) -> None:
        spec = shop(files)
        view = View(spec, spec.node("w1"), {"ingress": self.said(files, **change)})
        wrong = {c.id: text for c in web.CHECKS if c.applies(view) and (text := c.wrong(view))}
        assert set(wrong) == ({failing} if failing else set())
        assert found in wrong.get(failing or "", "")

    @pytest.mark.parametrize(
        ("line", "name", "passes"),
        [
            ("connect 504 10.01", "ingress-connect-timeout", True),
            ("connect 504 30.02", "ingress-connect-timeout", True),
            ("connect 504 5.0", "ingress-connect-timeout", False),
            ("connect 502 30.0", "ingress-connect-timeout", False),
            ("read 504 20.02", "ingress-read-timeout", True),
            ("read 504 60.0", "ingress-read-timeout", False),
            ("below 200", "ingress-body-size", False),
        ],
    )
    def test_limits(self, files: Path, line: str, name: str, passes: bool) -> None:
        spec = shop(files)
        view = View(spec, spec.node("w1"), {"ingress-slow": [line]})
        assert (check(web.CHECKS, name).wrong(view) is None) is passes


class TestResolver:
    WORKLOAD: ClassVar[dict[str, Any]] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": "shop", "uid": "1"},
    }

    @pytest.mark.parametrize(
        ("options", "wanted"),
        [
            (None, [{"name": "ndots", "value": "2"}]),
            ([{"name": "ndots", "value": "2"}], None),
            (
                [{"name": "ndots", "value": "5"}, {"name": "edns0"}],
                [{"name": "edns0"}, {"name": "ndots", "value": "2"}],
            ),
        ],
    )
    def test_options_of_others_are_kept(self, options: Any, wanted: Any) -> None:
        config = {"dnsConfig": {"options": options}} if options else {}
        live = {**self.WORKLOAD, "spec": {"template": {"spec": config}}}
        patches = dns.resolver_patches(cluster(), [live])
        found = [p["spec"]["template"]["spec"]["dnsConfig"]["options"] for p in patches]
        assert found == ([wanted] if wanted else [])

    @pytest.mark.parametrize(
        ("lines", "passes"),
        [
            (["options ndots:2", "before 100", "20 found", "after 141"], True),
            (["options ndots:5", "before 100", "20 found", "after 260"], False),
            (["options ndots:2", "before 100", "after 100"], False),
        ],
    )
    def test_queries(self, lines: list[str], passes: bool) -> None:
        spec = cluster()
        view = View(spec, spec.node("w1"), {"lookups": lines})
        assert (lookups.CHECKS[0].wrong(view) is None) is passes

    def test_without_a_server_nothing_is_counted(self) -> None:
        assert lookups.questions(cluster(), POD["frontend"], []) == {}

    def test_corefile(self) -> None:
        spec = cluster(dns=Dns(version="1.6.2", cache_entries=5000, upstreams=["10.0.0.2", "10.0.0.3"]))
        text = dns.patches(spec)[0]["data"]["Corefile"]
        assert "forward . 10.0.0.2 10.0.0.3\n" in text
        assert "success 5000 30\n" in text
        assert {"loop", "ready"} <= set(text.split())


class TestObjects:
    def test_where_they_are_served(self) -> None:
        policy = {"kind": "NetworkPolicy", "metadata": {"name": "a", "namespace": "n"}}
        assert path(policy) == "/apis/networking.k8s.io/v1/namespaces/n/networkpolicies/a"
        assert any(p.startswith("/api/v1/secrets?labelSelector=app.kubernetes.io") for p in listings())

    def test_only_what_was_applied_as_a_part_is_pruned(self) -> None:
        (ours,) = part_of("example", [{"kind": "Service", "metadata": {"name": "a", "namespace": "n"}}])
        assert not belongs_to(ours, "example"), "the Endpoints of a Service have its labels too"
        applied = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
        live = {**ours, "metadata": {**ours["metadata"], "annotations": applied}}
        assert belongs_to(live, "example")
        assert not belongs_to(live, "ingress")

    def test_the_example_has_a_place_for_every_proof(self, files: Path) -> None:
        objects = example.objects(shop(files))
        assert {identity(o)[2] for o in objects if o["kind"] == "Deployment"} == {"frontend", "backend"}
        (endpoints,) = by_kind(objects, "Endpoints").values()
        assert endpoints["subsets"][0]["addresses"] == [{"ip": "192.0.2.1"}]
        assert example.objects(cluster()) == []


class TestPreflight:
    @pytest.mark.parametrize(
        ("name", "answers", "found"),
        [
            ("bgp-reachable", {"bgp-blocked": ["10.0.0.12 bash: connect: Connection refused"]}, None),
            ("bgp-reachable", {"bgp-blocked": ["10.0.0.13 timed out"]}, "no way to w2 (no answer)"),
            (
                "bgp-reachable",
                {"bgp-blocked": ["10.0.0.13 bash: connect: No route to host"]},
                "no way to w2 (no route)",
            ),
            ("nameserver", {"nameservers": ["10.0.0.1"]}, None),
            ("nameserver", {"nameservers": ["127.0.0.1"]}, "127.0.0.1: CoreDNS would ask itself"),
            ("nameserver", {}, "none"),
            ("pool-fixed", {}, None),
            ("pool-fixed", {"pool": ['{"spec": {"cidr": "10.244.0.0/16", "blockSize": 26}}']}, None),
            (
                "pool-fixed",
                {"pool": ['{"spec": {"cidr": "10.200.0.0/16", "blockSize": 26}}']},
                "network.pod_cidr is 10.200.0.0/16 in the cluster and 10.244.0.0/16 in the inventory",
            ),
        ],
    )
    def test_each(self, name: str, answers: dict[str, list[str]], found: str | None) -> None:
        spec = cluster()
        assert check(preflight.CHECKS, name).wrong(View(spec, spec.node("cp1"), answers)) == found
