"""A controller's platform on an API server in memory."""

from collections.abc import AsyncIterator

import pytest
from tests.support.kube import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.start()
    yield world
    await world.stop()
