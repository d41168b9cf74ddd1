"""Ingress, proven by requests: what is let in, what is turned away, and how long it may take."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Mapping, Sequence

from groundwork import layout
from groundwork.certificates import fingerprint
from groundwork.checks import Check, View
from groundwork.example import unreachable_host
from groundwork.spec import ClusterSpec, IngressHost, Node

__all__ = ["CHECKS", "client_certificates", "questions", "slow_questions"]

_WORK = layout.RUN / "ingress-proofs"
"""For the length of the questions: the clients' certificates, 0700 on a tmpfs."""

_UNITS = {"k": 2**10, "m": 2**20}

_TRIES = 3
"""nginx tries so many times to connect before it gives up; ingress-nginx's default."""

_TOLERANCE_S = 1.5


def questions(spec: ClusterSpec, node: Node) -> dict[str, str]:
    """The questions about the controller on `node`, to be asked from another; `client_certificates` on stdin."""
    stranger = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=stranger -days 1 "
        f"-keyout {_WORK}/stranger.key -out {_WORK}/stranger.crt"
    )
    unpacked = f"umask 077; rm -rf {_WORK}; mkdir -p {_WORK} && base64 -d | tar -x -C {_WORK}; {stranger}"
    asked = "; ".join(_asked(host, i, node) for i, host in enumerate(spec.ingress.hosts))
    return {
        "ingress": f"{unpacked}; echo default $({_CURL} -H 'Host: nobody.invalid' http://{node.address}/); "
        f"{asked + '; ' if asked else ''}rm -rf {_WORK}",
    }


def slow_questions(spec: ClusterSpec, node: Node) -> dict[str, str]:
    """Uploads and time-outs, through the example on `node`; half a minute."""
    host = _example_host(spec)
    if host is None or spec.example is None:
        return {}
    below, above = (_body_limit(spec) + sign * 2**20 for sign in (-1, 1))
    url = f"{_scheme(host)}://{host.host}"
    curl = f"{_CURL} {_resolved(host.host, node)}".replace("--max-time 5", "--max-time 300")
    send = f"{curl} -H Expect: --data-binary @-"
    beyond = unreachable_host(spec.example)
    slow = spec.ingress.proxy_read_timeout_s + 30
    timed = curl.replace("%{http_code}", "%{http_code} %{time_total}")
    return {
        "ingress-slow": (
            f"( echo below $(head -c {below} /dev/zero | {send} {url}/echo); "
            f"echo above $(head -c {above} /dev/zero | {send} {url}/echo) ) & "
            f"( echo read $({timed} -X POST '{url}/wait?s={slow}') ) & "
            f"( echo connect $({timed} {_resolved(beyond, node)} http://{beyond}/) ) & wait"
        )
    }


def client_certificates(spec: ClusterSpec) -> str:
    """Every host's client certificate with its key, as a base64 tar: for standard input, never a command line."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for i, host in enumerate(spec.ingress.hosts):
            if host.client_certificate and host.client_key:
                content = host.client_certificate.read_bytes() + b"\n" + host.client_key.read_bytes()
                entry = tarfile.TarInfo(f"client-{i}.pem")
                entry.size, entry.mode = len(content), 0o600
                tar.addfile(entry, io.BytesIO(content))
    return base64.b64encode(packed.getvalue()).decode()


_CURL = "curl -sk -o /dev/null -w '%{http_code}' --max-time 5"


def _asked(host: IngressHost, i: int, node: Node) -> str:
    """Lines about one host: `HOST/what answer`."""
    here = f"{_CURL} {_resolved(host.host, node)}"
    url = f"{_scheme(host)}://{host.host}/"
    lines = [f"echo {host.host}/plain $({here} {url})"]
    if host.certificate:
        served = (
            f"openssl s_client -connect {node.address}:{layout.HTTPS_PORT} -servername {host.host} </dev/null "
            "| openssl x509 -noout -fingerprint -sha256 | cut -d= -f2"
        )
        lines += [f"echo {host.host}/redirect $({here} http://{host.host}/)", f"echo {host.host}/served $({served})"]
    if host.client_ca:
        stranger = f"--cert {_WORK}/stranger.crt --key {_WORK}/stranger.key"
        lines.append(f"echo {host.host}/stranger $({here} {stranger} {url})")
    if host.client_certificate:
        lines.append(f"echo {host.host}/client $({here} --cert {_WORK}/client-{i}.pem {url})")
    return "; ".join(lines)


def _scheme(host: IngressHost) -> str:
    return "https" if host.certificate else "http"


def _resolved(name: str, node: Node) -> str:
    return " ".join(f"--resolve {name}:{port}:{node.address}" for port in (layout.HTTP_PORT, layout.HTTPS_PORT))


def _example_host(spec: ClusterSpec) -> IngressHost | None:
    named = [h for h in spec.ingress.hosts if spec.example and h.host == spec.example.host]
    return named[0] if named else None


def _body_limit(spec: ClusterSpec) -> int:
    """Bytes."""
    size = spec.ingress.proxy_body_size
    return int(size[:-1]) * _UNITS[size[-1]]


def _said(view: View, question: str) -> Mapping[str, str]:
    return dict(line.partition(" ")[::2] for line in view.lines(question))


def _hosts(view: View) -> str | None:
    said = _said(view, "ingress")
    unserved = ("", "000", "404", "502", "503", "504")
    plain = {h.host: said.get(f"{h.host}/plain", "") for h in view.spec.ingress.hosts if not h.client_ca}
    wrong = [f"{host} answers {code or 'nothing'}" for host, code in plain.items() if code in unserved]
    return ", ".join(wrong) or None


def _tls(view: View) -> str | None:
    said, wrong = _said(view, "ingress"), []
    for host in view.spec.ingress.hosts:
        if host.certificate is None:
            continue
        served = said.get(f"{host.host}/served", "")
        if served != fingerprint(host.certificate):
            wrong.append(f"{host.host} shows another certificate ({served[:23] or 'none'}...)")
        if said.get(f"{host.host}/redirect") != "308":
            wrong.append(f"http://{host.host} answers {said.get(f'{host.host}/redirect') or 'nothing'}, not 308")
    return ", ".join(wrong) or None


def _clients(view: View) -> str | None:
    said, wrong = _said(view, "ingress"), []
    for host in view.spec.ingress.hosts:
        if host.client_ca is None:
            continue
        for who, key in (("nobody's certificate", "plain"), ("a certificate of another authority", "stranger")):
            if (code := said.get(f"{host.host}/{key}", "")) != "400":
                wrong.append(f"{host.host} answers {code or 'nothing'} with {who}")
        if host.client_certificate and said.get(f"{host.host}/client", "") in ("", "000", "400", "403", "502", "503"):
            wrong.append(f"{host.host} answers {said.get(f'{host.host}/client') or 'nothing'} with a right one")
    return ", ".join(wrong) or None


def _bodies(view: View) -> str | None:
    said = _said(view, "ingress-slow")
    wrong = []
    if said.get("below") != "200":
        wrong.append(f"1 MiB below the limit: {said.get('below') or 'no answer'}")
    if said.get("above") != "413":
        wrong.append(f"1 MiB above the limit: {said.get('above') or 'no answer'}")
    return ", ".join(wrong) or None


def _timed(view: View, what: str, limit: int, tries: int) -> str | None:
    code, _, seconds = _said(view, "ingress-slow").get(what, "").partition(" ")
    took = float(seconds or 0)
    if code == "504" and any(abs(took - limit * n) <= _TOLERANCE_S for n in range(1, tries + 1)):
        return None
    return f"{code or 'no answer'} after {took:.1f} s"


CHECKS: Sequence[Check] = (
    Check(
        "ingress-default",
        "a request for a host that nobody serves",
        "404 from the default backend",
        "kubectl -n ingress-nginx logs of the controller here; ports 80 and 443 of this node.",
        lambda v: None if (code := _said(v, "ingress").get("default")) == "404" else (code or "no answer"),
        lambda v: "ingress" in v.answers,
        settles="ingress",
    ),
    Check(
        "ingress-hosts",
        "the hosts of the inventory",
        "answered by their Services",
        "kubectl get ingress,endpoints -n NAMESPACE; a policy must let the ingress nodes in.",
        _hosts,
        lambda v: "ingress" in v.answers and any(not h.client_ca for h in v.spec.ingress.hosts),
        settles="ingress",
    ),
    Check(
        "ingress-tls",
        "TLS of the hosts that have a certificate",
        "the inventory's certificate; plain HTTP is redirected (308)",
        "Run the deploy again: the Secret HOST-tls may be gone or changed.",
        _tls,
        lambda v: "ingress" in v.answers and any(h.certificate for h in v.spec.ingress.hosts),
        settles="ingress",
    ),
    Check(
        "ingress-clients",
        "hosts that ask for client certificates",
        "400 without one or with another authority's, let in with one of the inventory's authority",
        "Run the deploy again: without ca.crt in the Secret HOST-client-ca the controller lets everybody in.",
        _clients,
        lambda v: "ingress" in v.answers and any(h.client_ca for h in v.spec.ingress.hosts),
        settles="ingress",
    ),
    Check(
        "ingress-body-size",
        "uploads through the example of 1 MiB below and above ingress.proxy_body_size",
        "200 and 413",
        "kubectl -n ingress-nginx get configmap ingress-nginx; the size is text such as 50m.",
        _bodies,
        lambda v: "ingress-slow" in v.answers,
    ),
    Check(
        "ingress-connect-timeout",
        "a backend that swallows packets",
        f"504 after ingress.proxy_connect_timeout_s, {_TRIES} times at most",
        "kubectl -n ingress-nginx get configmap ingress-nginx; numbers without a unit are right there.",
        lambda v: _timed(v, "connect", v.spec.ingress.proxy_connect_timeout_s, _TRIES),
        lambda v: "ingress-slow" in v.answers,
    ),
    Check(
        "ingress-read-timeout",
        "a backend that is silent for longer than ingress.proxy_read_timeout_s",
        "504 after that time",
        "kubectl -n ingress-nginx get configmap ingress-nginx; numbers without a unit are right there.",
        lambda v: _timed(v, "read", v.spec.ingress.proxy_read_timeout_s, 1),
        lambda v: "ingress-slow" in v.answers,
    ),
)
