"""A namespace of a real cluster for each test, and the installed Sluice for those that need it."""

import subprocess

import pytest
from tests.cluster.system import CONTROLLER, SYSTEM, System
from tests.support.cluster import kube, namespace, python_image, unavailable

__all__ = ["kube", "namespace", "python_image", "system"]


@pytest.fixture(scope="session")
def system() -> System:
    """The installed Sluice, and a pod that makes load."""
    ran = subprocess.run(
        ["kubectl", "-n", SYSTEM, "rollout", "status", CONTROLLER, "--timeout=120s"],
        capture_output=True, text=True,
    )  # fmt: skip
    if ran.returncode != 0:
        unavailable(f"Sluice is not installed (`make cluster images install`): {ran.stderr}")
    found = System()
    found.prepare()
    return found
