"""The Vagrantfile, as far as it can be proven without KVM: vagrant and its libvirt provider accept it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab import host
from tests.lab.conftest import ROOT

pytestmark = pytest.mark.lab


PROVIDER = Path("/usr/share/vagrant-plugins/plugins.d/vagrant-libvirt.json")


def test_vagrant_accepts_it() -> None:
    if not PROVIDER.exists():
        host.run("apt-get", "update", "-qq")
        host.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "vagrant", "vagrant-libvirt")
    given = {**os.environ, "VAGRANT_DEFAULT_PROVIDER": "libvirt"}
    done = subprocess.run(["vagrant", "validate"], cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Vagrantfile validated successfully" in done.stdout
