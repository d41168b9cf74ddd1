"""Each phase on bare nodes does exactly this, in this order; on nodes that are as wanted it does nothing."""

from __future__ import annotations

import hashlib
import re

import pytest
from pyinfra.api import OperationError

from deploys.etcd import etcd
from deploys.kernel import PACKAGES, kernel
from deploys.runtime import runtime
from deploys.storage import storage
from groundwork import kernel as kernel_model
from groundwork.spec import ClusterSpec
from tests.deploys.conftest import Ran, Run


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
        assert "modprobe -a overlay br_netfilter" in commands[4]
        assert commands[5] == "sysctl --quiet --load /etc/sysctl.d/99-z-kube-groundwork.conf"
        assert commands[6:] == [f"update-alternatives --quiet --set {t} /usr/sbin/{t}-legacy" for t in TOOLS]
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
            }
            for name in ("cp1", "w1")
        }
        second = run(kernel, answers)
        assert second.commands("cp1") == []
        assert second.commands("w1") == []

    def test_swap_is_turned_off_for_good(self, run: Run, spec: ClusterSpec) -> None:
        swapping = kernel_answer(spec, *LEGACY, "swap /dev/vda2 partition 976 0 -2", "fstab UUID=1 none swap sw 0 0")
        commands = run(kernel, {"cp1": {"/proc/swaps": kernel_answer(spec, *LEGACY)}, "w1": {"/proc/swaps": swapping}})
        assert any(c.startswith("swapoff -a") for c in commands.commands("w1"))
        assert any("/etc/fstab" in c and c.startswith("sed") for c in commands.commands("w1"))
        assert not any("swapoff" in c for c in commands.commands("cp1"))

    def test_a_sysctl_that_does_not_hold_is_an_error(self, run: Run, spec: ClusterSpec) -> None:
        loose = [line.replace("all.rp_filter 1", "all.rp_filter 2") for line in kernel_answer(spec, *LEGACY)]
        with pytest.raises(OperationError, match=r"net\.ipv4\.conf\.all\.rp_filter is 2, wanted is 1"):
            run(kernel, {name: {"/proc/swaps": loose} for name in ("cp1", "w1")})


class TestStorage:
    def test_only_members_of_etcd_get_a_directory(self, run: Run) -> None:
        ran = run(storage)
        assert ran.commands("cp1")[-1] == "install -d -m 700 -o etcd -g etcd /var/lib/etcd"
        assert ran.commands("w1") == []

    def test_second_run_changes_nothing(self, run: Run) -> None:
        assert run(storage, {"cp1": {"getent": ["user", "mode 700 etcd:etcd"]}}).commands("cp1") == []


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
