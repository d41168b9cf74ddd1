"""Each phase on bare nodes does exactly this, in this order; on nodes that are as wanted it does nothing."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from pyinfra.api import OperationError
from pyinfra.api.exceptions import PyinfraError

from deploys.etcd import etcd
from deploys.kernel import PACKAGES, kernel
from deploys.runtime import runtime
from deploys.storage import PACKAGES as STORAGE_PACKAGES
from deploys.storage import storage
from deploys.workers import workers
from groundwork import kernel as kernel_model
from groundwork import storage as storage_model
from groundwork.spec import ClusterSpec
from operations import boot
from operations import kernel as kernel_operations
from tests import disks
from tests.deploys.conftest import DISKS, SURVEY, Ran, Responses, Run, spoken, surveyed


def states_of(ran: Ran, node: str) -> dict[str, str]:
    """What `FileStates` would answer after the files of a run were written."""
    found = {}
    for done in ran.done[node]:
        if match := re.search(r"cat > (\S+)\.part && chown (\S+) \S+ && chmod (\d+)", done.command):
            path, owner, mode = match.groups()
            digest = hashlib.sha256(done.stdin.encode()).hexdigest()
            found[path] = f"{digest} {mode} {owner} {path}"
    return found


TOOLS = ("iptables", "ip6tables", "arptables", "ebtables")


def kernel_answer(spec: ClusterSpec, *more: str) -> list[str]:
    """What `KernelFact` reads on a node whose sysctls have their values."""
    return [*(f"sysctl {s.key} {s.value}" for s in kernel_model.sysctls(spec.node("w1"))), *more]


LEGACY = [f"alternative {tool} /usr/sbin/xtables-legacy-multi" for tool in TOOLS]


class TestKernel:
    def test_bare_nodes(self, run: Run, spec: ClusterSpec) -> None:
        nft = [f"alternative {tool} /usr/sbin/xtables-nft-multi" for tool in TOOLS]
        answer = kernel_answer(spec, "absent ip_vs", *nft)
        ran = run(kernel, {name: {"/proc/swaps": answer} for name in ("cp1", "w1")})
        commands = ran.commands("w1")
        assert commands[0].endswith("apt-get -qq -o DPkg::Lock::Timeout=180 update")
        assert commands[1].endswith(f"install -y --no-install-recommends {' '.join(PACKAGES)}")
        assert "cat > /etc/modules-load.d/kube-groundwork.conf.part" in commands[2]
        assert "cat > /etc/sysctl.d/99-z-kube-groundwork.conf.part" in commands[3]
        assert [c.split(".part")[0].rsplit("/")[-1] for c in commands[4:6]] == [
            "kube-groundwork-ipvs.service",
            "kube-groundwork-ipvs.timer",
        ]
        assert "net.ipv4.vs.conn_reuse_mode=1\n" in ran.done["w1"][4].stdin
        assert commands[6:9][-1].startswith("systemctl reset-failed kube-groundwork-ipvs.timer")
        assert "modprobe -a overlay br_netfilter" in commands[9]
        assert commands[10] == "sysctl --quiet --load /etc/sysctl.d/99-z-kube-groundwork.conf"
        assert commands[11:] == [f"update-alternatives --quiet --set {t} /usr/sbin/{t}-legacy" for t in TOOLS]
        assert "ip_vs_rr\n" in ran.done["w1"][2].stdin
        assert "net.ipv4.ip_forward = 1\n" in ran.done["w1"][3].stdin

    def test_second_run_changes_nothing(self, run: Run, spec: ClusterSpec) -> None:
        answer = kernel_answer(spec, *LEGACY)
        first = run(kernel, {name: {"/proc/swaps": answer} for name in ("cp1", "w1")})
        answers = {
            name: {
                "dpkg-query": [f"installed install {p}" for p in PACKAGES],
                "sha256sum": list(states_of(first, name).values()),
                "/proc/swaps": answer,
                "systemctl show": ["LoadState=loaded", "ActiveState=active", "UnitFileState=enabled"],
            }
            for name in ("cp1", "w1")
        }
        second = run(kernel, answers)
        assert second.commands("cp1") == []
        assert second.commands("w1") == []

    def test_swap_is_turned_off_for_good(self, run: Run, spec: ClusterSpec, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kernel_operations, "_confirm", lambda found, sysctls: None)
        swapping = kernel_answer(spec, *LEGACY, "swap /dev/vda2 partition 976 0 -2", "fstab UUID=1 none swap sw 0 0")
        commands = run(kernel, {"cp1": {"/proc/swaps": kernel_answer(spec, *LEGACY)}, "w1": {"/proc/swaps": swapping}})
        off = next(c for c in commands.commands("w1") if "swapoff -a" in c)
        assert "swap.target zramswap.service; do systemctl disable --quiet $unit; systemctl mask --quiet $unit" in off
        assert any("/etc/fstab" in c and c.startswith("sed") for c in commands.commands("w1"))
        assert not any("swapoff" in c for c in commands.commands("cp1"))

    def test_swap_that_comes_back_is_an_error(self, run: Run, spec: ClusterSpec) -> None:
        swapping = kernel_answer(spec, *LEGACY, "swap /dev/zram0 partition 976 0 -2")
        with pytest.raises(OperationError, match="still swaps to /dev/zram0"):
            run(kernel, {"cp1": {"/proc/swaps": kernel_answer(spec, *LEGACY)}, "w1": {"/proc/swaps": swapping}})

    def test_a_sysctl_that_does_not_hold_is_an_error(self, run: Run, spec: ClusterSpec) -> None:
        loose = [line.replace("all.rp_filter 1", "all.rp_filter 2") for line in kernel_answer(spec, *LEGACY)]
        with pytest.raises(OperationError, match=r"net\.ipv4\.conf\.all\.rp_filter is 2, wanted is 1"):
            run(kernel, {name: {"/proc/swaps": loose} for name in ("cp1", "w1")})


def fio_says(p99_ns: int) -> list[str]:
    """What `FioFact` reads after a measurement."""
    wal = {"jobs": [{"sync": {"lat_ns": {"percentile": {"99.000000": p99_ns}}}}]}
    read = {"jobs": [{"read": {"iops": 9000.0}}]}
    write = {"jobs": [{"write": {"clat_ns": {"mean": 200_000.0}}}]}
    jobs = [line for job in (wal, read, write) for line in ("##", *json.dumps(job, indent=2).splitlines())]
    return ["2026-11-24T12:00:00+00:00", *jobs]


class TestStorage:
    def test_a_blank_disk_is_formatted_mounted_and_measured(self, run: Run) -> None:
        ran = run(storage, {"cp1": {"date -Is": fio_says(2_000_000)}})
        commands = ran.commands("cp1")
        steps = [
            "mkfs.ext4 -q -L groundwork-etcd -U ",
            "var-lib-etcd.mount.part",
            "systemctl restart var-lib-etcd.mount",
            "install -d -m 700 -o etcd -g etcd /var/lib/etcd",
            "fio --name=wal",
            "etcd-disk.json.part",
        ]
        found = [next(i for i, c in enumerate(commands) if step in c) for step in steps]
        assert found == sorted(found)
        made = commands[found[0]]
        assert " /dev/nvme0n1 " in made
        assert " -F" not in made
        unit = ran.done["cp1"][found[1]].stdin
        assert f"What=/dev/disk/by-uuid/{made.split(' -U ')[1].split()[0]}\n" in unit
        assert "Options=noatime\n" in unit
        assert json.loads(ran.done["cp1"][found[-1]].stdin)["fsync_p99_ms"] == 2.0
        assert ran.commands("w1") == []

    def test_a_slow_disk_ends_the_run_with_its_figures(self, run: Run) -> None:
        with pytest.raises(OperationError, match=r"too slow: p99 of fdatasync 25\.00 ms, 9,000 random reads"):
            run(storage, {"cp1": {"date -Is": fio_says(25_000_000)}})

    def test_what_appeared_since_preflight_is_not_erased(self, run: Run) -> None:
        used = {**disks.answers(disks.disk()), "disk-signatures": ("/dev/nvme0n1,0x438,aaaa,old,ext4",)}
        with pytest.raises(OperationError, match=r"is not blank: it holds ext4\. Nothing was written to any disk"):
            run(storage, {"cp1": {DISKS: spoken(used)}})

    def test_second_run_changes_nothing(self, run: Run, spec: ClusterSpec) -> None:
        held = disks.held(spec, "cp1")
        first = run(storage, {"cp1": {"date -Is": fio_says(2_000_000)}})
        answers: dict[str | re.Pattern[str], object] = {
            SURVEY: surveyed(**{k.replace("-", "_"): v for k, v in held.items()}),
            DISKS: spoken(held),
            "dpkg-query": [f"installed install {p}" for p in STORAGE_PACKAGES],
            "sha256sum": list(states_of(first, "cp1").values()),
            "systemctl show": ["LoadState=loaded", "ActiveState=active", "UnitFileState=enabled"],
            "getent": ["user", "mode 700 etcd:etcd"],
            "etcd-disk.json": spoken({"disk-report": held["disk-report"]}),
        }
        assert run(storage, {"cp1": answers}).commands("cp1") == []

    def test_containers_keep_etcd_where_they_are(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(storage_model, "concerned", lambda spec, node: False)
        assert run(storage).commands("cp1")[-1] == "install -d -m 700 -o etcd -g etcd /var/lib/etcd"


V2 = ["id old", "cgroups cgroup2fs"]


class TestBoot:
    """cgroup v1 on nodes that boot with v2. The fake connector has one answer for a question, however often it is
    asked: what a node says after its reboot is told where the operation waits for it."""

    @pytest.fixture
    def rebooted(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        waited: list[str] = []
        monkeypatch.setattr(boot, "_await_reboot", waited.append)
        monkeypatch.setattr(boot, "_confirm", lambda: None)
        return waited

    def test_a_node_is_booted_once_with_v1(self, run: Run, spec: ClusterSpec, rebooted: list[str]) -> None:
        answer = kernel_answer(spec, *LEGACY)
        kernels = {name: {"/proc/swaps": answer} for name in ("cp1", "w1")}
        ran = run(kernel, {**kernels, "w1": {"boot_id": V2, "/proc/swaps": answer}})
        commands = ran.commands("w1")
        written = next(i for i, d in enumerate(ran.done["w1"]) if "99-kube-groundwork.cfg.part" in d.command)
        assert "systemd.unified_cgroup_hierarchy=0" in ran.done["w1"][written].stdin
        assert commands[written + 1] == "update-grub 2>&1"
        assert commands[written + 2].endswith("systemctl reboot")
        assert rebooted == ["old"]
        assert not any("reboot" in c or "grub" in c for c in ran.commands("cp1"))

    def test_a_killed_run_does_not_write_twice(self, run: Run, spec: ClusterSpec, rebooted: list[str]) -> None:
        answer = kernel_answer(spec, *LEGACY)
        ran = run(kernel, {n: {"boot_id": [*V2, "asks"], "/proc/swaps": answer} for n in ("cp1", "w1")})
        assert not any("grub" in c for c in ran.commands("w1"))
        assert len(rebooted) == 2

    def test_a_node_of_a_living_cluster_that_does_not_come_back_keeps_the_others_up(
        self, run: Run, spec: ClusterSpec, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waited: list[str] = []

        def fails(before: str) -> None:
            waited.append(before)
            raise OperationError("it did not come back")

        monkeypatch.setattr(boot, "_await_reboot", fails)
        answer = kernel_answer(spec, *LEGACY)
        living = {SURVEY: surveyed(kubelet=("10.0.0.11:6443",)), "boot_id": [*V2, "asks"], "/proc/swaps": answer}
        with pytest.raises(PyinfraError):
            run(kernel, {"cp1": living, "w1": living})
        assert len(waited) == 1


class TestRuntime:
    @pytest.mark.parametrize(
        ("answer", "wanted"),
        [
            ([], ["update", "install -y --no-install-recommends containerd runc", "hold containerd runc"]),
            (["installed install containerd", "installed hold runc"], ["hold containerd"]),
            (["installed hold containerd", "installed hold runc"], []),
        ],
    )
    def test_containerd_is_installed_and_held(self, run: Run, answer: list[str], wanted: list[str]) -> None:
        commands = [c for c in run(runtime, {"w1": {"dpkg-query": answer}}).commands("w1") if "apt-" in c]
        assert len(commands) == len(wanted)
        assert all(part in command for command, part in zip(commands, wanted, strict=True))

    def test_a_program_is_verified_before_it_is_moved(self, run: Run) -> None:
        commands = run(runtime).commands("w1")
        about = [c for c in commands if "/kubelet-v1.15.12-" in c]
        fetched, verified, moved = (
            next(i for i, c in enumerate(about) if part in c) for part in ("curl", "sha256sum", "mv -T")
        )
        assert fetched < verified < moved
        assert "http://10.0.0.1:8080/kubelet" in about[fetched]

    def test_workers_get_no_images_of_the_control_plane(self, run: Run) -> None:
        ran = run(runtime)
        assert not any("kube-apiserver" in c for c in ran.commands("w1"))
        assert any("images import" in c and "kube-apiserver" in c for c in ran.commands("cp1"))

    def test_containerd_starts_before_images_are_imported(self, run: Run) -> None:
        commands = run(runtime).commands("w1")
        started = next(i for i, c in enumerate(commands) if "restart containerd" in c)
        assert started < next(i for i, c in enumerate(commands) if "images import" in c)


HEALTHY = "https://10.0.0.11:2379 is healthy: successfully committed proposal: took = 2ms"


class TestEtcd:
    def test_keys_travel_on_standard_input(self, run: Run) -> None:
        ran = run(etcd, {"cp1": {"base64 -w 0": "c2VjcmV0", "endpoint health": HEALTHY}})
        unpacked = next(d for d in ran.done["cp1"] if "base64 -d" in d.command)
        assert unpacked.stdin == "c2VjcmV0"
        assert not any("c2VjcmV0" in c for c in ran.commands("cp1"))

    def test_a_node_that_is_no_member_is_left_alone(self, run: Run) -> None:
        assert run(etcd, {"cp1": {"base64 -w 0": "x", "endpoint health": HEALTHY}}).commands("w1") == []

    def test_a_member_that_does_not_commit_ends_the_run(self, run: Run) -> None:
        answers = {"cp1": {"base64 -w 0": "x", "endpoint health": "context deadline exceeded"}}
        with pytest.raises(OperationError, match="etcd on cp1 is not healthy after 120 s: context deadline"):
            run(etcd, answers)


class TestWorkers:
    @pytest.mark.parametrize(("said", "restarted"), [(("iptables",), True), (("ipvs",), False), ((), False)])
    def test_a_proxy_that_fell_back_starts_anew(self, run: Run, said: tuple[str, ...], restarted: bool) -> None:
        member: Responses = {
            "proxyMode": spoken({"proxy-mode": said}),
            "answer": ["credentials", "answer 200", "active"],
        }
        commands = run(workers, {"w1": member}).commands("w1")
        assert commands == (["pkill -x kube-proxy"] if restarted else [])
