"""Pairs of answers: the same promises in memory and at a real router."""

from dataclasses import replace

from tests.contract.dataplane.rigs import Rig, fragment

from sluice.nouns import BP_TOTAL, Arm, Capture, Pair, PairBatch, Purpose, RevisionId, Routing

V1, V2 = RevisionId("v1"), RevisionId("v2")


def shadowed(
    release: str, *, mirror_bp: int = BP_TOTAL, noise_bp: int = 0, candidate_bp: int = 0
) -> Routing:
    return Routing(
        release=release,
        generation=1,
        arms=(
            Arm(revision=V2, weight_bp=candidate_bp),
            Arm(revision=V1, weight_bp=BP_TOTAL - candidate_bp),
            Arm(revision=V2, purpose=Purpose.MIRROR, weight_bp=mirror_bp),
        ),
        hosts=(f"{release}.ml",),
        capture=Capture(noise_bp=noise_bp),
    )


async def begin(rig: Rig, routing: Routing) -> PairBatch:
    """Serve it, and take the cursor: what comes now is new."""
    endpoints = {"v1": await rig.endpoints("v1", 2), "v2": await rig.endpoints("v2")}
    rig.answers("v1", b'{"duration": 10.5}')
    rig.answers("v2", b'{"duration": 11.0}')
    await rig.plane.apply(fragment(routing, endpoints))
    return await rig.pairs.read(routing.release, {})


async def captured(rig: Rig, routing: Routing, start: PairBatch, count: int) -> list[Pair]:
    """So many pairs, and no more."""
    found: list[Pair] = []
    cursors = start.cursors
    while len(found) < count:
        batch = await rig.pairs.read(routing.release, cursors)
        found += batch.pairs
        cursors = batch.cursors
    assert not (await rig.pairs.read(routing.release, cursors)).pairs
    assert len(found) == count
    return found


async def test_both_answers_to_a_mirrored_request_come_as_a_pair(rig: Rig) -> None:
    routing = shadowed("both")
    start = await begin(rig, routing)
    assert start.pairs == ()
    answers = await rig.send(routing, 20)
    assert {answer.revision for answer in answers} == {"v1"}
    pairs = await captured(rig, routing, start, 20)
    assert len({pair.request_id for pair in pairs}) == 20
    for pair in pairs:
        assert (pair.stable, pair.candidate, pair.again) == (V1, V2, None)
        assert (pair.primary.body, pair.shadow.body) == (
            b'{"duration": 10.5}',
            b'{"duration": 11.0}',
        )
        assert (pair.primary.status, pair.shadow.status) == (200, 200)
        assert pair.primary.media_type == "application/json"


async def test_a_failed_copy_is_a_pair_as_well(rig: Rig) -> None:
    routing = shadowed("failed")
    start = await begin(rig, routing)
    rig.behave("v2", "500")
    try:
        answers = await rig.send(routing, 5)
        assert [answer.status for answer in answers] == [200] * 5
        assert {pair.shadow.status for pair in await captured(rig, routing, start, 5)} == {500}
    finally:
        rig.behave("v2", "ok")


async def test_stable_answers_a_share_of_the_copies_again(rig: Rig) -> None:
    routing = shadowed("again", noise_bp=BP_TOTAL)
    start = await begin(rig, routing)
    await rig.send(routing, 10)
    pairs = await captured(rig, routing, start, 10)
    assert [pair.again.body for pair in pairs if pair.again] == [b'{"duration": 10.5}'] * 10
    assert (await rig.counts(routing.release, "v1", Purpose.MIRROR, 10)).counts.errors == 0
    assert (await rig.counts(routing.release, "v1", Purpose.LIVE, 10)).counts.errors == 0


async def test_captured_requests_are_live_requests_of_stable(rig: Rig) -> None:
    routing = shadowed("live", mirror_bp=5_000)
    await begin(rig, routing)
    await rig.send(routing, 60)
    assert (await rig.counts(routing.release, "v1", Purpose.LIVE, 60)).counts.errors == 0


async def test_only_requests_that_stable_answered_make_pairs(rig: Rig) -> None:
    routing = shadowed("answered", candidate_bp=5_000)
    start = await begin(rig, routing)
    answers = await rig.send(routing, 60)
    by_stable = sum(answer.revision == "v1" for answer in answers)
    assert 0 < by_stable < 60
    pairs = await captured(rig, routing, start, by_stable)
    assert {pair.primary.body for pair in pairs} == {b'{"duration": 10.5}'}


async def test_the_mirrored_route_has_the_weights_of_every_route(rig: Rig) -> None:
    """The number that chooses the mirrored requests must not choose the arm as well."""
    routing = shadowed("weights", mirror_bp=2_550, candidate_bp=5_000)
    start = await begin(rig, routing)
    answers = await rig.send(routing, 1_600)
    # Standard deviations: 20 of 1,600 at 50%, and 14 of 1,600 at 12.75%.
    assert abs(sum(answer.revision == "v2" for answer in answers) - 800) < 100
    found, cursors = 0, start.cursors
    while found < 134:
        batch = await rig.pairs.read(routing.release, cursors)
        found, cursors = found + len(batch.pairs), batch.cursors
    assert found < 274


async def test_nothing_is_captured_where_nothing_is_asked_for(rig: Rig) -> None:
    routing = replace(shadowed("plain"), capture=None)
    start = await begin(rig, routing)
    await rig.send(routing, 5)
    await rig.counts("plain", "v2", Purpose.MIRROR, 5)
    assert not (await rig.pairs.read(routing.release, start.cursors)).pairs
