"""A namespace of a real cluster for each test; see ``tests/support/cluster.py``."""

from tests.support.cluster import kube, namespace

__all__ = ["kube", "namespace"]
