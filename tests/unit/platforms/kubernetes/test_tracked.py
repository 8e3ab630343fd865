"""Content of tracked config."""

import base64
from typing import Any

import pytest

from sluice.errors import SpecError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import CONFIG_MAP, SECRET
from sluice.platforms.kubernetes.extras import TrackedConfig
from sluice.platforms.kubernetes.tracked import TrackedReader
from sluice.testing.kube import MemoryApi


@pytest.fixture
async def client() -> KubeClient:
    client = MemoryApi().client()
    await client.create(CONFIG_MAP.new("limits", "ml", data={"a": "1"}))
    await client.create(SECRET.new("key", "ml", data={"token": encoded("x")}))
    return client


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def read(client: KubeClient, **names: Any) -> TrackedConfig:
    names = {"config_maps": ["limits"], "secrets": ["key"]} | names
    return await TrackedReader(client).read("ml/taxi", "ml", **names)


async def test_content_is_copied_and_secrets_are_only_hashed(client: KubeClient) -> None:
    found = await read(client)
    assert found.config_maps == {"limits": {"data": {"a": "1"}}}
    assert len(found.secrets_hash) == 32
    assert encoded("x") not in repr(found)


async def test_nothing_tracked_has_no_digest(client: KubeClient) -> None:
    assert await read(client, config_maps=[], secrets=[]) == TrackedConfig()


async def test_same_content_has_the_same_digest(client: KubeClient) -> None:
    first = await read(client)
    await client.patch(CONFIG_MAP, "limits", "ml", {"metadata": {"labels": {"a": "b"}}})
    await client.delete(SECRET, "key", "ml")
    await client.create(SECRET.new("key", "ml", data={"token": encoded("x")}))
    assert await read(client) == first


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        pytest.param(CONFIG_MAP, "limits", {"data": {"a": "2"}}, id="config"),
        pytest.param(CONFIG_MAP, "limits", {"binaryData": {"b": "eA=="}}, id="binary"),
        pytest.param(SECRET, "key", {"data": {"token": encoded("y")}}, id="secret"),
    ],
)
async def test_other_content_has_another_digest(
    client: KubeClient, kind: Any, name: str, change: dict[str, Any]
) -> None:
    reader = TrackedReader(client)
    names: dict[str, Any] = {"config_maps": ["limits"], "secrets": ["key"]}
    first = await reader.read("ml/taxi", "ml", **names)
    await client.patch(kind, name, "ml", change)
    assert (await reader.read("ml/taxi", "ml", **names)).digest != first.digest


async def test_hash_of_secrets_says_nothing_across_releases(client: KubeClient) -> None:
    reader = TrackedReader(client)
    one = await reader.read("ml/taxi", "ml", config_maps=[], secrets=["key"])
    other = await reader.read("ml/fare", "ml", config_maps=[], secrets=["key"])
    assert one.secrets_hash != other.secrets_hash


async def test_everything_that_is_missing_is_named(client: KubeClient) -> None:
    with pytest.raises(SpecError) as caught:
        await read(client, config_maps=["limits", "nobody"], secrets=["none"])
    paths = [fault.path for fault in caught.value.faults]
    assert paths == ["spec.tracked.configMaps[1]", "spec.tracked.secrets[0]"]
    assert "there is no ConfigMap 'nobody' in namespace ml" in str(caught.value)
