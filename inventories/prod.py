"""A production cluster. Replace names and addresses; what is left out has the defaults of groundwork/spec.py."""

from groundwork.spec import Artefacts, Node, define

# The user needs sudo without a password. Host keys are checked against your known_hosts.
_ssh = {"ssh_user": "admin", "ssh_strict_host_key_checking": "yes"}

# etcd takes the one NVMe namespace of a member that is blank. Where there are several, or to be sure:
# Node(..., etcd_device="/dev/disk/by-id/nvme-MODEL_SERIAL").
_cp1 = Node(name="cp1", address="192.168.10.11", ssh=_ssh)
_w1 = Node(name="w1", address="192.168.10.21", ssh=_ssh)
_w2 = Node(name="w2", address="192.168.10.22", ssh=_ssh)

_cluster = define(
    name="prod",
    control_plane=[_cp1],
    workers=[_w1, _w2],
    etcd_members=[_cp1, _w1, _w2],
    ingress_nodes=[_w1, _w2],
    # The official programs of v1.15.12 have pins; images, etcd and calicoctl have none that we could check. Make
    # a bundle (python -m lab artefacts), or give the sums that you trust: artefacts.sha256={"etcd": "...", ...}.
    artefacts=Artefacts(source="bundle", directory="/srv/kube-groundwork/bundle"),
)

control_plane = _cluster.hosts("control_plane")
workers = _cluster.hosts("workers")
etcd = _cluster.hosts("etcd")
ingress = _cluster.hosts("ingress")
