"""Container images as archives, written without a container runtime: `ctr images import` takes them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Content", "archive", "layer", "tar_gz"]

_EPOCH = 0
"""Times in archives, so that the same content gives the same bytes."""


@dataclass(frozen=True)
class Content:
    """What an image does when it starts."""

    entrypoint: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    directory: str = "/"


def layer(
    destination: Path,
    files: Mapping[str, Path | bytes],
    links: Mapping[str, str] | None = None,
    *,
    directories: Sequence[str] = (),
    owner: int = 0,
    binders: Sequence[str] = (),
) -> None:
    """A tar with `directories`, `files` (path in the image -> file or content) and symbolic `links`.

    All of it is executable and belongs to the user id `owner`. The files named in `binders` may bind ports below
    1024 whoever runs them.
    """
    with tarfile.open(destination, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in directories:
            entry = _entry(name)
            entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o755, owner, owner
            tar.addfile(entry)
        for name, source in sorted(files.items()):
            content = source if isinstance(source, bytes) else source.read_bytes()
            entry = _entry(name)
            entry.mode, entry.size, entry.uid, entry.gid = 0o755, len(content), owner, owner
            if name in binders:
                entry.pax_headers = {"SCHILY.xattr.security.capability": _NET_BIND_SERVICE}
            tar.addfile(entry, io.BytesIO(content))
        for name, target in sorted((links or {}).items()):
            entry = _entry(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)


def archive(destination: Path, image: str, layers: Sequence[Path], content: Content) -> None:
    """A docker-archive of `image` (its full name with tag) on top of `layers`, lowest first."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Entrypoint": list(content.entrypoint),
                "Env": [f"{k}={v}" for k, v in {"PATH": _PATH, **content.environment}.items()],
                "User": content.user,
                "WorkingDir": content.directory,
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(p)}" for p in layers]},
        },
        sort_keys=True,
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    names = [f"{_digest(p)}/layer.tar" for p in layers]
    manifest = json.dumps([{"Config": name, "RepoTags": [image], "Layers": names}]).encode()
    with tarfile.open(destination, "w", format=tarfile.PAX_FORMAT) as tar:
        for member, data in ((name, config), ("manifest.json", manifest)):
            entry = _entry(member)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for member, path in zip(names, layers, strict=True):
            entry = _entry(member)
            entry.size = path.stat().st_size
            with path.open("rb") as file:
                tar.addfile(entry, file)


def tar_gz(destination: Path, files: Mapping[str, Path]) -> None:
    """A .tar.gz of executables, path in it -> file, as release archives are."""
    with (
        destination.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=_EPOCH, compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, source in sorted(files.items()):
            entry = _entry(name)
            entry.mode, entry.size = 0o755, source.stat().st_size
            with source.open("rb") as file:
                tar.addfile(entry, file)


_NET_BIND_SERVICE = "\x01\0\0\x02\0\x04\0\0" + "\0" * 12
"""The kernel's vfs_cap_data, revision 2: effective, with capability 10 permitted."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _entry(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.mtime = _EPOCH
    return entry


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
