"""The image of the lab's ingress-nginx, on Debian's nginx.

The controller is built from its Go module as it stood on 2020-06-30, three weeks after 0.33.0: neither of the
releases that production uses can be had as a module. Its Lua libraries that Debian lacks are in lab/ingress-nginx.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path

from lab.artefacts import images
from lab.artefacts.debian import debian_layer
from lab.artefacts.golang import Programs, module_directory, programs
from lab.artefacts.images import Content
from lab.artefacts.store import Step
from lab.spec import LabError

__all__ = ["INGRESS_IMAGE", "INGRESS_VERSION", "ingress_image"]

INGRESS_VERSION = "0.33.0-20200630"
INGRESS_IMAGE = "registry.k8s.io/ingress-nginx/controller"

_MODULE = "k8s.io/ingress-nginx"

_LUA = Path(__file__).resolve().parent.parent / "ingress-nginx"

_PACKAGES = [
    "base-files",
    "bash",
    "ca-certificates",
    "coreutils",
    "dash",
    "diffutils",
    "dumb-init",
    "gawk",
    "grep",
    "libc-bin",
    "libnginx-mod-http-brotli-filter",
    "libnginx-mod-http-brotli-static",
    "libnginx-mod-http-headers-more-filter",
    "libnginx-mod-http-lua",
    "libnginx-mod-http-ndk",
    "libnginx-mod-http-set-misc",
    "lua-cjson",
    "lua-nginx-cookie",
    "lua-nginx-dns",
    "lua-resty-core",
    "lua-resty-lrucache",
    "netbase",
    "nginx",
    "nginx-common",
    "openssl",
    "sed",
]

_MODULES = (
    "ndk_http_module",
    "ngx_http_lua_module",
    "ngx_http_headers_more_filter_module",
    "ngx_http_set_misc_module",
    "ngx_http_brotli_filter_module",
    "ngx_http_brotli_static_module",
)

_LISTENER = """
    # Debian's nginx has no Lua for streams, so there are no TCP and UDP services; but the controller writes their
    # list to this port, and wants it to be read to the end.
    server {
        listen 127.0.0.1:{{ .StreamPort }};
        access_log off;
        lingering_close always;
        return 400;
    }
"""

_USER = 101
"""www-data of the upstream image, and what its manifests run it as."""

_NGINX = "usr/local/nginx/sbin/nginx"


def ingress_image() -> Step:
    """The image, as an archive under its full name."""
    controller = programs(
        Programs(
            "ingress-nginx",
            [f"{_MODULE}/cmd/nginx", f"{_MODULE}/cmd/waitshutdown"],
            {f"{_MODULE}/version.RELEASE": INGRESS_VERSION},
        )
    )
    base = _debian_layer()

    def make(directory: Path, inputs: Mapping[str, Path]) -> None:
        below, above = inputs[base.name] / "layer.tar", directory / "layer.tar"
        files = _files(module_directory("ingress-nginx", _MODULE) / "rootfs", _from_tar(below))
        files["nginx-ingress-controller"] = inputs[controller.name] / "nginx"
        files["wait-shutdown"] = inputs[controller.name] / "waitshutdown"
        links = {"var/log/nginx/access.log": "/dev/stdout", "var/log/nginx/error.log": "/dev/stderr"}
        images.layer(
            above,
            files,
            links,
            directories=_DIRECTORIES,
            owner=_USER,
            binders=(_NGINX, "nginx-ingress-controller"),
        )
        content = Content(
            ["/usr/bin/dumb-init", "--", "/nginx-ingress-controller"], user=str(_USER), directory="/etc/nginx"
        )
        images.archive(
            directory / "image-ingress-nginx.tar", f"{INGRESS_IMAGE}:{INGRESS_VERSION}", [below, above], content
        )
        above.unlink()

    # What is done to the module's files is written here, and in Lua.
    sources = [Path(__file__), *sorted(_LUA.rglob("*.lua"))]
    recipe = "".join(p.read_text(encoding="utf-8") for p in sources)
    return Step("image-ingress-nginx", recipe, make, (controller, base))


_DIRECTORIES = (
    "etc/nginx",
    "etc/nginx/geoip",
    "etc/nginx/template",
    "etc/ingress-controller",
    "etc/ingress-controller/auth",
    "etc/ingress-controller/ssl",
    "usr/local/nginx/sbin",
    "var/lib/nginx",
    "var/log/nginx",
)
"""What the controller and nginx write to, or expect to be there."""


def _files(rootfs: Path, nginx: bytes) -> dict[str, Path | bytes]:
    files: dict[str, Path | bytes] = {
        str(path.relative_to(rootfs)): path
        for path in sorted((rootfs / "etc").rglob("*"))
        if path.is_file() and "test" not in path.relative_to(rootfs).parts
    }
    files |= {f"ingress-controller/{p.name}": p for p in (rootfs / "ingress-controller").iterdir()}
    files |= {f"etc/nginx/lua/{p.relative_to(_LUA)}": p for p in _LUA.rglob("*.lua")}
    files["etc/nginx/template/nginx.tmpl"] = _template(rootfs / "etc/nginx/template/nginx.tmpl").encode()
    files[_NGINX] = nginx
    return files


def _template(path: Path) -> str:
    """The controller's template, for Debian's build of nginx."""
    text = path.read_text(encoding="utf-8")
    loaded = "".join(f"load_module /usr/lib/nginx/modules/{name}.so;\n" for name in _MODULES)
    head, stream, after = text.partition("\nstream {")
    rest = after.partition("\n}\n")[2]
    for part, found in (("the stream block", stream), ("daemon off", "\ndaemon off;\n" in head)):
        if not found:
            raise LabError(f"{path} of {_MODULE} has no {part}: it is not the version that the lab knows")
    lines = head.replace("\ndaemon off;\n", f"\n{loaded}\ndaemon off;\n").splitlines()
    # Modules of the upstream image's nginx, not of Debian's.
    kept = [line.replace("if $cfg.UseGeoIP }}", "if false }}") for line in lines if "ajp_temp_path" not in line]
    return "\n".join([*kept, rest]).replace("\nhttp {\n", f"\nhttp {{\n{_LISTENER}", 1)


def _from_tar(layer: Path) -> bytes:
    with tarfile.open(layer) as tar:
        member = tar.extractfile("./usr/sbin/nginx")
        assert member is not None
        return member.read()


def _debian_layer() -> Step:
    hooks = [
        'rm -rf "$1/etc/nginx/sites-enabled" "$1/etc/nginx/conf.d" "$1/etc/nginx/modules-enabled"',
        'ln -sf gawk "$1/usr/bin/awk"',
        # Debian's names of two of the libraries differ from those that the controller asks for.
        'cd "$1/usr/share/lua/5.1" && mkdir -p resty/dns && ln -s ../nginx/cookie.lua resty/cookie.lua '
        "&& ln -s ../../nginx/dns/resolver.lua resty/dns/resolver.lua",
    ]
    return debian_layer("debian-layer-nginx", _PACKAGES, hooks)
