"""Several namespaces behind one router."""

from typing import Any

from tests.unit.cluster.world import World, release

from sluice.cluster.hosts import assign, with_hosts


def made(name: str, namespace: str, age: int, **spec: Any) -> dict[str, Any]:
    obj = release("1", name=name, namespace=namespace, **spec)
    obj["metadata"]["creationTimestamp"] = f"2026-01-01T00:00:{age:02d}Z"
    return obj


def test_the_older_release_keeps_the_bare_name() -> None:
    found = assign([made("taxi", "b", 2), made("taxi", "a", 1)])
    assert "taxi" in found["a/taxi"].live
    assert "taxi" not in found["b/taxi"].live
    assert "taxi.b" in found["b/taxi"].live
    assert found["b/taxi"].taken == ()


def test_given_hosts_are_added_and_a_taken_one_is_said() -> None:
    traffic = {"hosts": ["fares.example", "Both.example"]}
    found = assign(
        [
            made("bus", "b", 2, traffic=traffic),
            made("taxi", "a", 1, traffic={"hosts": ["both.example"]}),
        ]
    )
    assert found["b/bus"].live[0] == "fares.example"
    assert "Both.example" not in found["b/bus"].live
    assert found["b/bus"].taken == (("Both.example", "a/taxi"),)


def test_previews_get_hosts_of_their_own_where_none_are_given() -> None:
    own = made("taxi", "a", 1, strategy={"blueGreen": {}})
    given = made("bus", "a", 2, strategy={"blueGreen": {"preview": {"hosts": ["try.example"]}}})
    found = assign([own, given])
    preview = with_hosts(own, found["a/taxi"])["spec"]["strategy"]["blueGreen"]["preview"]
    assert preview["hosts"] == [
        "preview.taxi.a",
        "preview.taxi.a.svc",
        "preview.taxi.a.svc.cluster.local",
        "preview.taxi",
    ]
    kept = with_hosts(given, found["a/bus"])["spec"]["strategy"]["blueGreen"]["preview"]
    assert kept["hosts"] == ["try.example"]


async def test_a_conflict_is_said_in_the_status_and_ends_with_the_older_release() -> None:
    world = World()
    await world.begin()
    first = release("1", name="taxi", namespace="a", traffic={"hosts": ["fares"]})
    second = release("1", name="taxi", namespace="b", traffic={"hosts": ["fares"]})
    for obj in (first, second):
        del obj["spec"]["policyRef"]
        await world.apply(obj)
        await world.seconds(3)
    notices = (await world.status("taxi", "b"))["notices"]
    assert notices == [
        "host fares belongs to release a/taxi, which is older: requests for it go there"
    ]
    assert "fares" not in world.lead.loop.status("b/taxi").hosts
    await world.delete("taxi", "a")
    await world.seconds(3)
    assert "fares" in world.lead.loop.status("b/taxi").hosts
    assert (await world.status("taxi", "b"))["notices"] == []
