"""What the bundle holds, and how each part of it is made.

Two things in it are not what their names say elsewhere, and their notes in the manifest tell: Calico v3.28.5
is built from the head of release-v3.28, a few commits past that tag, with stock BIRD (so it cannot do IPIP);
crictl is a stand-in of ours.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import host
from lab.artefacts import images
from lab.artefacts.debian import debian_layer
from lab.artefacts.golang import Programs, kubernetes, module_directory, programs
from lab.artefacts.images import Content
from lab.artefacts.ingress import INGRESS_IMAGE, INGRESS_VERSION, ingress_image
from lab.artefacts.store import Step

__all__ = ["Item", "items"]

_KUBERNETES = "v1.15.12"
_CALICO = "v3.28.5"
_ETCD = "v3.3.27"
_CNI = "v0.8.7"
_CRICTL = "v1.15.0"
_COREDNS = "1.6.2"
_PAUSE = "3.1"
_SHOP = "1"

_BASE_PACKAGES = [
    "base-files",
    "bash",
    "bird",
    "ca-certificates",
    "conntrack",
    "coreutils",
    "dash",
    "debianutils",
    "grep",
    "iproute2",
    "ipset",
    "iptables",
    "kmod",
    "libc-bin",
    "netbase",
    "runit",
    "sed",
]


@dataclass(frozen=True)
class Item:
    """One entry of the bundle's manifest, and the step whose directory holds its file."""

    name: str
    version: str
    kind: str
    file: str
    step: Step
    note: str
    image: str | None = None


def items() -> list[Item]:
    """Everything that a cluster of the lab is made of."""
    k8s, etcd, calico = _kubernetes_programs(), _etcd_programs(), _calico_programs()
    from_k8s = f"built from k8s.io/kubernetes {_KUBERNETES}"
    from_calico = "built from the head of release-v3.28, with stock BIRD"
    binaries = [_binary(name, _KUBERNETES, k8s, from_k8s) for name in ("kubeadm", "kubelet", "kubectl")]
    return [
        *binaries,
        _binary("calicoctl", _CALICO, calico, from_calico),
        _archive("etcd", _ETCD, f"etcd-{_ETCD}-linux-amd64.tar.gz", etcd, f"etcd-{_ETCD}-linux-amd64/", "built"),
        _archive("cni-plugins", _CNI, f"cni-plugins-linux-amd64-{_CNI}.tgz", _cni_programs(), "", "built"),
        _archive("crictl", _CRICTL, f"crictl-{_CRICTL}-linux-amd64.tar.gz", _crictl(), "", "a stand-in"),
        *_kubernetes_images(k8s, from_k8s),
        _image("pause", _PAUSE, "registry.k8s.io/pause", _pause_image(), "built from Kubernetes' pause.c"),
        _image("coredns", _COREDNS, "registry.k8s.io/coredns", _coredns_image(), "built"),
        *_calico_images(calico, from_calico),
        _image("ingress-nginx", INGRESS_VERSION, INGRESS_IMAGE, ingress_image(), "built, on Debian's nginx"),
        _image("shop", _SHOP, "docker.io/kube-groundwork/shop", _shop_image(), "the example's program"),
    ]


def _kubernetes_programs() -> Step:
    stamps = {
        f"{package}.{variable}": value
        for package in ("k8s.io/kubernetes/pkg/version", "k8s.io/client-go/pkg/version")
        for variable, value in (
            ("gitVersion", _KUBERNETES),
            ("gitMajor", "1"),
            ("gitMinor", "15"),
            ("gitTreeState", "clean"),
        )
    }
    static = (
        "kubeadm",
        "kubectl",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
    )
    return kubernetes(
        [
            Programs("kubernetes", [f"k8s.io/kubernetes/cmd/{name}" for name in static], stamps),
            # The kubelet's library for GPUs is C.
            Programs("kubernetes", ["k8s.io/kubernetes/cmd/kubelet"], stamps, cgo=True),
        ]
    )


def _etcd_programs() -> Step:
    stamps = {"github.com/coreos/etcd/version.GitSHA": "built-by-kube-groundwork"}
    return programs(Programs("etcd", ["github.com/coreos/etcd", "github.com/coreos/etcd/etcdctl"], stamps))


_CALICO_MODULE = "github.com/projectcalico/calico"


def _calico_programs() -> Step:
    paths = {
        "calicoctl/calicoctl": ("commands.VERSION", "commands/common.VERSION"),
        "node/cmd/calico-node": (),
        "cni-plugin/cmd/calico": (),
        "cni-plugin/cmd/install": (),
        "kube-controllers/cmd/kube-controllers": (),
        "kube-controllers/cmd/check-status": (),
    }
    stamps = {f"{_CALICO_MODULE}/calicoctl/calicoctl/{name}": _CALICO for name in paths["calicoctl/calicoctl"]}
    stamps[f"{_CALICO_MODULE}/node/pkg/lifecycle/startup.VERSION"] = _CALICO
    stamps["main.VERSION"] = _CALICO
    return programs(Programs("calico", [f"{_CALICO_MODULE}/{path}" for path in paths], stamps))


def _cni_programs() -> Step:
    plugins = (
        "ipam/host-local",
        "main/bridge",
        "main/loopback",
        "meta/bandwidth",
        "meta/portmap",
        "meta/tuning",
    )
    module = "github.com/containernetworking/plugins"
    stamps = {f"{module}/pkg/utils/buildversion.BuildVersion": _CNI}
    return programs(Programs("cni-plugins", [f"{module}/plugins/{p}" for p in plugins], stamps))


def _crictl() -> Step:
    return programs(Programs("crictl", ["."], {}))


def _binary(name: str, version: str, step: Step, note: str) -> Item:
    def make(directory: Path, inputs: Mapping[str, Path]) -> None:
        shutil.copyfile(inputs[step.name] / name, directory / f"{name}-{version}")

    return Item(name, version, "binary", f"{name}-{version}", Step(name, version, make, (step,)), note)


def _archive(name: str, version: str, file: str, step: Step, prefix: str, note: str) -> Item:
    def make(directory: Path, inputs: Mapping[str, Path]) -> None:
        members = [p for p in inputs[step.name].iterdir() if p.suffix != ".json"]
        images.tar_gz(directory / file, {f"{prefix}{p.name}": p for p in members})

    return Item(name, version, "archive", file, Step(name, f"{file} {prefix}", make, (step,)), note)


def _image(name: str, version: str, repository: str, step: Step, note: str) -> Item:
    return Item(name, version, "image", f"{step.name}.tar", step, note, f"{repository}:{version}")


def _program_image(
    name: str,
    full_name: str,
    step: Step,
    files: Mapping[str, str],
    content: Content,
    *,
    base: Step | None = None,
    links: Mapping[str, str] | None = None,
) -> Step:
    """An image with the step's binaries (`files`: path in the image -> binary), alone or on a Debian layer."""

    def make(directory: Path, inputs: Mapping[str, Path]) -> None:
        top = directory / "layer.tar"
        images.layer(top, {path: inputs[step.name] / binary for path, binary in files.items()}, links)
        layers = [inputs[base.name] / "layer.tar", top] if base else [top]
        images.archive(directory / f"{name}.tar", full_name, layers, content)
        top.unlink()

    recipe = f"{full_name} {sorted(files.items())} {links} {content}"
    return Step(name, recipe, make, (step, *([base] if base else [])))


def _kubernetes_images(k8s: Step, note: str) -> Sequence[Item]:
    base = _debian_layer()
    made = []
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
        repository = f"registry.k8s.io/{name}"
        step = _program_image(
            f"image-{name}",
            f"{repository}:{_KUBERNETES}",
            k8s,
            {f"usr/local/bin/{name}": name},
            Content([]),
            base=base if name == "kube-proxy" else None,
        )
        made.append(_image(name, _KUBERNETES, repository, step, note))
    return made


def _pause_image() -> Step:
    def make(directory: Path, inputs: Mapping[str, Path]) -> None:
        host.require({"gcc": "gcc"})
        source = module_directory("kubernetes", "k8s.io/kubernetes") / "build/pause/pause.c"
        host.run("gcc", "-Os", "-static", "-o", directory / "pause", source)
        images.layer(directory / "layer.tar", {"pause": directory / "pause"})
        image = f"registry.k8s.io/pause:{_PAUSE}"
        images.archive(directory / "image-pause.tar", image, [directory / "layer.tar"], Content(["/pause"]))

    return Step("image-pause", _KUBERNETES, make)


def _coredns_image() -> Step:
    step = programs(Programs("coredns", ["github.com/coredns/coredns"], {}))
    image = f"registry.k8s.io/coredns:{_COREDNS}"
    return _program_image("image-coredns", image, step, {"coredns": "coredns"}, Content(["/coredns"]))


def _debian_layer() -> Step:
    """A small Debian with the programs that kube-proxy and calico-node call; iptables is the legacy one."""
    hooks = [
        'rm -rf "$1/etc/service"',
        *(
            f'ln -sf xtables-legacy-multi "$1/usr/sbin/{name}"'
            for v in ("iptables", "ip6tables")
            for name in (v, f"{v}-save", f"{v}-restore")
        ),
        'ln -sf which.debianutils "$1/usr/bin/which"',
    ]
    return debian_layer("debian-layer", _BASE_PACKAGES, hooks)


def _shop_image() -> Step:
    step = programs(Programs("shop", ["."], {}))
    image = f"docker.io/kube-groundwork/shop:{_SHOP}"
    return _program_image("image-shop", image, step, {"shop": "shop"}, Content(["/shop"], user="65534"))


def _calico_images(calico: Step, note: str) -> Sequence[Item]:
    cni = _program_image(
        "image-calico-cni",
        f"docker.io/calico/cni:{_CALICO}",
        calico,
        {"opt/cni/bin/install": "install", "opt/cni/bin/calico": "calico"},
        Content(["/opt/cni/bin/install"], {"PATH": "/opt/cni/bin"}),
        links={"opt/cni/bin/calico-ipam": "calico"},
    )
    controllers = _program_image(
        "image-calico-kube-controllers",
        f"docker.io/calico/kube-controllers:{_CALICO}",
        calico,
        {"usr/bin/kube-controllers": "kube-controllers", "usr/bin/check-status": "check-status"},
        Content(["/usr/bin/kube-controllers"], user="999"),
    )
    return [
        _image("calico-node", _CALICO, "docker.io/calico/node", _calico_node_image(calico), note),
        _image("calico-cni", _CALICO, "docker.io/calico/cni", cni, note),
        _image("calico-kube-controllers", _CALICO, "docker.io/calico/kube-controllers", controllers, note),
    ]


def _calico_node_image(calico: Step) -> Step:
    base = _debian_layer()

    def make(directory: Path, inputs: Mapping[str, Path]) -> None:
        source = module_directory("calico", _CALICO_MODULE)
        files: dict[str, Path | bytes] = {"bin/calico-node": inputs[calico.name] / "calico-node"}
        for origin, target in (
            (source / "node/filesystem/etc", "etc"),
            (source / "node/filesystem/sbin", "usr/sbin"),
            (source / "confd/etc/calico/confd", "etc/calico/confd"),
        ):
            files |= {f"{target}/{p.relative_to(origin)}": _for_stock_bird(p) for p in origin.rglob("*") if p.is_file()}
        images.layer(directory / "layer.tar", files)
        layers = [inputs[base.name] / "layer.tar", directory / "layer.tar"]
        content = Content(["start_runit"], {"SVDIR": "/etc/service/enabled"})
        images.archive(directory / "image-calico-node.tar", f"docker.io/calico/node:{_CALICO}", layers, content)
        (directory / "layer.tar").unlink()

    return Step("image-calico-node", "stock bird: no krt_tunnel", make, (calico, base))


def _for_stock_bird(path: Path) -> bytes:
    """The file without the option that only Calico's patched BIRD knows; it is there for IPIP alone."""
    lines = path.read_bytes().splitlines(keepends=True)
    if path.suffix != ".template":
        return b"".join(lines)
    return b"".join(line for line in lines if b"krt_tunnel = " not in line)
