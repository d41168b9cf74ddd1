"""Desired state that pyinfra itself has no operation for."""
