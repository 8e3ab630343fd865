"""The whole way of a shadow, with a real router: mirrored, captured, compared, decided."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from tests.contract.dataplane.rigs import EnvoyRig, envoy_rig
from tests.contract.dataplane.support import EnvoyProcess
from tests.unit.runtime.test_shadow import shadow_plan
from tests.unit.runtime.world import NAME, SETTINGS

from sluice.nouns import (
    FieldRule,
    Phase,
    Replicas,
    RevisionId,
    ShadowRules,
    VerdictKind,
    Workload,
)
from sluice.platforms.clock import SystemClock
from sluice.reports.model import ReleaseStatus
from sluice.runtime.loop import Loop
from sluice.runtime.shadow import ShadowJudge
from sluice.testing.journal import MemoryJournal

V1, V2 = RevisionId("v1"), RevisionId("v2")
RULES = ShadowRules(
    pairs=120, compare=(FieldRule(field="duration", atol=0.5),), max_disagreement=0.02
)
GOOD, NEAR, WRONG = b'{"duration": 10.5}', b'{"duration": 10.9}', b'{"duration": 13}'


@dataclass
class RigPlatform:
    """Replicas are the rig's servers, ready at once."""

    rig: EnvoyRig
    sizes: dict[RevisionId, int] = field(default_factory=dict)

    async def scale(self, workload: Workload, replicas: int) -> None:
        self.sizes[workload.revision] = replicas

    async def observe(self, release: str) -> Sequence[Replicas]:
        return [
            Replicas(
                revision=revision,
                desired=size,
                ready=await self.rig.endpoints(revision, size) if size else (),
                running=size,
            )
            for revision, size in self.sizes.items()
        ]

    async def remove(self, release: str) -> None:
        self.sizes.clear()


@dataclass
class Story:
    """One release on a real router, looked at as often as the test likes."""

    rig: EnvoyRig

    def __post_init__(self) -> None:
        self.loop = Loop(
            platform=RigPlatform(self.rig),
            dataplane=self.rig.plane,
            metrics=self.rig.metrics,
            journal=MemoryJournal(),
            clock=SystemClock(),
            judges=(ShadowJudge(self.rig.pairs),),
        )
        self.seen: list[tuple[int, str]] = []

    async def deploy(self, revision: RevisionId, body: bytes) -> None:
        await self.rig.endpoints(revision, 2)
        self.rig.answers(revision, body)
        workload = Workload(release=NAME, revision=revision, template={})
        await self.loop.deploy(workload, shadow_plan(RULES), SETTINGS)

    async def until(self, done: str) -> ReleaseStatus:
        """Users go on until the release stands there: a phase, or the name of its active step."""
        async with asyncio.timeout(20):
            while True:
                await self.loop.turn(poll=True)
                status = self.loop.status(NAME)
                active = [rung.name for rung in status.rungs if rung.state == "active"]
                if done in (status.phase, *active):
                    return status
                if status.generation:
                    for _ in range(20):
                        reply = await self.rig.users.ask(NAME)
                        self.seen.append((reply.status, reply.headers["x-sluice-version"]))


@pytest.mark.parametrize(
    ("body", "mode"),
    [
        pytest.param(WRONG, "ok", id="wrong-answers"),
        pytest.param(GOOD, "500", id="failing"),
    ],
)
async def test_a_bad_candidate_is_turned_back_and_no_user_ever_met_it(
    envoy: EnvoyProcess, body: bytes, mode: str
) -> None:
    async with envoy_rig(envoy) as rig:
        story = Story(rig)
        await story.deploy(V1, GOOD)
        await story.until(Phase.HEALTHY)
        await story.deploy(V2, body)
        await story.until("mirror 100%")
        rig.behave("v2", mode)
        status = await story.until(Phase.ABORTED)
        assert status.verdict is not None
        assert status.verdict.kind is VerdictKind.FAILED
        assert set(story.seen) == {(200, "v1")}
        (first, *_) = status.verdict.differences
        assert first.stable == ("10.5" if mode == "ok" else "200")
        assert len(first.request_id) == 36


async def test_a_candidate_that_agrees_goes_on_to_the_next_stage(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        story = Story(rig)
        await story.deploy(V1, GOOD)
        await story.until(Phase.HEALTHY)
        await story.deploy(V2, NEAR)
        status = await story.until("ramp")
        assert set(story.seen) == {(200, "v1")}
        (passed,) = [d for d in status.decisions if d.rung_name == "ramp"]
        assert passed.verdict is not None
        assert passed.verdict.kind is VerdictKind.PASSED
        assert "candidate differs in 0%" in passed.verdict.reason
