from collections.abc import AsyncIterator, Iterator

import pytest
from tests.contract.dataplane.rigs import MemoryRig, Rig, envoy_rig
from tests.contract.dataplane.support import EnvoyProcess, envoy_process


@pytest.fixture(scope="module")
def envoy() -> Iterator[EnvoyProcess]:
    with envoy_process(capture_per_s=10_000) as process:
        yield process


@pytest.fixture(params=["memory", "envoy"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    if request.param == "memory":
        yield MemoryRig()
        return
    async with envoy_rig(request.getfixturevalue("envoy")) as rig:
        yield rig
