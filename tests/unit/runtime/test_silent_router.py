"""A pass is not judged from a reading that lacks a router which was heard a moment ago."""

from tests.unit.engine.driver import BASE

from sluice.engine.state import Mode, State
from sluice.nouns import (
    ArmCounts,
    Counts,
    Endpoint,
    Purpose,
    Replicas,
    RevisionId,
    Snapshot,
    Workload,
)
from sluice.runtime.core import Core
from sluice.runtime.judging import View
from sluice.spec import DEFAULT_OBJECTIVES, AnalysisSettings

V1, V2 = RevisionId("v1"), RevisionId("v2")
SETTINGS = AnalysisSettings(
    objectives=DEFAULT_OBJECTIVES, alpha=0.001, beta=0.05, poll_ms=1_000, polls=600, warm_up_ms=0
)
READY = tuple(Endpoint(name=f"r-{n}", host="127.0.0.1", port=9_000 + n) for n in range(2))


def snapshot(router: str, at_ms: int) -> Snapshot:
    """The candidate failed 500 times in an earlier pass."""
    arms = (
        ArmCounts(revision=V2, purpose=Purpose.LIVE, counts=Counts(total=500, errors=500)),
        ArmCounts(revision=V1, purpose=Purpose.LIVE, counts=Counts(total=5_000)),
    )
    return Snapshot(router=router, epoch="1", taken_ms=at_ms, arms=arms)


def poll(core: Core, at_ms: int, *routers: str) -> None:
    replicas = [
        Replicas(revision=revision, desired=size, ready=READY[:size])
        for revision, size in core.state.sizes
    ]
    view = View(
        at_ms=at_ms, replicas=replicas, snapshots=tuple(snapshot(r, at_ms) for r in routers)
    )
    core.poll(view)
    core.acknowledged(at_ms, core.state.generation)


def test_what_a_missing_router_counted_before_is_not_held_against_the_candidate() -> None:
    core = Core(state=State(release="taxi"), settings=SETTINGS)
    core.deploy(0, Workload(release="taxi", revision=V1, template={}), BASE)
    for second in range(1, 4):
        poll(core, second * 1_000, "a", "b")
    core.deploy(4_000, Workload(release="taxi", revision=V2, template={}), BASE)
    poll(core, 5_000, "a")
    assert core.verdict is None, "router b was heard two seconds ago"
    poll(core, 6_000, "a", "b")
    poll(core, 7_000, "a", "b")
    assert core.state.mode is Mode.RUNNING
    assert core.verdict is not None
    assert core.verdict.requests == 0


def test_a_router_that_is_gone_for_long_does_not_stop_the_pass() -> None:
    core = Core(state=State(release="taxi"), settings=SETTINGS)
    core.deploy(0, Workload(release="taxi", revision=V1, template={}), BASE)
    poll(core, 1_000, "a", "b")
    core.deploy(4_000, Workload(release="taxi", revision=V2, template={}), BASE)
    poll(core, 62_000, "a")
    assert core.verdict is not None
