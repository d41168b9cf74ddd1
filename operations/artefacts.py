"""Programs and images, put in place only after their sum was checked.

pyinfra's files.download moves the file before it verifies it. Here a program lands in a directory named after
its version and sum, appears there in one rename, and is reached through a link: what the link leads to tells,
without reading it again, which pinned file it is. An image carries the sum as a label in containerd.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping, Sequence
from pathlib import PurePosixPath

from pyinfra import host
from pyinfra.api import FileUploadCommand, StringCommand, operation

from facts.artefacts import SUM_LABEL, ImageSums, LinkTargets
from groundwork import layout
from groundwork.artefacts import Artefact

__all__ = ["images_imported", "programs_installed"]

_Command = StringCommand | FileUploadCommand

_MEMBERS: Mapping[str, tuple[PurePosixPath, Sequence[str]]] = {
    "cni-plugins": (layout.CNI_BIN, ("loopback", "portmap", "bridge", "host-local", "bandwidth", "tuning")),
    "crictl": (layout.BIN, ("crictl",)),
    "etcd": (layout.BIN, ("etcd", "etcdctl")),
}
"""Of an archive: where links to which of its programs go."""


@operation()
def programs_installed(*, artefacts: Sequence[Artefact]) -> Generator[_Command, None, None]:
    """Each program runs from its pinned, verified file, to which links lead (/opt/kube-groundwork)."""
    wanted = {a: _links(a) for a in artefacts}
    found = host.get_fact(LinkTargets, links=[link for links in wanted.values() for link in links])
    for artefact, links in wanted.items():
        if any(found.get(link) != target for link, target in links.items()):
            yield from _install(artefact, links)


@operation()
def images_imported(*, artefacts: Sequence[Artefact]) -> Generator[_Command, None, None]:
    """containerd holds each image under its full name, made from the pinned archive or manifest."""
    found = host.get_fact(ImageSums)
    for artefact in artefacts:
        if found.get(str(artefact.image)) != artefact.sha256:
            yield from (_import(artefact) if artefact.url or artefact.path else _pull(artefact))


def _home(artefact: Artefact) -> PurePosixPath:
    return layout.PROGRAMS / f"{artefact.name}-{artefact.version}-{artefact.sha256[:12]}"


def _links(artefact: Artefact) -> dict[str, str]:
    """Link -> target; programs of an archive are found by name at its top or one directory down."""
    home = _home(artefact)
    if artefact.kind == "binary":
        return {str(layout.BIN / artefact.name): str(home / artefact.name)}
    directory, members = _MEMBERS[artefact.name]
    return {str(directory / member): str(home / member) for member in members}


def _install(artefact: Artefact, links: Mapping[str, str]) -> Generator[_Command, None, None]:
    home, part = _home(artefact), f"{_home(artefact)}.part"
    download = f"{part}/{artefact.name}"
    yield StringCommand(f"rm -rf {part} && mkdir -p {part}")
    yield _fetch(artefact, download)
    yield _verify(artefact, download)
    if artefact.kind == "archive":
        top = 1 if artefact.name == "etcd" else 0
        yield StringCommand(
            f"mv {download} {part}/.archive && tar -xzf {part}/.archive -C {part} --no-same-owner "
            f"--strip-components={top} && rm {part}/.archive"
        )
    else:
        yield StringCommand(f"chmod 755 {download}")
    yield StringCommand(f"rm -rf {home} && mv -T {part} {home}")
    directories = " ".join(sorted({str(PurePosixPath(link).parent) for link in links}))
    yield StringCommand(
        f"mkdir -p {directories} && "
        + " && ".join(f"ln -sfn {target} {link}.part && mv -fT {link}.part {link}" for link, target in links.items())
    )


def _import(artefact: Artefact) -> Generator[_Command, None, None]:
    archive = f"{layout.ARTEFACTS}/{artefact.name}-{artefact.version}.tar"
    yield StringCommand(f"mkdir -p {layout.ARTEFACTS}")
    yield _fetch(artefact, archive)
    yield _verify(artefact, archive)
    yield StringCommand(f"ctr -n k8s.io images import {archive} && rm {archive}")
    yield _label(artefact)


def _pull(artefact: Artefact) -> Generator[_Command, None, None]:
    image = str(artefact.image)
    by_digest = f"{image.rsplit(':', 1)[0]}@sha256:{artefact.sha256}"
    yield StringCommand(
        f"ctr -n k8s.io images pull {by_digest} && ctr -n k8s.io images tag --force {by_digest} {image}"
    )
    yield _label(artefact)


def _label(artefact: Artefact) -> StringCommand:
    return StringCommand(f"ctr -n k8s.io images label {artefact.image} {SUM_LABEL}={artefact.sha256}")


def _fetch(artefact: Artefact, destination: str) -> _Command:
    if artefact.path is not None:
        return FileUploadCommand(str(artefact.path), destination)
    return StringCommand(
        "curl -fsSL --retry 3 --retry-connrefused --connect-timeout 10 --speed-limit 1024 --speed-time 60 "
        f"-o {destination} {shlex.quote(str(artefact.url))}"
    )


def _verify(artefact: Artefact, path: str) -> StringCommand:
    refused = (
        f"{artefact.name} {artefact.version} from {artefact.url or artefact.path} is refused: its sha256 is "
        f"$sum, pinned is {artefact.sha256}. Mend the source, or the pin if the file is known to be right."
    )
    return StringCommand(
        f"sum=$(sha256sum < {path} | cut -c-64); if [ $sum != {artefact.sha256} ]; then "
        f'rm -f {path}; echo "{refused}" >&2; exit 1; fi'
    )
