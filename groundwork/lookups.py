"""What a name costs: the queries that CoreDNS counts when a pod looks one up with its own resolver options."""

from __future__ import annotations

from collections.abc import Sequence

from groundwork import layout
from groundwork.checks import Check, View
from groundwork.policies import Pod
from groundwork.spec import ClusterSpec

__all__ = ["CHECKS", "LOOKUPS", "questions"]

LOOKUPS = 20

_RESOLV_CONF = layout.RUN / "resolv.conf"

_MOST_QUERIES = 3.0
"""For one lookup, which needs two (A and AAAA); with ndots:5 and three search domains it takes eight."""


def questions(spec: ClusterSpec, pod: Pod, servers: Sequence[Pod]) -> dict[str, str]:
    """The question to the node of `pod`, a pod of dns.ndots_namespaces: queries before and after some lookups; none
    where no server is there to count them.

    The name exists in every cluster, and has fewer than five dots. (Not CoreDNS' own name, ns.dns and the domain: it
    answers that with any search domain behind it.) getent runs in the pod's
    network with the resolv.conf that the kubelet wrote for it, so the image needs no resolver of its own.
    """
    if not servers:
        return {}
    counted = "; ".join(f"curl -s --max-time 5 http://{s.address}:{layout.DNS_METRICS_PORT}/metrics" for s in servers)
    # The counter was renamed in CoreDNS 1.7.
    total = f"{{ {counted}; }} | awk '/^coredns_dns_request(_count|s)_total[{{]/ {{n += $NF}} END {{print n + 0}}'"
    name = f"kubernetes.default.svc.{spec.network.dns_domain}"
    looked_up = (
        f"mount --bind {_RESOLV_CONF} /etc/resolv.conf && "
        f"for i in $(seq {LOOKUPS}); do getent ahosts {name} >/dev/null && echo found; done"
    )
    return {
        "lookups": (
            "for n in /run/netns/*; do "
            f"nsenter --net=$n ip -4 -o addr 2>/dev/null | grep -qF ' {pod.address}/' && ns=$n && break; done\n"
            "inode=$(stat -Lc %i $ns); for p in /proc/[0-9]*; do "
            '[ "$(readlink $p/ns/net)" = "net:[$inode]" ] && [ -s $p/root/etc/resolv.conf ] && '
            "pid=${p#/proc/} && break; done\n"
            f"echo options $(grep ^options /proc/$pid/root/etc/resolv.conf)\n"
            f"echo before $({total})\n"
            # A copy, since a file of another mount namespace cannot be bound here.
            f"cp /proc/$pid/root/etc/resolv.conf {_RESOLV_CONF}\n"
            f"nsenter --net=$ns timeout 60 unshare -m sh -c '{looked_up}' | sort | uniq -c\n"
            f"rm {_RESOLV_CONF}\n"
            # CoreDNS answers before it counts.
            f"sleep 0.2; echo after $({total})"
        )
    }


def _queries(view: View) -> str | None:
    said = {w[0]: w[1] for line in view.lines("lookups") if len(w := line.split(None, 1)) == 2}
    found = next((int(n) for n, word in said.items() if word == "found"), 0)
    if found != LOOKUPS or not said.get("before", "").isdigit() or not said.get("after", "").isdigit():
        return f"{found} of {LOOKUPS} lookups succeeded ({said.get('options', 'no resolv.conf was found')})"
    each = (int(said["after"]) - int(said["before"])) / LOOKUPS
    return None if each <= _MOST_QUERIES else f"{each:.1f} queries ({said.get('options')})"


CHECKS: Sequence[Check] = (
    Check(
        "dns-queries",
        "queries that CoreDNS counts for a lookup from a pod of dns.ndots_namespaces",
        f"{_MOST_QUERIES:g} or fewer",
        "Run the deploy again: the pod's workload may have lost dnsConfig.options ndots.",
        _queries,
        lambda v: "lookups" in v.answers,
    ),
)
