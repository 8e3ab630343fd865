"""Users and their revision: Envoy's choice is the one that is computed offline."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from tests.contract.dataplane.rigs import EnvoyRig, envoy_rig, fragment
from tests.contract.dataplane.support import EnvoyProcess, Reply, eventually

from sluice.dataplanes.assignment import revision_for
from sluice.nouns import BP_TOTAL, Arm, Match, Purpose, RevisionId, Routing, Sticky

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


def name_of(index: int) -> str:
    return f"user {index}/ü" if index % 2 else str(index)


def as_header(index: int) -> dict[str, str]:
    # The cookie is another user's: the header is looked at first, and ends the search.
    return {"x-user-id": name_of(index), "cookie": f"sluice_uid={index + 7}"}


def as_cookie(index: int) -> dict[str, str]:
    return {"cookie": f"theme={index}; sluice_uid={index}; lang=de"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "weights",
    [{"v2": 2_500, "v1": 7_500}, {"v3": 700, "v2": 2_500, "v1": 6_800}],
    ids=["two-arms", "three-arms"],
)
@pytest.mark.parametrize(
    ("sticky", "request_of", "user_of"),
    [
        pytest.param(
            Sticky(header="x-user-id", salt="sticky:1"),
            as_header,
            name_of,
            id="header",
        ),
        pytest.param(Sticky(cookie="sluice_uid", salt="sticky:2"), as_cookie, str, id="cookie"),
        pytest.param(
            Sticky(header="x-user-id", cookie="sluice_uid", salt="sticky:3"),
            as_header,
            name_of,
            id="header-before-cookie",
        ),
        pytest.param(
            Sticky(header="x-user-id", cookie="sluice_uid", salt="sticky:4"),
            as_cookie,
            str,
            id="cookie-without-header",
        ),
    ],
)
async def test_ten_thousand_users_get_the_revision_that_is_computed(
    envoy: EnvoyProcess,
    sticky: Sticky,
    request_of: Callable[[int], dict[str, str]],
    user_of: Callable[[int], str],
    weights: dict[str, int],
) -> None:
    async with envoy_rig(envoy) as rig:
        value = await start(rig, sticky, **weights)
        replies = await ask(rig, [request_of(index) for index in range(10_000)])
        expected = [revision_for(user_of(index), value) for index in range(10_000)]
        assert [version(reply) for reply in replies] == expected
        for arm in value.live:
            share = expected.count(arm.revision) / 10_000
            assert share == pytest.approx(arm.weight_bp / BP_TOTAL, abs=0.01)
        assert not any("set-cookie" in reply.headers for reply in replies)


async def test_a_tester_gets_the_arm_he_asks_for_and_keeps_his_own_otherwise(
    envoy: EnvoyProcess,
) -> None:
    async with envoy_rig(envoy) as rig:
        sticky = Sticky(header="x-user-id", cookie="sluice_uid", salt="sticky:6")
        value = await start(rig, sticky, v3=3_000, v2=3_000, v1=4_000)
        forced = tuple(
            Arm(
                revision=arm.revision,
                purpose=Purpose.FORCED,
                match=Match(header="x-sluice-arm", value=name),
            )
            for name, arm in zip(("b", "candidate", "stable"), value.live, strict=True)
        )
        value = replace(value, generation=2, arms=(*value.arms, *forced))
        endpoints = {arm.revision: await rig.endpoints(arm.revision) for arm in value.live}
        await rig.plane.apply(fragment(value, endpoints))
        users = [{"x-user-id": str(index)} for index in range(60)]
        for name, revision in (("b", V3), ("candidate", V2), ("stable", V1)):
            replies = await ask(rig, [{**user, "x-sluice-arm": name} for user in users])
            assert {version(reply) for reply in replies} == {revision}
        expected = [revision_for(user["x-user-id"], value) for user in users]
        assert [version(reply) for reply in await ask(rig, users)] == expected
        unknown = await ask(rig, [{**user, "x-sluice-arm": "gone"} for user in users])
        assert [version(reply) for reply in unknown] == expected


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


async def test_a_visitor_with_cookies_of_others_stays_where_the_first_answer_came_from(
    envoy: EnvoyProcess,
) -> None:
    async with envoy_rig(envoy) as rig:
        sticky = Sticky(header="x-user-id", cookie="sluice_uid", salt="sticky:5")
        value = await start(rig, sticky, v2=5_000, v1=5_000)
        first = await ask(rig, [{"cookie": f"theme={index}; lang=de"} for index in range(100)])
        cookies = [reply.headers["set-cookie"].split(";")[0] for reply in first]
        expected = [revision_for(cookie.removeprefix("sluice_uid="), value) for cookie in cookies]
        assert [version(reply) for reply in first] == expected
        again = await ask(rig, [{"cookie": f"theme=1; {cookie}"} for cookie in cookies])
        assert [version(reply) for reply in again] == expected


@pytest.mark.parametrize(
    ("sticky", "requests", "users"),
    [
        pytest.param(
            Sticky(header="x-user-id", salt="bad:1"),
            [as_header(index % 5) for index in range(15)],
            5,
            id="header",
        ),
        pytest.param(
            Sticky(cookie="sluice_uid", salt="bad:2"),
            [as_cookie(index % 4) for index in range(12)],
            4,
            id="cookie",
        ),
        pytest.param(
            Sticky(header="x-user-id", cookie="sluice_uid", salt="bad:3"),
            [*(as_header(index % 3) for index in range(9)), as_cookie(50), as_cookie(50)],
            4,
            id="header-before-cookie",
        ),
        pytest.param(
            Sticky(cookie="sluice_uid", salt="bad:4"),
            [{"cookie": "theme=dark"}] * 6,
            6,
            id="visitors",
        ),
        pytest.param(Sticky(header="x-user-id", salt="bad:5"), [{}] * 3, 0, id="nobody-named"),
    ],
)
async def test_each_user_with_bad_answers_is_counted_once_however_he_is_named(
    envoy: EnvoyProcess, sticky: Sticky, requests: list[dict[str, str]], users: int
) -> None:
    async with envoy_rig(envoy) as rig:
        await start(rig, sticky, v2=BP_TOTAL, v1=0)
        rig.behave("v2", "500")
        before = lines(envoy)

        async def logged() -> int:
            return lines(envoy) - before

        async def counted() -> int | None:
            arm = (await rig.metrics.read())["sticky"][0].arm(V2)
            return arm.users_bad if arm else None

        assert await counted() == 0
        replies = await ask(rig, requests)
        assert {reply.status for reply in replies} == {500}
        await eventually(logged, lambda count: count == len(requests))
        assert await counted() == users


def lines(envoy: EnvoyProcess) -> int:
    """Bad answers that Envoy has written down."""
    path = envoy.settings.layout.bad_answers
    return len(path.read_bytes().splitlines()) if path.exists() else 0
