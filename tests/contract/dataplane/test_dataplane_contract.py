"""What every data plane promises; memory and Envoy answer the same."""

from collections import Counter
from dataclasses import replace

import pytest
from tests.contract.dataplane.rigs import Answer, Rig, fragment
from tests.contract.dataplane.support import eventually

from sluice.dataplanes.assignment import revision_for
from sluice.errors import RoutingRefused
from sluice.nouns import BP_TOTAL, Ack, Arm, Match, Purpose, RevisionId, Routing, Sticky

V1, V2 = RevisionId("v1"), RevisionId("v2")


def routing(release: str, weight_bp: int, *more: Arm, generation: int = 1) -> Routing:
    arms = (Arm(revision=V2, weight_bp=weight_bp), Arm(revision=V1, weight_bp=BP_TOTAL - weight_bp))
    return Routing(
        release=release, generation=generation, arms=(*arms, *more), hosts=(f"{release}.test",)
    )


async def both(rig: Rig) -> dict[str, tuple]:  # type: ignore[type-arg]  # endpoints by revision
    return {"v1": await rig.endpoints("v1"), "v2": await rig.endpoints("v2")}


def revisions(answers: list[Answer]) -> Counter[str]:
    assert {answer.status for answer in answers} == {200}
    return Counter(answer.revision for answer in answers)


async def ack_of(rig: Rig, release: str) -> Ack:
    return next(ack for ack in await rig.plane.acks() if ack.release == release)


async def test_weights_share_requests(rig: Rig) -> None:
    value = routing("weights", 2_500)
    await rig.plane.apply(fragment(value, await both(rig)))
    seen = revisions(await rig.send(value, 800))
    assert 140 <= seen["v2"] <= 260  # 200 expected, 5 standard deviations


async def test_all_weight_at_stable_leaves_the_candidate_without_a_request(rig: Rig) -> None:
    value = routing("aborted", 5_000)
    endpoints = await both(rig)
    await rig.plane.apply(fragment(value, endpoints))
    await rig.send(value, 20)
    back = routing("aborted", 0, generation=2)
    await rig.plane.apply(fragment(back, endpoints))
    answers = await rig.send(back, 100)
    assert revisions(answers) == {"v1": 100}
    assert {answer.generation for answer in answers} == {2}


async def test_a_user_gets_the_revision_that_is_computed_offline(rig: Rig) -> None:
    value = replace(routing("sticky", 3_000), sticky=Sticky(header="x-user-id", salt="sticky:7"))
    await rig.plane.apply(fragment(value, await both(rig)))
    users = [f"user-{index}" for index in range(200)]
    answers = await rig.send(value, users=users)
    assert [answer.revision for answer in answers] == [revision_for(user, value) for user in users]


async def test_growing_weight_never_moves_a_user_back(rig: Rig) -> None:
    sticky = Sticky(header="x-user-id", salt="ramp:1")
    endpoints = await both(rig)
    users = [f"user-{index}" for index in range(100)]
    before: set[str] = set()
    for generation, weight in enumerate((500, 2_000, 6_000, BP_TOTAL), start=1):
        value = replace(routing("ramp", weight, generation=generation), sticky=sticky)
        await rig.plane.apply(fragment(value, endpoints))
        answers = await rig.send(value, users=users)
        now = {user for user, answer in zip(users, answers, strict=True) if answer.revision == V2}
        assert before <= now
        before = now
    assert before == set(users)


async def test_a_user_with_bad_answers_is_counted_once_where_the_first_came_from(rig: Rig) -> None:
    sticky = Sticky(header="x-user-id", salt="bad:1")
    endpoints = await both(rig)
    first = replace(routing("bad", 4_000), sticky=sticky)
    await rig.plane.apply(fragment(first, endpoints))
    users = [f"user-{index}" for index in range(40)]
    ours = {user for user in users if revision_for(user, first) == V2}
    rig.behave("v1", "ok")
    rig.behave("v2", "500")
    await rig.send(first, users=users * 3)
    assert await users_bad(rig, "bad", V2, len(ours)) == len(ours)
    rig.behave("v1", "503")
    await rig.send(first, users=users)
    assert await users_bad(rig, "bad", V1, 40 - len(ours)) == 40 - len(ours)
    # Moved to the candidate, they have had their first bad answer already.
    moved = replace(routing("bad", BP_TOTAL, generation=2), sticky=sticky)
    await rig.plane.apply(fragment(moved, endpoints))
    await rig.send(moved, users=[*users, "another"])
    assert await users_bad(rig, "bad", V2, len(ours) + 1) == len(ours) + 1
    # In another pass everybody begins anew.
    again = replace(moved, generation=3, sticky=replace(sticky, salt="bad:2"))
    await rig.plane.apply(fragment(again, endpoints))
    await rig.send(again, users=users)
    assert await users_bad(rig, "bad", V2, len(ours) + 41) == len(ours) + 41


async def users_bad(rig: Rig, release: str, revision: RevisionId, wanted: int) -> int | None:
    """Users counted at a revision, once they are as many as wanted; what is there otherwise."""

    async def read() -> int | None:
        arm = (await rig.metrics.read())[release][0].arm(revision)
        return arm.users_bad if arm else None

    return await eventually(read, lambda count: count is not None and count >= wanted)


async def test_without_sticky_users_nobody_counts_them(rig: Rig) -> None:
    value = routing("loose", 5_000)
    await rig.plane.apply(fragment(value, await both(rig)))
    rig.behave("v2", "500")
    await rig.send(value, 20)
    rig.behave("v2", "ok")
    arm = (await rig.metrics.read())["loose"][0].arm(V2)
    assert arm is None or arm.users_bad is None


async def test_a_header_forces_an_arm_and_is_counted_apart(rig: Rig) -> None:
    forced = Arm(
        revision=V2, purpose=Purpose.FORCED, match=Match(header="x-sluice-arm", value="v2")
    )
    value = routing("forced", 0, forced)
    await rig.plane.apply(fragment(value, await both(rig)))
    seen = revisions(await rig.send(value, 10, headers={"x-sluice-arm": "v2"}))
    assert seen == {"v2": 10}
    await rig.send(value, 5, headers={"x-sluice-arm": "other"})
    assert (await rig.counts("forced", "v2", Purpose.FORCED, 10, timed=False)).counts.errors == 0
    assert (await rig.counts("forced", "v2", Purpose.LIVE, 0, timed=False)).counts.total == 0
    assert (await rig.counts("forced", "v1", Purpose.LIVE, 5, timed=False)).counts.total == 5


async def test_a_preview_is_reached_by_host_and_by_header(rig: Rig) -> None:
    preview = Arm(
        revision=V2,
        purpose=Purpose.PREVIEW,
        hosts=("preview.blue.test",),
        match=Match(header="x-preview", value="yes"),
    )
    value = routing("blue", 0, preview)
    await rig.plane.apply(fragment(value, await both(rig)))
    assert revisions(await rig.send(value, 4, host="preview.blue.test")) == {"v2": 4}
    assert revisions(await rig.send(value, 3, headers={"x-preview": "yes"})) == {"v2": 3}
    assert revisions(await rig.send(value, 2)) == {"v1": 2}
    await rig.counts("blue", "v2", Purpose.PREVIEW, 7, timed=False)


async def test_mirrored_requests_are_counted_and_answer_nobody(rig: Rig) -> None:
    mirror = Arm(revision=V2, purpose=Purpose.MIRROR, weight_bp=BP_TOTAL)
    value = routing("shadow", 0, mirror)
    await rig.plane.apply(fragment(value, await both(rig)))
    rig.behave("v2", "500")
    assert revisions(await rig.send(value, 20)) == {"v1": 20}
    arm = await rig.counts("shadow", "v2", Purpose.MIRROR, 20, timed=False)
    assert arm.counts.errors == 20


@pytest.mark.parametrize(
    ("mode", "errors", "client_errors"),
    [
        pytest.param("ok", 0, 0, id="good"),
        pytest.param("500", 12, 0, id="server-errors"),
        pytest.param("404", 0, 12, id="client-errors"),
    ],
)
async def test_answers_are_counted_by_class(
    rig: Rig, mode: str, errors: int, client_errors: int
) -> None:
    release = f"codes-{mode}"
    value = routing(release, BP_TOTAL)
    await rig.plane.apply(fragment(value, await both(rig)))
    rig.behave("v2", mode)
    await rig.send(value, 12)
    arm = await rig.counts(release, "v2", Purpose.LIVE, 12, timed=False)
    assert (arm.counts.errors, arm.counts.client_errors) == (errors, client_errors)
    assert sum(counts.total for counts in arm.endpoints.values()) == 12
    assert sum(counts.errors for counts in arm.endpoints.values()) == errors


async def test_a_revision_without_endpoints_answers_503(rig: Rig) -> None:
    value = routing("empty", BP_TOTAL)
    await rig.plane.apply(fragment(value, {"v1": await rig.endpoints("v1"), "v2": ()}))
    assert {answer.status for answer in await rig.send(value, 5)} == {503}
    assert (await rig.counts("empty", "v2", Purpose.LIVE, 5, timed=False)).counts.errors == 5


async def test_endpoints_change_without_a_new_generation(rig: Rig) -> None:
    value = routing("scaled", BP_TOTAL)
    await rig.plane.apply(fragment(value, {"v1": (), "v2": ()}))
    await rig.plane.apply(fragment(value, await both(rig)))
    assert revisions(await rig.send(value, 5)) == {"v2": 5}
    assert (await ack_of(rig, "scaled")).generation == 1


async def test_a_lease_that_ends_returns_the_weight_and_gives_it_back_on_renewal(rig: Rig) -> None:
    value = replace(routing("leased", BP_TOTAL), lease_ms=400)
    await rig.plane.apply(fragment(value, await both(rig)))
    assert revisions(await rig.send(value, 5)) == {"v2": 5}
    assert not (await ack_of(rig, "leased")).lease_expired
    await rig.lease_ends(value)
    assert revisions(await rig.send(value, 5)) == {"v1": 5}
    ack = await ack_of(rig, "leased")
    assert (ack.lease_expired, ack.generation) == (True, 1)
    await rig.plane.renew(["leased", "unknown"])
    assert revisions(await rig.send(value, 5)) == {"v2": 5}
    assert not (await ack_of(rig, "leased")).lease_expired


async def test_without_a_lease_weight_stays(rig: Rig) -> None:
    value = routing("unleased", BP_TOTAL)
    await rig.plane.apply(fragment(value, await both(rig)))
    assert not (await ack_of(rig, "unleased")).lease_expired


async def test_an_older_generation_is_refused_and_the_newer_goes_on(rig: Rig) -> None:
    endpoints = await both(rig)
    newer = routing("ordered", BP_TOTAL, generation=5)
    await rig.plane.apply(fragment(newer, endpoints))
    with pytest.raises(RoutingRefused, match="4"):
        await rig.plane.apply(fragment(routing("ordered", 0, generation=4), endpoints))
    assert revisions(await rig.send(newer, 5)) == {"v2": 5}
    ack = await ack_of(rig, "ordered")
    assert ack.generation == 5
    assert "4" in ack.error


async def test_the_same_generation_with_another_routing_is_refused(rig: Rig) -> None:
    endpoints = await both(rig)
    await rig.plane.apply(fragment(routing("same", 0), endpoints))
    with pytest.raises(RoutingRefused, match="generation"):
        await rig.plane.apply(fragment(routing("same", 1), endpoints))


async def test_a_host_belongs_to_one_release(rig: Rig) -> None:
    endpoints = await both(rig)
    await rig.plane.apply(fragment(routing("first", 0), endpoints))
    thief = replace(routing("second", 0), hosts=("FIRST.test",))
    with pytest.raises(RoutingRefused, match=r"first\.test belongs to release first"):
        await rig.plane.apply(fragment(thief, endpoints))


async def test_releases_do_not_disturb_each_other(rig: Rig) -> None:
    endpoints = await both(rig)
    left, right = routing("left", BP_TOTAL), routing("right", 0)
    await rig.plane.apply(fragment(left, endpoints))
    await rig.plane.apply(fragment(right, endpoints))
    assert revisions(await rig.send(left, 5)) == {"v2": 5}
    assert revisions(await rig.send(right, 5)) == {"v1": 5}
    await rig.plane.remove("left")
    await rig.plane.remove("never-there")
    assert revisions(await rig.send(right, 5)) == {"v1": 5}
    assert [ack.release for ack in await rig.plane.acks()] == ["right"]


async def test_counters_of_every_release_come_in_one_reading(rig: Rig) -> None:
    endpoints = await both(rig)
    await rig.plane.apply(fragment(routing("one", 0), endpoints))
    await rig.plane.apply(fragment(routing("two", 0), endpoints))
    snapshots = await rig.metrics.read()
    assert set(snapshots) == {"one", "two"}
    assert {snapshot.router for found in snapshots.values() for snapshot in found} == {"router-0"}
