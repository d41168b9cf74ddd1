"""The lab, as CI uses it: whatever machines GROUNDWORK_LAB describes, exactly as inventories/lab.py has them."""

from inventories.lab import control_plane, etcd, ingress, workers

__all__ = ["control_plane", "etcd", "ingress", "workers"]
