"""The three machines of the Vagrantfile (`vagrant up` makes them)."""

from pathlib import Path

from groundwork.spec import Artefacts, Calico, Dns, Ingress, Node, define
from lab.spec import bundle_directory

_machines = Path(__file__).resolve().parent.parent / ".vagrant" / "machines"


def _node(name: str, address: str) -> Node:
    key = _machines / name / "libvirt" / "private_key"
    # Vagrant makes a new host key with every machine.
    ssh = {"ssh_user": "vagrant", "ssh_key": str(key), "ssh_strict_host_key_checking": "accept-new"}
    return Node(name=name, address=address, ssh=ssh)


_cp1 = _node("cp1", "192.168.56.11")
_w1 = _node("w1", "192.168.56.12")
_w2 = _node("w2", "192.168.56.13")

_cluster = define(
    name="vagrant",
    control_plane=[_cp1],
    workers=[_w1, _w2],
    etcd_members=[_cp1, _w1, _w2],
    ingress_nodes=[_w1, _w2],
    ingress=Ingress(version="0.33.0-20200630"),
    calico=Calico(release="v3.28.5"),
    dns=Dns(version="1.6.2"),
    artefacts=Artefacts(source="bundle", directory=bundle_directory()),
)

control_plane = _cluster.hosts("control_plane")
workers = _cluster.hosts("workers")
etcd = _cluster.hosts("etcd")
ingress = _cluster.hosts("ingress")
