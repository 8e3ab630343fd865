"""The cluster of the current kubeconfig, for tests that are marked ``cluster``.

Without one they are skipped, and say so; with ``SLUICE_CLUSTER=required`` they fail.
"""

import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator
from typing import NoReturn

import pytest

from sluice.errors import SluiceError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import NAMESPACE


async def reach() -> KubeClient:
    """A client of the cluster that answers; otherwise the test is skipped or fails."""
    try:
        client = KubeClient.connect(qps=50)
        await client.version()
    except SluiceError as error:
        unavailable(f"no cluster: {error}")
    return client


def unavailable(reason: str) -> NoReturn:
    """What the test needs is not there: it is skipped and says so, or fails where it must run."""
    if os.environ.get("SLUICE_CLUSTER") == "required":
        pytest.fail(f"{reason}; SLUICE_CLUSTER=required")
    pytest.skip(reason)


PYTHON_IMAGE = "python:3.11-slim-bookworm"
"""What pods of tests run."""


@pytest.fixture(scope="session")
def python_image() -> str:
    """An image with Python that every node of a kind cluster has."""
    context = subprocess.run(
        ["kubectl", "config", "current-context"], capture_output=True, text=True, check=False
    ).stdout.strip()
    if shutil.which("kind") and context.startswith("kind-"):
        name = context.removeprefix("kind-")
        subprocess.run(
            ["kind", "load", "docker-image", "--name", name, PYTHON_IMAGE],
            check=True,
            capture_output=True,
            timeout=180,
        )
    return PYTHON_IMAGE


@pytest.fixture
async def kube() -> AsyncIterator[KubeClient]:
    """A client of the cluster."""
    client = await reach()
    yield client
    await client.close()


@pytest.fixture
async def namespace(kube: KubeClient) -> AsyncIterator[str]:
    """A namespace of the test's own; deleted after it."""
    name = f"kube-{uuid.uuid4().hex[:8]}"
    labels = {"sluice.dev/tests": "true"}
    await kube.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    )
    yield name
    await kube.delete(NAMESPACE, name, None)
