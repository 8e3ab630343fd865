"""What Envoy charges to whom, and that our counts say what happened to requests."""

import asyncio
import contextlib
from dataclasses import replace
from functools import partial

import pytest
from tests.contract.dataplane.rigs import EnvoyRig, envoy_rig, fragment
from tests.contract.dataplane.support import EnvoyProcess, Reply, Upstream, eventually, free_port

from sluice.nouns import (
    BP_TOTAL,
    LATENCY_GRID_MS,
    Arm,
    ArmCounts,
    Endpoint,
    Purpose,
    RevisionId,
    Routing,
    Shield,
)

V1, V2 = RevisionId("v1"), RevisionId("v2")


def routing(release: str, *, timeout_ms: int = 2_000, shield: Shield | None = None) -> Routing:
    return Routing(
        release=release,
        generation=1,
        arms=(Arm(revision=V2, weight_bp=BP_TOTAL), Arm(revision=V1)),
        hosts=(f"{release}.test",),
        timeout_ms=timeout_ms,
        shield=shield,
    )


async def candidate(rig: EnvoyRig, release: str, total: int, *, timed: bool = False) -> ArmCounts:
    """The candidate's live arm, once all requests are counted, and their times as well."""
    return await rig.counts(release, "v2", Purpose.LIVE, total, timed=timed)


async def start(rig: EnvoyRig, value: Routing) -> None:
    endpoints = {"v1": await rig.endpoints("v1"), "v2": await rig.endpoints("v2")}
    await rig.plane.apply(fragment(value, endpoints))


async def ask(rig: EnvoyRig, value: Routing, count: int, **more: object) -> list[int]:
    """Codes that users saw; 0: they left before an answer."""

    async def one() -> Reply:
        try:
            return await rig.users.ask(value.hosts[0], **more)  # type: ignore[arg-type]
        except TimeoutError:
            return Reply(0, {}, "")

    return [reply.status for reply in await rig.users.ask_all([one] * count)]


def slower_than(arm: ArmCounts, threshold_ms: int) -> int:
    return arm.counts.slow[LATENCY_GRID_MS.index(threshold_ms)]


async def test_resets_are_errors_once_although_tried_twice(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        value = routing("reset")
        await start(rig, value)
        rig.behave("v2", "reset")
        assert await ask(rig, value, 6) == [503] * 6
        arm = await candidate(rig, "reset", 6, timed=True)
        assert arm.counts.errors == 6
        assert slower_than(arm, 60_000) == 6
        assert arm.endpoints["v2-0"].errors == 12


async def test_a_request_that_times_out_is_an_error_and_slow_at_every_threshold(
    envoy: EnvoyProcess,
) -> None:
    async with envoy_rig(envoy) as rig:
        value = routing("timeout", timeout_ms=100)
        await start(rig, value)
        rig.behave("v2", "hang")
        assert await ask(rig, value, 4) == [504] * 4
        arm = await candidate(rig, "timeout", 4, timed=True)
        assert arm.counts.errors == 4
        assert set(arm.counts.slow) == {4}


async def test_a_client_that_leaves_a_hanging_candidate_counts_against_it(
    envoy: EnvoyProcess,
) -> None:
    async with envoy_rig(envoy) as rig:
        value = routing("left")
        await start(rig, value)
        assert await ask(rig, value, 3) == [200] * 3
        rig.behave("v2", "hang")
        assert await ask(rig, value, 5, timeout_s=0.5) == [0] * 5
        arm = await candidate(rig, "left", 8, timed=True)
        assert (arm.counts.errors, arm.active) == (5, 0)
        assert {slower_than(arm, threshold) for threshold in (75, 1_000, 60_000)} == {5}
        assert arm.endpoints["v2-0"].errors == 5


async def test_requests_under_way_are_not_counted_yet(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        value = routing("running")
        await start(rig, value)
        rig.behave("v2", "slow:700")
        waiting = asyncio.create_task(ask(rig, value, 4))
        arm = await eventually(partial(read_arm, rig, "running"), lambda arm: arm.active == 4)
        assert arm.counts.total == 0
        assert await waiting == [200] * 4
        assert (await candidate(rig, "running", 4)).counts.errors == 0


async def read_arm(rig: EnvoyRig, release: str) -> ArmCounts:
    arm = (await rig.metrics.read())[release][0].arm(V2)
    assert arm is not None
    return arm


async def test_latency_lies_between_the_right_thresholds(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        value = routing("latency")
        await start(rig, value)
        rig.behave("v2", "slow:103")
        await ask(rig, value, 8)
        arm = await candidate(rig, "latency", 8, timed=True)
        assert slower_than(arm, 100) == 8
        assert slower_than(arm, 400) == 0


async def test_a_refused_connection_is_an_error(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        value = routing("refused")
        nobody = (Endpoint(name="gone-0", host="127.0.0.1", port=free_port()),)
        await rig.plane.apply(fragment(value, {"v1": (), "v2": nobody}))
        assert await ask(rig, value, 3) == [503] * 3
        assert (await candidate(rig, "refused", 3)).counts.errors == 3


async def test_a_killed_pod_costs_no_request(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        value = routing("killed")
        pods = await rig.endpoints("v2", 2)
        await rig.plane.apply(fragment(value, {"v1": await rig.endpoints("v1"), "v2": pods}))
        load = asyncio.create_task(ask(rig, value, 400))
        await eventually(partial(seen, rig.upstreams["v2"][0]), lambda count: count > 20)
        await rig.upstreams["v2"][0].stop()
        assert set(await load) == {200}
        assert (await candidate(rig, "killed", 400)).counts.errors == 0


async def seen(upstream: Upstream) -> int:
    return len(upstream.seen)


@pytest.mark.parametrize("path", ["/feedback", "/v2/models/taxi"])
async def test_other_posts_are_not_sent_twice(envoy: EnvoyProcess, path: str) -> None:
    async with envoy_rig(envoy) as rig:
        value = routing("once")
        await start(rig, value)
        rig.behave("v2", "reset")
        assert await ask(rig, value, 3, path=path) == [503] * 3
        assert len(rig.upstreams["v2"][0].seen) == 3


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("POST", "/v2/models/taxi/versions/3/infer", id="infer"),
        pytest.param("GET", "/v2/models/taxi", id="read"),
    ],
)
async def test_requests_without_side_effects_are_sent_twice(
    envoy: EnvoyProcess, method: str, path: str
) -> None:
    async with envoy_rig(envoy) as rig:
        value = routing("twice")
        await start(rig, value)
        rig.behave("v2", "reset")
        await ask(rig, value, 3, method=method, path=path, body=b"")
        assert len(rig.upstreams["v2"][0].seen) == 6


SHIELD = Shield(per_try_timeout_ms=150)


@pytest.mark.parametrize("mode", ["500", "503", "reset", "hang"])
async def test_a_shield_hides_failures_from_users_and_counts_them(
    envoy: EnvoyProcess, mode: str
) -> None:
    async with envoy_rig(envoy) as rig:
        release = f"shield-{mode}"
        value = routing(release, shield=SHIELD)
        await start(rig, value)
        assert await ask(rig, value, 4) == [200] * 4
        rig.behave("v2", mode)
        replies = [await rig.users.ask(value.hosts[0]) for _ in range(6)]
        assert {(reply.status, reply.headers["x-sluice-version"]) for reply in replies} == {
            (200, "v1")
        }
        arm = await candidate(rig, release, 10, timed=True)
        assert (arm.counts.errors, arm.shielded) == (6, 6)
        assert arm.endpoints["v2-0"].errors == 6
        # Stable's answers in the candidate's place are nobody's live requests.
        stable = (await rig.metrics.read())[release][0].arm(V1)
        assert stable is not None
        assert stable.counts.total == 0
        if mode == "hang":
            assert slower_than(arm, 60_000) == 6


async def test_a_shield_leaks_no_failure_under_concurrency(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        value = routing("crowd", shield=SHIELD)
        await start(rig, value)
        rig.behave("v2", "500")
        rig.users.workers = 64
        assert set(await ask(rig, value, 1_000)) == {200}
        arm = await candidate(rig, "crowd", 1_000)
        assert (arm.counts.errors, arm.shielded) == (1_000, 1_000)


async def test_a_shield_neither_repeats_nor_cuts_stables_own_answers(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        value = replace(
            routing("own", shield=SHIELD),
            arms=(Arm(revision=V2), Arm(revision=V1, weight_bp=BP_TOTAL)),
        )
        await start(rig, value)
        rig.behave("v1", "500")
        assert await ask(rig, value, 5) == [500] * 5
        assert len(rig.upstreams["v1"][0].seen) == 5
        rig.behave("v1", "slow:400")
        assert await ask(rig, value, 4) == [200] * 4


async def test_when_stable_fails_too_the_failure_is_not_called_shielded(
    envoy: EnvoyProcess,
) -> None:
    async with envoy_rig(envoy) as rig:
        value = routing("both", shield=SHIELD)
        await start(rig, value)
        rig.behave("v2", "500")
        rig.behave("v1", "500")
        assert await ask(rig, value, 5) == [500] * 5
        arm = await candidate(rig, "both", 5)
        assert (arm.counts.errors, arm.shielded) == (5, 0)


async def test_a_shield_without_candidate_endpoints_counts_nothing_for_the_candidate(
    envoy: EnvoyProcess,
) -> None:
    async with envoy_rig(envoy) as rig:
        value = routing("vacant", shield=SHIELD)
        await rig.plane.apply(fragment(value, {"v1": await rig.endpoints("v1"), "v2": ()}))
        assert await ask(rig, value, 5) == [200] * 5
        arm = await read_arm(rig, "vacant")
        assert (arm.counts.total, arm.counts.errors) == (0, 0)


async def test_other_posts_are_not_shielded(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        value = routing("writes", shield=SHIELD)
        await start(rig, value)
        rig.behave("v2", "500")
        assert await ask(rig, value, 3, path="/feedback") == [500] * 3
        arm = await candidate(rig, "writes", 3)
        assert (arm.counts.errors, arm.shielded) == (3, 0)


async def test_a_hanging_shadow_is_bounded_and_delays_nobody(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        value = replace(
            routing("slow-shadow"),
            arms=(
                Arm(revision=V1, weight_bp=BP_TOTAL),
                Arm(revision=V2, purpose=Purpose.MIRROR, weight_bp=BP_TOTAL),
            ),
        )
        await start(rig, value)
        rig.behave("v2", "hang")
        assert set(await asyncio.wait_for(ask(rig, value, 300), 5)) == {200}
        limit = envoy.settings.mirror_requests
        assert len(rig.upstreams["v2"][0].seen) <= limit
        arm = (await rig.metrics.read())["slow-shadow"][0].arm(V2, Purpose.MIRROR)
        assert arm is not None
        assert arm.counts.errors >= 300 - 2 * limit


async def test_counts_survive_a_cluster_that_leaves_and_comes_back(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        endpoints = {"v1": await rig.endpoints("v1"), "v2": await rig.endpoints("v2")}
        both = routing("return")
        alone = replace(both, generation=2, arms=(Arm(revision=V1, weight_bp=BP_TOTAL),))
        await rig.plane.apply(fragment(both, endpoints))
        await ask(rig, both, 7)
        await rig.plane.apply(fragment(alone, endpoints))
        eds = envoy.settings.layout.endpoints

        async def files() -> int:
            return len([path for path in eds.iterdir() if "return%2Fv2" in path.name])

        await eventually(files, lambda count: count == 0)
        assert (await read_arm(rig, "return")).counts.total == 7
        await rig.plane.apply(fragment(replace(both, generation=3), endpoints))
        await ask(rig, both, 2)
        assert (await candidate(rig, "return", 9)).counts.errors == 0


async def test_counts_never_fall_and_show_no_phantom_error_under_load(
    envoy: EnvoyProcess,
) -> None:
    async with envoy_rig(envoy) as rig:
        value = routing("steady")
        await start(rig, value)
        load = asyncio.create_task(ask(rig, value, 3_000))
        before = (await read_arm(rig, "steady")).counts
        while not load.done():
            now = (await read_arm(rig, "steady")).counts
            assert (now - before).plausible
            assert now.errors == 0
            before = now
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(load), 0.01)
        assert set(await load) == {200}
        assert (await candidate(rig, "steady", 3_000)).counts.errors == 0
