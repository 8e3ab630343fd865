"""Where a program that checks a candidate runs."""

from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.kube import World, workload

from sluice.cluster.revisions import Cluster
from sluice.cluster.settings import Settings
from sluice.nouns import Job


def job(revision: str) -> Job:
    env = {
        "SLUICE_NAMESPACE": "ml",
        "SLUICE_RELEASE": "taxi",
        "SLUICE_REVISION": revision,
    }
    return Job(id="ml/taxi/1/smoke", command=("check",), env=env, timeout_ms=1_000)


@pytest.fixture
def world() -> World:
    return World()


async def test_check_runs_like_the_candidates_own_pods(world: World) -> None:
    described: Any = world.describe
    settings: Settings = SimpleNamespace(namespaces=(None,))  # type: ignore[assignment]  # all it reads
    cluster = Cluster(settings, world.client, described, world.clock)
    await cluster.start()
    try:
        assert cluster.place(job("v1")) is None, "it does not run"
        await cluster.platform.scale(workload("v1", serviceAccountName="fares"), 1)
        place = cluster.place(job("v1"))
        assert place is not None
        assert (place.namespace, place.image) == ("ml", "model:1")
        assert place.pod == {"serviceAccountName": "fares"}
        assert place.owner is not None
        assert (place.owner["kind"], place.owner["controller"]) == ("Release", False)
    finally:
        await cluster.close()
