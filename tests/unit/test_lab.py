"""The lab's own parts: its file, its cache by content, its images, its processes."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import disk, host
from lab.artefacts import images, official
from lab.artefacts.images import Content
from lab.artefacts.recipes import items
from lab.artefacts.store import Step, obtain, sha256_of
from lab.process import Process
from lab.spec import Lab, LabError, load
from lab.virtual import Virtual

GOOD: dict[str, Any] = {
    "name": "t",
    "network": "10.9.0.0/24",
    "machines": {"cp1": {"address": "10.9.0.11", "memory": "4G", "roles": ["control_plane"]}},
}


def written(path: Path, data: object) -> Path:
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def test_a_lab_file(tmp_path: Path) -> None:
    lab = load(written(tmp_path / "lab.yaml", GOOD))
    assert (lab.bridge, str(lab.gateway), lab.mirror_url) == ("kg-t", "10.9.0.1", "http://10.9.0.1:8080")
    assert lab.machine("cp1").memory_bytes == 4 * 2**30
    with pytest.raises(LabError, match="lab t has no machine cp2; it has cp1"):
        lab.machine("cp2")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "Not_A_Name"}, "name: String should match"),
        ({"machines": {}}, "machines"),
        ({"machines": {"a": {"address": "10.8.0.1"}}}, "choose one of 10.9.0.0/24"),
        ({"machines": {"a": {"address": "10.9.0.1"}}}, "other than the host's, 10.9.0.1"),
        ({"machines": {"a": {"address": "10.9.0.5"}, "b": {"address": "10.9.0.5"}}}, "given to more than one machine"),
        ({"machines": {"a": {"address": "10.9.0.5", "memory": "lots"}}}, "memory"),
        ({"machines": {"a": {"address": "10.9.0.5", "roles": ["king"]}}}, "roles"),
        ({"machines": None}, "must be YAML with name, network and machines"),
    ],
)
def test_a_wrong_lab_file(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = written(tmp_path / "lab.yaml", {**GOOD, **change})
    with pytest.raises(LabError, match=words) as refused:
        load(path)
    assert str(path) in str(refused.value)


def test_no_lab_file(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kube-groundwork"


class Counted:
    """A step that counts how often it was made."""

    def __init__(self, name: str, recipe: str, *inputs: Step) -> None:
        self.made = 0
        self.step = Step(name, recipe, self.make, inputs)

    def make(self, directory: Path, inputs: Mapping[str, Path]) -> None:
        self.made += 1
        parts = [(path / "result").read_text() for path in inputs.values()]
        (directory / "result").write_text(f"{self.step.recipe}{''.join(parts)}")


def silent(text: str) -> None:
    """Progress that nobody reads."""


@pytest.mark.usefixtures("cache")
class TestStore:
    def test_what_was_made_is_not_made_again(self) -> None:
        counted = Counted("a", "1")
        assert obtain(counted.step, silent) == obtain(counted.step, silent)
        assert counted.made == 1

    def test_another_recipe_is_another_result(self) -> None:
        base, changed = Counted("base", "1"), Counted("base", "2")
        first = obtain(Counted("top", "x", base.step).step, silent)
        second = obtain(Counted("top", "x", changed.step).step, silent)
        assert first != second
        assert (second / "result").read_text() == "x2"

    @pytest.mark.parametrize("damage", [b"other", None])
    def test_damage_is_noticed_said_and_mended(self, damage: bytes | None) -> None:
        counted = Counted("a", "1")
        said: list[str] = []
        result = obtain(counted.step, silent) / "result"
        if damage is None:
            result.unlink()
        else:
            result.write_bytes(damage)
        obtain(counted.step, said.append)
        assert result.read_text() == "1"
        assert said[0] == "a: result in the cache is damaged; made again"

    def test_an_interrupted_step_leaves_nothing_that_counts(self, cache: Path) -> None:
        counted = Counted("a", "1")

        def interrupted(directory: Path, inputs: Mapping[str, Path]) -> None:
            (directory / "result").write_text("half")
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            obtain(Step("a", "1", interrupted), silent)
        assert list((cache / "artefacts").iterdir()) == []
        assert (obtain(counted.step, silent) / "result").read_text() == "1"


def test_an_image_is_a_docker_archive(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    layer, archive = tmp_path / "layer.tar", tmp_path / "image.tar"
    images.layer(layer, {"usr/bin/program": program}, {"usr/bin/alias": "program"})
    images.archive(archive, "registry.k8s.io/x:v1", [layer], Content(["/usr/bin/program"], {"A": "b"}, "99"))
    with tarfile.open(archive) as tar:
        (manifest,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = json.load(tar.extractfile(manifest["Config"]))  # type: ignore[arg-type]
        names = tar.getnames()
    assert manifest["RepoTags"] == ["registry.k8s.io/x:v1"]
    assert set(manifest["Layers"]) <= set(names)
    assert config["rootfs"]["diff_ids"] == [f"sha256:{sha256_of(layer)}"]
    assert (config["config"]["Entrypoint"], config["config"]["User"]) == (["/usr/bin/program"], "99")
    with tarfile.open(layer) as tar:
        assert tar.getmember("usr/bin/program").mode == 0o755
        assert tar.getmember("usr/bin/alias").linkname == "program"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server of tmp_path/www; its URL."""
    (tmp_path / "www").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()


@pytest.mark.usefixtures("cache")
class TestOfficial:
    def test_downloaded_when_its_sum_is_right(
        self, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "www" / "kubeadm").write_bytes(b"program")
        right = sha256_of(tmp_path / "www" / "kubeadm")
        monkeypatch.setattr(official, "official", lambda name, version: (f"{server}/kubeadm", right))
        found = official.downloaded("kubeadm", "v1.15.12", silent)
        assert found is not None
        assert (found / "kubeadm-v1.15.12").read_bytes() == b"program"

    def test_not_taken_when_its_sum_is_wrong(
        self, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "www" / "kubeadm").write_bytes(b"something else")
        monkeypatch.setattr(official, "official", lambda name, version: (f"{server}/kubeadm", "0" * 64))
        said: list[str] = []
        assert official.downloaded("kubeadm", "v1.15.12", said.append) is None
        assert "built instead" in said[-1]
        assert "pinned is 0000" in said[-1]

    def test_not_asked_for_without_a_pin_or_a_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(official, "official", lambda name, version: None)
        assert official.downloaded("etcd", "v3.3.27", silent) is None
        monkeypatch.setattr(official, "official", lambda name, version: ("http://127.0.0.1:9/x", "0" * 64))
        assert official.downloaded("etcd", "v3.3.27", silent) is None


def test_a_process_is_known_by_pid_and_start(tmp_path: Path) -> None:
    process = Process(tmp_path / "process.json")
    assert process.pid is None
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        process.remember(sleeping.pid)
        assert process.pid == sleeping.pid
        process.kill()
        sleeping.wait()
        assert process.ended_within(5)
    # The pid of somebody else, with the start time of the process that ended.
    kept = json.loads(process.record.read_text())
    process.record.write_text(json.dumps({**kept, "pid": os.getpid()}))
    assert process.pid is None


def test_the_bundle_names_what_the_product_asks_for() -> None:
    made = {(item.image or item.name, item.kind) for item in items()}
    assert ("registry.k8s.io/kube-apiserver:v1.15.12", "image") in made
    assert ("docker.io/calico/node:v3.28.5", "image") in made
    assert {name for name, kind in made if kind != "image"} == {
        "kubeadm",
        "kubelet",
        "kubectl",
        "calicoctl",
        "etcd",
        "cni-plugins",
        "crictl",
    }


def test_a_layer_of_somebody_who_binds_low_ports(tmp_path: Path) -> None:
    images.layer(tmp_path / "l.tar", {"sbin/nginx": b"x"}, directories=["etc/nginx"], owner=101, binders=["sbin/nginx"])
    with tarfile.open(tmp_path / "l.tar") as tar:
        directory, program = tar.getmembers()
    assert (directory.isdir(), directory.uid) == (True, 101)
    capability = program.pax_headers["SCHILY.xattr.security.capability"].encode()
    assert len(capability) == 20
    assert int.from_bytes(capability[4:8], "little") == 1 << 10, "CAP_NET_BIND_SERVICE"


def test_the_lab_masks_only_what_leaves_its_bridge() -> None:
    lab = Lab.model_validate(
        {"name": "x", "network": "10.9.0.0/24", "machines": [{"name": "a", "address": "10.9.0.2"}]}
    )
    (rule,) = [rule for table, rule in host._rules(lab) if table == "nat"]
    assert " ".join(rule).startswith("POSTROUTING -s 10.9.0.0/24 ! -o kg-x ")


def virtual_machine(tmp_path: Path, **fields: Any) -> Virtual:
    machine = {"address": "10.9.0.21", "kind": "vm", **fields}
    lab = load(written(tmp_path / "lab.yaml", {**GOOD, "machines": {"v1": machine}}))
    return Virtual(lab, lab.machine("v1"))


def test_a_virtual_machine_has_an_nvme_namespace_with_a_serial(tmp_path: Path) -> None:
    command = virtual_machine(tmp_path)._command("tcg")
    assert command[:5] == ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512"]
    device = next(word for word in command if word.startswith("nvme,"))
    assert device == "nvme,id=nvme-namespace,serial=LABV1,drive=nvme"
    assert not any("throttling" in word for word in command)
    assert "-no-reboot" not in command, "a machine that reboots must come back"


def test_a_namespace_can_be_slow(tmp_path: Path) -> None:
    command = virtual_machine(tmp_path, nvme_iops=50)._command("tcg")
    assert [word for word in command if "throttling.iops-total=50" in word and "nvme.raw" in word]


def test_links_of_machines_have_names_that_linux_takes(tmp_path: Path) -> None:
    made = virtual_machine(tmp_path)
    assert len(made._tap) < 16
    assert made._mac == "52:54:0a:09:00:15"


def test_a_disk_boots_by_its_first_sector(tmp_path: Path) -> None:
    stage = tmp_path / "usr/lib/grub/i386-pc/boot.img"
    stage.parent.mkdir(parents=True)
    stage.write_bytes(b"\xeb" * 512)
    sector = disk._boot_record(tmp_path)
    assert len(sector) == 512
    assert sector[:440] == b"\xeb" * 440
    assert sector[440:446] == b"\0" * 6
    assert (sector[446], sector[450], sector[510:]) == (0x80, 0x83, b"\x55\xaa")
    first, count = (int.from_bytes(sector[i : i + 4], "little") for i in (454, 458))
    assert (first, (first + count) * 512) == (2048, disk._SIZE_MIB * 2**20)
