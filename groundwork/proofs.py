"""What a finished cluster must show, each by its effect: a session that is Established, a packet that arrives,
a name that resolves, a connection that is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from groundwork import bgp, boot, calico, fio, ingress, kernel, layout, lookups, policies, storage, traffic, web
from groundwork.checks import Check, View
from groundwork.etcd import client_url, etcdctl
from groundwork.kubeadm import PROXY_MODE, TOKEN_DESCRIPTION, api_get, api_get_all
from groundwork.objects import MANAGED_BY, Object, drift, everywhere, identity, parse, part_of, path
from groundwork.spec import ClusterSpec, Node

__all__ = [
    "CLUSTER_CHECKS",
    "NODE_CHECKS",
    "PROBE",
    "cluster_questions",
    "node_questions",
    "pod_questions",
    "probe_pods",
]

PROBE = "groundwork-probe"
"""The DaemonSet whose pods' network namespaces are entered from their nodes, with the nodes' own tools."""

_MARK = "#object"
"""Ends each of several objects in one answer."""

_ICMP_OVERHEAD = 28
"""Bytes of IPv4 and ICMP headers around the data of a ping."""


def probe_pods(spec: ClusterSpec) -> Object:
    """A pause pod on every node: it needs no image that a cluster lacks."""
    labels = {"k8s-app": PROBE}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": PROBE, "namespace": "kube-system", "labels": {**MANAGED_BY, **labels}},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": {**MANAGED_BY, **labels}},
                "spec": {
                    "tolerations": [{"operator": "Exists"}],
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {
                            "name": "pause",
                            "image": f"{spec.artefacts.image_repository}/pause:3.1",
                            "imagePullPolicy": "IfNotPresent",
                        }
                    ],
                },
            },
        },
    }


def node_questions(spec: ClusterSpec, node: Node) -> dict[str, str]:
    """The questions to one node itself, in shell."""
    questions = {
        "kernel": "uname -r",
        "cgroups": "stat -fc %T /sys/fs/cgroup",
        "iptables": "iptables --version",
        "swap": "tail -n +2 /proc/swaps",
        "sysctl-overrides": kernel.overrides(node),
        "sysctls": f"sysctl -e {' '.join(s.key for s in kernel.sysctls(node))}",
    }
    if modules := kernel.modules(spec, node):
        questions["modules"] = f"for m in {' '.join(modules)}; do [ -d /sys/module/$m ] || echo $m; done"
    if node in spec.etcd_members:
        questions |= _etcd_questions(node)
    if storage.concerned(spec, node):
        questions |= storage.questions(node) | {"disk-report": fio.KEPT}
    if node in spec.kubernetes_nodes:
        questions |= _kubernetes_questions(spec)
    return questions


def _etcd_questions(node: Node) -> dict[str, str]:
    pki, url = layout.ETCD_PKI, f"{client_url(node)}/health"
    credentials = f"--cert {pki}/healthcheck-client.crt --key {pki}/healthcheck-client.key"
    return {
        "etcd-health": f"curl -s --max-time 5 --cacert {pki}/ca.crt {credentials} {url}",
        "etcd-anonymous": f"curl -s --max-time 5 --cacert {pki}/ca.crt {url} && echo answered || echo refused",
        "etcd-members": f"{etcdctl(client_url(node))} member list",
        "etcd-directory": f"stat -c '%a %U' {layout.ETCD_DATA}",
    }


def pod_questions(spec: ClusterSpec, node: Node, pods: Mapping[str, str]) -> dict[str, str]:
    """The questions to the probe pod of a node; `pods` are the probe pods' addresses by node."""
    in_pod = _in_pod(pods.get(node.name, "none"))
    size = spec.network.pod_mtu - _ICMP_OVERHEAD
    others = [pods[n.name] for n in spec.kubernetes_nodes if n != node and n.name in pods]
    api, dns = spec.network.api_service_address, spec.network.dns_service_address
    name = f"kubernetes.default.svc.{spec.network.dns_domain}"
    return {
        "pings": "; ".join(
            f"{in_pod} ping -q -c 1 -W 2 -M do -s {size} {pod} >/dev/null && echo {pod}" for pod in others
        )
        or "true",
        "dns": f"{in_pod} dig +short +time=2 +tries=3 {name} @{dns}",
        "service": f"{in_pod} curl -sk --max-time 5 -o /dev/null -w '%{{http_code}}' https://{api}/healthz",
    }


def _kubernetes_questions(spec: ClusterSpec) -> dict[str, str]:
    api = spec.network.api_service_address
    return {
        "proxy-mode": PROXY_MODE,
        "felix": "curl -s --max-time 5 -o /dev/null -w '%{http_code}' "
        f"http://127.0.0.1:{layout.FELIX_HEALTH_PORT}/readiness",
        "bird": bgp.BIRD,
        "routes": "ip -4 route show proto bird; ip -4 route | grep -E 'dev (tunl0|vxlan)'",
        "host-service": f"curl -sk --max-time 5 -o /dev/null -w '%{{http_code}}' https://{api}/healthz",
        "ipvs": "ipvsadm -Ln; ip -br addr show kube-ipvs0",
        "ipvs-reuse": "sysctl -n net.ipv4.vs.conn_reuse_mode",
        "ipvs-module": "grep -rHsE '^[^#]*\\bip_vs' /etc/modprobe.d /run/modprobe.d /usr/lib/modprobe.d; "
        "grep -oE '(module_|modprobe\\.)blacklist=[^ ]*ip_vs[^ ]*' /proc/cmdline; "
        "modinfo -n ip_vs >/dev/null || echo the kernel comes without ip_vs",
    }


def _in_pod(address: str) -> str:
    """The start of a command in the network namespace of the pod with `address`; it fails when there is none."""
    return (
        "nsenter --net=$(for n in /run/netns/*; do nsenter --net=$n ip -4 -o addr 2>/dev/null | "
        f"grep -qF ' {address}/' && echo $n && break; done)"
    )


def cluster_questions(spec: ClusterSpec) -> dict[str, str]:
    """The questions to the first control-plane node about the cluster as a whole."""
    group = "/apis/crd.projectcalico.org/v1"
    authorities = [path(o) for o in ingress.authorities(spec)]
    return {
        "version": api_get("/version"),
        "etcd-from-api": api_get("/healthz/etcd"),
        "nodes": api_get("/api/v1/nodes"),
        "dns-pods": api_get("/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dkube-dns"),
        "pool": api_get(calico.POOL_PATH),
        "bgp": api_get(f"{group}/bgpconfigurations/default"),
        "policies-live": api_get(everywhere("NetworkPolicy")),
        "authorities": api_get_all(authorities, mark=_MARK) if authorities else "true",
        "tokens": f"{layout.BIN}/kubeadm token list --kubeconfig {layout.ADMIN_KUBECONFIG}",
    }


def _is_member(view: View) -> bool:
    return view.node in view.spec.etcd_members


def _is_kubernetes(view: View) -> bool:
    return view.node in view.spec.kubernetes_nodes


def _is_ipvs(view: View) -> bool:
    return _is_kubernetes(view) and kernel.proxy_mode(view.spec, view.node) == "ipvs"


def _unless(value: str, wanted: str) -> str | None:
    return None if value == wanted else (value or "no answer")


def _wrong_sysctls(view: View) -> str | None:
    found = {key: value.replace("\t", " ") for key, _, value in (s.partition(" = ") for s in view.lines("sysctls"))}
    wrong = [f"{s.key} = {found.get(s.key)}" for s in kernel.sysctls(view.node) if found.get(s.key) != s.value]
    return ", ".join([*wrong, *view.lines("sysctl-overrides")]) or None


def _wrong_mode(view: View) -> str | None:
    """kube-proxy falls back to iptables without a word where ip_vs is missing: the reason is looked for."""
    found = _unless(view.line("proxy-mode"), kernel.proxy_mode(view.spec, view.node))
    if found is None or not _is_ipvs(view):
        return found
    missing = [m for m in view.lines("modules") if m.startswith("ip_vs")]
    absent = [f"not loaded: {', '.join(missing)}"] if missing else []
    return "; ".join([found, *absent, *view.lines("ipvs-module")])


def _etcd_health(view: View) -> str | None:
    said = view.line("etcd-health")
    return None if '"true"' in said or ":true" in said else (said or "no answer")


def _etcd_members(view: View) -> str | None:
    named = {line.split(", ")[2] for line in view.lines("etcd-members") if line.count(", ") >= 4}
    wanted = {n.name for n in view.spec.etcd_members}
    return None if named == wanted else f"members are {', '.join(sorted(named)) or 'unknown'}"


def _bgp_sessions(view: View) -> str | None:
    if not view.lines("bird"):
        return "BIRD does not answer"
    up = bgp.established(view.lines("bird"))
    missing = [name for address, name in bgp.neighbours(view.spec, view.node).items() if address not in up]
    return f"no session with {', '.join(missing)}" if missing else None


def _routes(view: View) -> str | None:
    """Every other node is the next hop of a block; nothing goes through a tunnel."""
    lines = view.lines("routes")
    encapsulated = view.spec.network.encapsulation != "Never"
    if not encapsulated and (tunnelled := [line for line in lines if "tunl0" in line or "vxlan" in line]):
        return f"a tunnel carries {tunnelled[0]}"
    hops = {m[1] for line in lines if (m := re.search(r"via (\S+)", line))}
    missing = [n.name for n in view.spec.kubernetes_nodes if n != view.node and str(n.address) not in hops]
    return f"no route to the pods of {', '.join(missing)}" if missing else None


def _pings(view: View) -> str | None:
    wanted = len(view.spec.kubernetes_nodes) - 1
    arrived = len(view.lines("pings"))
    return None if arrived == wanted else f"{arrived} of {wanted} pods on other nodes answered"


def _ipvs_table(view: View) -> str | None:
    text = "\n".join(view.lines("ipvs"))
    network = view.spec.network
    endpoints = _dns_endpoints(view)
    if endpoints < view.spec.dns.replicas:
        return f"the Service of DNS has {endpoints} of {view.spec.dns.replicas} endpoints"
    missing = [
        what
        for what in (
            f"TCP  {network.api_service_address}:443 {view.spec.kube_proxy.scheduler}",
            f"UDP  {network.dns_service_address}:53 {view.spec.kube_proxy.scheduler}",
            f"{network.api_service_address}/32",
            f"{network.dns_service_address}/32",
            *(f"-> {n.address}:{layout.API_PORT}" for n in view.spec.control_plane),
        )
        if what not in text
    ]
    return f"missing: {', '.join(missing)}" if missing else None


def _dns_endpoints(view: View) -> int:
    """How many endpoints IPVS has behind the Service of DNS (UDP)."""
    lines = view.lines("ipvs")
    service = f"UDP  {view.spec.network.dns_service_address}:53 "
    start = next((i for i, line in enumerate(lines) if line.startswith(service)), len(lines))
    return sum(1 for _ in takewhile(lambda line: line.strip().startswith("->"), lines[start + 1 :]))


_OWN_CHECKS: Sequence[Check] = (
    Check(
        "cgroup-v1",
        "cgroup version",
        f"{boot.V1}, which is v1 (kubelet 1.15 cannot run on v2)",
        "Set systemd.unified_cgroup_hierarchy=0 on the kernel's command line and reboot.",
        lambda v: _unless(v.line("cgroups"), boot.V1),
        _is_kubernetes,
    ),
    Check(
        "iptables-legacy",
        "iptables' backend",
        "legacy",
        "Run the deploy again; something set the alternative back to nft.",
        lambda v: None if "(legacy)" in v.line("iptables") else (v.line("iptables") or "no iptables"),
    ),
    Check(
        "swap-off",
        "swap",
        "none",
        "Run the deploy again; see /proc/swaps, /etc/fstab and zram services.",
        lambda v: ", ".join(v.lines("swap")) or None,
    ),
    Check(
        "sysctls",
        "kernel parameters in effect",
        f"those of {layout.SYSCTL_FILE}, and no later file that sets them otherwise at the next boot",
        "Take them out of the file that is named, or find the service that sets them; then run the deploy again.",
        _wrong_sysctls,
    ),
    Check(
        "modules",
        "kernel modules",
        "all loaded or built in",
        "journalctl -u systemd-modules-load",
        lambda v: ", ".join(v.lines("modules")) or None,
        lambda v: "modules" in v.answers,
    ),
    Check(
        "etcd-health",
        "etcd commits, asked over TLS with a client certificate",
        "healthy",
        "journalctl -u etcd, here and on the other members.",
        _etcd_health,
        _is_member,
        settles="etcd-health",
    ),
    Check(
        "etcd-refuses-strangers",
        "etcd without a client certificate",
        "the connection is refused",
        "client-cert-auth must be true in etcd.yaml; run the deploy again.",
        lambda v: _unless(v.line("etcd-anonymous"), "refused"),
        _is_member,
    ),
    Check(
        "etcd-members",
        "etcd's members",
        "those of the inventory",
        "etcdctl member list; members are added and removed by etcdctl before the inventory.",
        _etcd_members,
        _is_member,
    ),
    Check(
        "etcd-directory",
        "who may read etcd's data",
        "etcd alone (0700)",
        "Run the deploy again.",
        lambda v: _unless(v.line("etcd-directory"), "700 etcd"),
        _is_member,
    ),
    Check(
        "proxy-mode",
        "how kube-proxy balances, as it says itself",
        "the inventory's mode (iptables where the kernel is shared)",
        "It falls back in silence where ip_vs cannot be loaded: mend that and run the deploy again, which restarts it.",
        _wrong_mode,
        _is_kubernetes,
        settles="proxy-mode",
    ),
    Check(
        "ipvs-table",
        "the kernel's IPVS table",
        "the Services of the API and of DNS with their endpoints, their addresses on kube-ipvs0",
        "ipvsadm -Ln; kubectl -n kube-system logs of kube-proxy here.",
        _ipvs_table,
        _is_ipvs,
        settles="ipvs",
    ),
    Check(
        "ipvs-reuse",
        "net.ipv4.vs.conn_reuse_mode",
        "1 from kernel 5.9 on, 0 before",
        "systemctl status kube-groundwork-ipvs.timer",
        lambda v: _unless(v.line("ipvs-reuse"), str(kernel.conn_reuse_mode(v.line("kernel")))),
        _is_ipvs,
        settles="ipvs-reuse",
    ),
    Check(
        "felix-ready",
        "Felix's readiness",
        "HTTP 204 or 200",
        "kubectl -n kube-system logs of calico-node here.",
        lambda v: None if v.line("felix") in ("200", "204") else (v.line("felix") or "no answer"),
        _is_kubernetes,
        settles="felix",
    ),
    Check(
        "bgp-established",
        "BGP sessions with every neighbour of the inventory",
        "Established",
        "TCP 179 between the nodes; kubectl -n kube-system logs of calico-node here and on the peer.",
        _bgp_sessions,
        _is_kubernetes,
        settles="bird",
    ),
    Check(
        "bgp-routes",
        "routes to the other nodes' pods",
        "learnt by BIRD, via the node itself, none through a tunnel",
        "ip route show proto bird; calicoctl get ippool -o wide.",
        _routes,
        _is_kubernetes,
        settles="routes",
    ),
    Check(
        "pod-mtu",
        "a full-sized ping that must not be fragmented, from a pod to the pods of every other node",
        "every pod answers",
        "Compare network.mtu with the MTU of the nodes' interfaces and of everything between them.",
        _pings,
        _is_kubernetes,
        settles="pings",
    ),
    Check(
        "pod-dns",
        "the API's name, resolved from a pod",
        "the address of the Service kubernetes",
        "kubectl -n kube-system get pods -l k8s-app=kube-dns; the Service kube-dns and its endpoints.",
        lambda v: _unless(v.line("dns"), str(v.spec.network.api_service_address)),
        _is_kubernetes,
        settles="dns",
    ),
    Check(
        "pod-service",
        "the API server, reached from a pod through its Service",
        "HTTP 200",
        "kube-proxy's rules here (iptables-save or ipvsadm -Ln).",
        lambda v: _unless(v.line("service"), "200"),
        _is_kubernetes,
        settles="service",
    ),
    Check(
        "node-service",
        "the API server, reached from the node through its Service",
        "HTTP 200",
        "kube-proxy's rules here (iptables-save or ipvsadm -Ln).",
        lambda v: _unless(v.line("host-service"), "200"),
        _is_kubernetes,
        settles="host-service",
    ),
)


NODE_CHECKS: Sequence[Check] = (*_OWN_CHECKS, *storage.PROOFS, *traffic.CHECKS, *web.CHECKS, *lookups.CHECKS)
"""What is proven of every node."""


def _json(view: View, question: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads("\n".join(view.lines(question)))
    except ValueError:
        return {}
    return found


def _nodes(view: View) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _json(view, "nodes").get("items", [])
    return found


def _nodes_ready(view: View) -> str | None:
    ready = {
        item["metadata"]["name"]
        for item in _nodes(view)
        for condition in item["status"].get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
    }
    missing = [n.name for n in view.spec.kubernetes_nodes if n.name not in ready]
    return f"not ready: {', '.join(missing)}" if missing else None


def _kubelets(view: View) -> str | None:
    wanted = view.spec.kubernetes_version
    info = {n["metadata"]["name"]: n["status"]["nodeInfo"]["kubeletVersion"] for n in _nodes(view)}
    return ", ".join(f"{name} runs {version}" for name, version in info.items() if version != wanted) or None


def _runtimes(view: View) -> str | None:
    info = {n["metadata"]["name"]: n["status"]["nodeInfo"]["containerRuntimeVersion"] for n in _nodes(view)}
    wrong = [f"{name} runs {v}" for name, v in info.items() if not re.match(r"containerd://v?1\.[67]\.", v)]
    return ", ".join(wrong) or None


def _strangers(view: View) -> str | None:
    known = {n.name for n in view.spec.kubernetes_nodes}
    named = {item["metadata"]["name"] for item in _nodes(view)}
    return f"unknown: {', '.join(sorted(named - known))}" if named - known else None


def _dns_replicas(view: View) -> str | None:
    pods = _json(view, "dns-pods").get("items", [])
    running = [
        p["spec"].get("nodeName", "")
        for p in pods
        if all(s["ready"] for s in p["status"].get("containerStatuses", [{"ready": False}]))
        and "deletionTimestamp" not in p["metadata"]
    ]
    wanted = view.spec.dns.replicas
    if len(running) < wanted:
        return f"{len(running)} of {wanted} replicas are ready"
    apart = min(wanted, len(view.spec.kubernetes_nodes))
    return None if len(set(running)) >= apart else f"{len(running)} replicas on {', '.join(sorted(set(running)))}"


def _pool(view: View) -> str | None:
    found = _json(view, "pool").get("spec", {})
    wanted = {
        "cidr": str(view.spec.network.pod_cidr),
        "blockSize": view.spec.network.block_size,
        **calico.pool_modes(view.spec),
    }
    wrong = [f"{key} is {found.get(key)}" for key, value in wanted.items() if found.get(key) != value]
    return ", ".join(wrong) or None


def _mesh(view: View) -> str | None:
    found = _json(view, "bgp").get("spec", {})
    bgp_spec = view.spec.network.bgp
    wanted = {"asNumber": bgp_spec.as_number, "nodeToNodeMeshEnabled": not bgp_spec.route_reflectors}
    wrong = [f"{key} is {found.get(key)}" for key, value in wanted.items() if found.get(key) != value]
    return ", ".join(wrong) or None


def _policies(view: View) -> str | None:
    live = {identity(o)[1:]: o for o in parse("\n".join(view.lines("policies-live")))}
    wanted = {identity(o)[1:]: o for o in part_of("policies", policies.objects(view.spec))}
    wrong = [
        f"{'/'.join(place)}: {', '.join(differing)}"
        for place, obj in wanted.items()
        if (differing := drift(obj, live.get(place)))
    ]
    left = [f"{'/'.join(place)}: not declared" for place in live if place not in wanted]
    return "; ".join([*wrong, *left]) or None


def _authorities(view: View) -> str | None:
    """nginx goes on with the authority that it knows: a Secret without one shows only when the controller starts."""
    answered = "\n".join(view.lines("authorities")).split(_MARK)
    live = {identity(o): o for text in answered for o in parse(text)}
    wrong = [
        "/".join(identity(wanted)[1:])
        for wanted in ingress.authorities(view.spec)
        if live.get(identity(wanted), {}).get("data", {}).get("ca.crt") != wanted["data"]["ca.crt"]
    ]
    return f"another ca.crt, or none, in {', '.join(wrong)}" if wrong else None


def _tokens(view: View) -> str | None:
    left = sum(TOKEN_DESCRIPTION in line for line in view.lines("tokens"))
    return f"{left} token(s) of a run are left" if left else None


CLUSTER_CHECKS: Sequence[Check] = (
    Check(
        "api-version",
        "the API server's version",
        "the inventory's",
        "Run the deploy again.",
        lambda v: _unless(_json(v, "version").get("gitVersion", ""), v.spec.kubernetes_version),
    ),
    Check(
        "nodes-ready",
        "the nodes of the inventory",
        "Ready",
        "kubectl describe node NAME; journalctl -u kubelet there.",
        _nodes_ready,
        settles="nodes",
    ),
    Check(
        "kubelet-versions",
        "the kubelets' versions",
        "the inventory's",
        "Run the deploy again.",
        _kubelets,
    ),
    Check(
        "runtime-versions",
        "the container runtimes",
        "containerd 1.6 or 1.7: 2.0 dropped the CRI that kubelet 1.15 speaks",
        "Install containerd 1.6 or 1.7 and hold the package.",
        _runtimes,
    ),
    Check(
        "no-strangers",
        "nodes that the inventory does not name",
        "none",
        "Add them to the inventory, or drain and delete them.",
        _strangers,
    ),
    Check(
        "etcd-from-api",
        "etcd, as the API server sees it",
        "ok",
        "Logs of kube-apiserver; etcd's certificates must name every member.",
        lambda v: _unless(v.line("etcd-from-api"), "ok"),
        settles="etcd-from-api",
    ),
    Check(
        "dns-replicas",
        "CoreDNS' replicas",
        "all ready, on different nodes",
        "kubectl -n kube-system get pods -o wide -l k8s-app=kube-dns; delete one of two that share a node.",
        _dns_replicas,
        settles="dns-pods",
    ),
    Check(
        "pool",
        "Calico's address pool",
        "the inventory's, encapsulated only as it says",
        "Run the deploy again; cidr and blockSize of a pool cannot be changed.",
        _pool,
    ),
    Check(
        "mesh",
        "Calico's BGP configuration",
        "the inventory's AS number and mesh",
        "Run the deploy again.",
        _mesh,
    ),
    Check(
        "policies-declared",
        "the NetworkPolicies of this project",
        "those of the inventory, as they were made",
        "Run the deploy again.",
        _policies,
    ),
    Check(
        "ingress-authorities",
        "the Secrets by which ingress checks client certificates",
        "the inventory's authorities: without one, everybody is let in from the controller's next start on",
        "Run the deploy again, and ask who may write Secrets there.",
        _authorities,
        lambda v: any(ingress.authorities(v.spec)),
    ),
    Check(
        "no-tokens",
        "bootstrap tokens that a run made",
        "none",
        "Run the deploy again, or: kubeadm token delete ID.",
        _tokens,
    ),
)
