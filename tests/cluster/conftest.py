"""A namespace of a real cluster for each test; see ``tests/support/cluster.py``."""

from tests.support.cluster import kube, namespace, python_image

__all__ = ["kube", "namespace", "python_image"]
