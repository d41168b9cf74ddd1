"""Programs built from Go modules, where the official binaries cannot be downloaded.

Each directory of lab/go is a module of ours that names the programs and pins what they are made of.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lab import host
from lab.artefacts.store import Step
from lab.spec import LabError

__all__ = ["Programs", "kubernetes", "module_directory", "programs"]

_SOURCES = Path(__file__).resolve().parent.parent / "go"

_MINIMUM = (1, 24)


@dataclass(frozen=True)
class Programs:
    """Packages to build from one module, and the version that is linked into them."""

    module: str
    packages: Sequence[str]
    stamps: Mapping[str, str]
    """Variable (package path and name) -> value, for the linker's -X."""
    cgo: bool = False


def programs(wanted: Programs) -> Step:
    """A step whose result is one binary for each package, named as `go build` names it."""

    def make(directory: Path, inputs: Mapping[str, Path]) -> None:
        module = _copied(wanted.module, directory)
        _build(module, wanted, directory, vendored=False)
        shutil.rmtree(module)

    return Step(f"{wanted.module}-programs", _recipe([wanted]), make)


def kubernetes(every: Sequence[Programs]) -> Step:
    """Kubernetes' programs: they need a file that is generated, so a vendored tree to put it into."""

    def make(directory: Path, inputs: Mapping[str, Path]) -> None:
        module = _copied("kubernetes", directory)
        # -e: tests of dependencies import what no longer exists; no program does.
        _go(module, "mod", "vendor", "-e", flags="-mod=mod")
        _generate_openapi(module)
        for wanted in every:
            _build(module, wanted, directory, vendored=True)
        shutil.rmtree(module)

    return Step("kubernetes-programs", _recipe(every) + _OPENAPI, make)


def module_directory(module: str, path: str) -> Path:
    """Where Go keeps the source of the dependency `path` of one of our modules."""
    return Path(_go(_SOURCES / module, "list", "-m", "-f", "{{.Dir}}", path, flags="-mod=mod").strip())


def _recipe(every: Sequence[Programs]) -> str:
    sources = sorted(p for p in (_SOURCES / every[0].module).rglob("*") if p.is_file())
    texts = [p.read_text(encoding="utf-8") for p in sources]
    wanted = [f"{w.packages} {sorted(w.stamps.items())} {w.cgo}" for w in every]
    return "\n".join([".".join(map(str, _version())), *texts, *wanted])


def _copied(module: str, directory: Path) -> Path:
    """A copy of our module to build in: go may write to go.sum, and vendoring writes a tree."""
    copy = directory / ".module"
    shutil.copytree(_SOURCES / module, copy)
    return copy


def _build(module: Path, wanted: Programs, directory: Path, *, vendored: bool) -> None:
    linked = " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in wanted.stamps.items())])
    _go(
        module,
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        linked,
        "-o",
        f"{directory}/",
        *wanted.packages,
        flags="-mod=vendor" if vendored else "-mod=mod",
        cgo=wanted.cgo,
    )


_OPENAPI = "k8s.io/kubernetes/pkg/generated/openapi"


def _generate_openapi(module: Path) -> None:
    """kube-apiserver's zz_generated.openapi.go, which a release's tree has and a Go module has not."""
    _go(
        module,
        "build",
        "-trimpath",
        "-o",
        "openapi-gen",
        "k8s.io/kube-openapi/cmd/openapi-gen",
        flags="-mod=vendor",
    )
    vendor, gopath = module / "vendor", module / "gopath"
    marked = sorted(
        {
            str(path.parent.relative_to(vendor))
            for path in (vendor / "k8s.io").rglob("*.go")
            if "kube-openapi" not in path.parts and "+k8s:openapi-gen=true" in path.read_text(encoding="utf-8")
        }
    )
    shutil.copytree(vendor, gopath / "src", copy_function=os.link)
    (module / "no-header").touch()
    arguments = ["-i", ",".join(marked), "-p", _OPENAPI, "-O", "zz_generated.openapi", "-h", "no-header"]
    environment = {"GO111MODULE": "off", "GOFLAGS": "", "GOPATH": str(gopath)}
    _run([str(module / "openapi-gen"), *arguments], module, environment)
    generated = f"{_OPENAPI}/zz_generated.openapi.go"
    shutil.copyfile(gopath / "src" / generated, vendor / generated)


def _go(directory: Path, *arguments: str, flags: str, cgo: bool = False) -> str:
    _version()
    environment = {"GOFLAGS": flags, "CGO_ENABLED": "1" if cgo else "0", "GOOS": "linux", "GOARCH": "amd64"}
    if cgo:
        host.require({"gcc": "gcc"})
    return _run(["go", *arguments], directory, environment)


def _run(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=directory, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-8:])
        raise LabError(f"`{command[0]} {' '.join(command[1:4])} ...` failed in {directory}:\n{last}")
    return done.stdout


@cache
def _version() -> tuple[int, int]:
    """go's version, as far as it decides what is built; LabError when there is none or it is too old."""
    if not shutil.which("go"):
        raise LabError(
            f"go is not on the PATH: the lab builds its programs with Go {_MINIMUM[0]}.{_MINIMUM[1]} or "
            "newer, since the official ones cannot be downloaded here"
        )
    said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout
    match = re.match(r"go(\d+)\.(\d+)", said)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    if version < _MINIMUM:
        raise LabError(f"go is {said.strip()}, too old: the lab builds with Go {_MINIMUM[0]}.{_MINIMUM[1]} or newer")
    return version
