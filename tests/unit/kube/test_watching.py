"""A cache that follows falls behind, loses its server, and goes on."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sluice.errors import RefusedError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import CONFIG_MAP
from sluice.kube.watching import Watched
from sluice.testing.kube import MemoryApi

pytestmark = pytest.mark.looptime


@pytest.fixture
def api() -> MemoryApi:
    return MemoryApi()


@pytest.fixture
def client(api: MemoryApi) -> KubeClient:
    return api.client()


@pytest.fixture
async def seen(client: KubeClient) -> AsyncIterator[Watched]:
    await client.create(CONFIG_MAP.new("a", "ml"))
    async with client.watch(CONFIG_MAP, "ml") as watched:
        await watched.wait_synced()
        yield watched


def names(seen: Watched) -> list[str]:
    return sorted(name for _, name in seen.objects())


async def test_ended_watch_goes_on_where_it_was(
    api: MemoryApi, client: KubeClient, seen: Watched
) -> None:
    lists = api.calls.count("GET /api/v1/namespaces/ml/configmaps")
    api.break_watches()
    await client.create(CONFIG_MAP.new("b", "ml"))
    await asyncio.sleep(1)
    assert names(seen) == ["a", "b"]
    assert api.calls.count("GET /api/v1/namespaces/ml/configmaps") == lists, "no list anew"


async def test_watch_that_has_fallen_behind_lists_again(
    api: MemoryApi, client: KubeClient, seen: Watched
) -> None:
    api.break_watches()
    await client.delete(CONFIG_MAP, "a", "ml")
    await client.create(CONFIG_MAP.new("b", "ml"))
    api.store.compact()
    version = seen.version
    await asyncio.sleep(2)
    assert names(seen) == ["b"]
    assert seen.version > version


async def test_bookmark_keeps_a_quiet_watch_from_falling_behind(
    api: MemoryApi, client: KubeClient, seen: Watched
) -> None:
    await client.create(CONFIG_MAP.new("elsewhere", "other"))
    api.bookmark()
    await asyncio.sleep(1)
    lists = api.calls.count("GET /api/v1/namespaces/ml/configmaps")
    api.store.compact()
    api.break_watches()
    await asyncio.sleep(2)
    assert api.calls.count("GET /api/v1/namespaces/ml/configmaps") == lists


async def test_age_grows_while_the_server_is_silent(api: MemoryApi, seen: Watched) -> None:
    api.bookmark()
    await asyncio.sleep(50)
    assert seen.age_s == pytest.approx(50, abs=1)
    api.bookmark()
    await asyncio.sleep(1)
    assert seen.age_s == pytest.approx(1, abs=0.5)


async def test_server_that_cannot_be_reached_leaves_what_was_seen(
    api: MemoryApi, client: KubeClient, seen: Watched
) -> None:
    api.bookmark()
    await asyncio.sleep(1)
    api.unreachable = "connection refused"
    api.break_watches()
    await asyncio.sleep(120)
    assert names(seen) == ["a"]
    assert "connection refused" in seen.problem
    assert seen.age_s > 100
    api.unreachable = ""
    await client.create(CONFIG_MAP.new("b", "ml"))
    await asyncio.sleep(11)
    assert names(seen) == ["a", "b"]
    assert seen.problem == ""


async def test_a_listing_that_is_not_allowed_says_so(api: MemoryApi, client: KubeClient) -> None:
    message = 'configmaps is forbidden: User "u" cannot list resource "configmaps" in API group ""'
    api.refuse("GET", CONFIG_MAP, 403, f'{message} in the namespace "ml"', times=1_000)
    async with client.watch(CONFIG_MAP, "ml") as watched:
        with pytest.raises(RefusedError, match="account u may not list configmaps in namespace ml"):
            await watched.wait_synced(5.0)


async def test_refused_watch_is_tried_again_with_growing_pauses(
    api: MemoryApi, client: KubeClient
) -> None:
    api.refuse("GET", CONFIG_MAP, 503, "not now", times=1_000)
    async with client.watch(CONFIG_MAP, "ml"):
        await asyncio.sleep(60)
    assert 6 <= len(api.calls) <= 15


async def test_waiting_for_a_change_that_is_there_already_returns_at_once(seen: Watched) -> None:
    assert await seen.wait_change(seen.version - 1) == seen.version
