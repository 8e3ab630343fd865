"""The cluster of the current kubeconfig, for tests that are marked ``cluster``.

Without one they are skipped, and say so; with ``SLUICE_CLUSTER=required`` they fail.
"""

import os
import uuid
from collections.abc import AsyncIterator

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
        reason = f"no cluster: {error}"
        if os.environ.get("SLUICE_CLUSTER") == "required":
            pytest.fail(f"{reason}; SLUICE_CLUSTER=required")
        pytest.skip(reason)
    return client


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
