"""Users and their revision: Envoy's choice is the one that is computed offline."""

from functools import partial

from tests.contract.dataplane.rigs import EnvoyRig, envoy_rig, fragment
from tests.contract.dataplane.support import EnvoyProcess, Reply

from sluice.dataplanes.assignment import revision_for
from sluice.nouns import BP_TOTAL, Arm, RevisionId, Routing, Sticky

V1, V2, V3 = RevisionId("v1"), RevisionId("v2"), RevisionId("v3")


async def start(rig: EnvoyRig, sticky: Sticky, **weights: int) -> Routing:
    arms = tuple(Arm(revision=RevisionId(name), weight_bp=bp) for name, bp in weights.items())
    value = Routing(
        release="sticky", generation=1, arms=arms, hosts=("sticky.test",), sticky=sticky
    )
    endpoints = {name: await rig.endpoints(name) for name in weights}
    await rig.plane.apply(fragment(value, endpoints))
    return value


async def ask(rig: EnvoyRig, headers: list[dict[str, str]]) -> list[Reply]:
    return await rig.users.ask_all(
        [partial(rig.users.ask, "sticky.test", headers=item) for item in headers]
    )


def version(reply: Reply) -> str:
    return reply.headers["x-sluice-version"]


async def test_two_thousand_users_get_the_revision_that_is_computed(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        sticky = Sticky(header="x-user-id", cookie="sluice_uid", salt="sticky:3")
        value = await start(rig, sticky, v3=700, v2=2_500, v1=6_800)
        users = [f"user {index}/ü" if index % 2 else str(index) for index in range(2_000)]
        replies = await ask(rig, [{"x-user-id": user} for user in users])
        expected = [revision_for(user, value) for user in users]
        assert [version(reply) for reply in replies] == expected
        assert set(expected) == {V1, V2, V3}
        assert not any("set-cookie" in reply.headers for reply in replies)


async def test_a_visitor_is_given_a_cookie_and_stays_where_it_says(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        sticky = Sticky(header="x-user-id", cookie="sluice_uid", salt="sticky:4")
        value = await start(rig, sticky, v2=5_000, v1=5_000)
        first = await ask(rig, [{"x-request-id": "injected"}] * 200)
        cookies = [reply.headers["set-cookie"].split(";")[0] for reply in first]
        names = [cookie.removeprefix("sluice_uid=") for cookie in cookies]
        assert len(set(names)) == 200
        assert "injected" not in names
        again = await ask(rig, [{"cookie": f"a=1; {cookie}; z=2"} for cookie in cookies])
        assert not any("set-cookie" in reply.headers for reply in again)
        expected = [revision_for(name, value) for name in names]
        assert [version(reply) for reply in first] == expected
        assert [version(reply) for reply in again] == expected


async def test_a_cookie_of_a_similar_name_is_not_the_users(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        await start(rig, Sticky(cookie="uid", salt="s"), v2=BP_TOTAL, v1=0)
        (reply,) = await ask(rig, [{"cookie": "otheruid=7; x=y"}])
        assert reply.headers["set-cookie"].startswith("uid=")


def test_another_salt_draws_other_users() -> None:
    users = [str(index) for index in range(1_000)]
    arms = (Arm(revision=V2, weight_bp=1_000), Arm(revision=V1, weight_bp=9_000))
    drawn = []
    for salt in ("a:1", "a:2"):
        sticky = Sticky(header="x-user-id", salt=salt)
        value = Routing(release="x", generation=1, arms=arms, hosts=("x",), sticky=sticky)
        drawn.append({user for user in users if revision_for(user, value) == V2})
    assert 70 < len(drawn[0]) < 130
    assert len(drawn[0] & drawn[1]) < 30  # 10 expected of independent draws
