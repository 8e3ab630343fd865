"""What kopf is asked to do, and what is handed on of what it says."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import kopf
import pytest
from structlog.testing import capture_logs

from sluice_controller import watching
from sluice_controller.watching import KINDS, Watching, registry_for, settings_for


class Told:
    """A leadership that only listens."""

    def __init__(self) -> None:
        self.put_: list[str] = []
        self.dropped: list[tuple[str, str]] = []
        self.anything = asyncio.Event()

    def put(self, obj: Mapping[str, Any]) -> None:
        self.put_.append(f"{obj['apiVersion']} {obj['kind']} {obj['metadata']['name']}")
        self.anything.set()

    def drop(self, kind: str, key: str) -> None:
        self.dropped.append((kind, key))
        self.anything.set()


def handlers(registry: kopf.OperatorRegistry) -> dict[str, Any]:
    """Handlers of events by the plural that they are for."""
    found = registry._watching.get_all_handlers()
    return {str(item.id).split("/")[0]: item for item in found}


def event(kind: str | None, name: str) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"namespace": "ml", "name": name}}}


def test_every_kind_is_watched_and_changes_are_handed_on() -> None:
    told = Told()
    registry = registry_for(put=told.put, drop=told.drop)
    found = handlers(registry)
    assert found.keys() == {kind.plural for kind in KINDS}
    found["releases"].fn(event=event(None, "taxi"), logger=None)
    found["configmaps"].fn(event=event("MODIFIED", "slos"))
    found["releasepolicies"].fn(event=event("DELETED", "strict"))
    assert told.put_ == ["sluice.dev/v1alpha1 Release taxi", "v1 ConfigMap slos"]
    assert told.dropped == [("ReleasePolicy", "ml/strict")]


def test_everything_but_watching_is_off() -> None:
    settings = settings_for()
    assert settings.posting.enabled is False
    assert settings.peering.standalone is True
    assert settings.scanning.disabled is True
    assert list(settings.watching.label_selectors.values()) == ["sluice.dev/slo=true"]


@pytest.mark.parametrize(
    ("namespaces", "clusterwide", "named"),
    [
        pytest.param((None,), True, [], id="all"),
        pytest.param(("a", "b"), False, ["a", "b"], id="some"),
    ],
)
async def test_the_operator_is_told_where_to_watch_and_who_it_is(
    monkeypatch: pytest.MonkeyPatch,
    namespaces: tuple[str | None, ...],
    clusterwide: bool,
    named: list[str],
) -> None:
    given: dict[str, Any] = {}
    called = threading.Event()

    async def operator(**asked: Any) -> None:
        given.update(asked)
        called.set()
        await asyncio.to_thread(asked["stop_flag"].wait)

    monkeypatch.setattr(watching.kopf, "operator", operator)
    following = asyncio.create_task(Watching(namespaces).follow(Told()))  # type: ignore[arg-type]
    assert await asyncio.to_thread(called.wait, 10)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert given["stop_flag"].is_set()
    assert (given["clusterwide"], given["namespaces"]) == (clusterwide, named)
    # Without it kopf asks for the name of the user, and a container's user has none.
    assert given["identity"]


async def test_a_watch_that_breaks_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_PAUSE_S", 0.01)
    told = Told()
    calls = 0

    async def operator(*, registry: kopf.OperatorRegistry, **asked: Any) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise OSError("connection refused")
        handlers(registry)["releases"].fn(event=event("ADDED", "taxi"))
        await asyncio.to_thread(asked["stop_flag"].wait)

    monkeypatch.setattr(watching.kopf, "operator", operator)
    with capture_logs() as logs:
        following = asyncio.create_task(Watching((None,)).follow(told))  # type: ignore[arg-type]
        await asyncio.wait_for(told.anything.wait(), 10)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert [item["event"] for item in logs] == ["watch.broken", "watch.broken"]
    assert told.put_ == ["sluice.dev/v1alpha1 Release taxi"]
