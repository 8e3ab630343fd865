"""Every variant of a test is guarded, not only the first."""

import json
from dataclasses import replace

from tests.unit.runtime.test_silent_router import BASE, READY, SETTINGS, V1, V2

from sluice.engine.events import Deployed
from sluice.engine.plan import ArmSpec, Exit, Fixed, Rung, Stage
from sluice.engine.state import Mode, State
from sluice.nouns import ArmCounts, Counts, Purpose, Replicas, RevisionId, Snapshot, Workload
from sluice.runtime.checkpoint import from_record, to_record
from sluice.runtime.core import Core
from sluice.runtime.judging import View

V3 = RevisionId("v3")
RUNG = Rung(
    name="test",
    weight=Fixed(weight_bp=6_000),
    arms=(ArmSpec(), ArmSpec(variant="b")),
    checks=("slo",),
    exit=Exit(person=True),
)
PLAN = replace(BASE, stages=(Stage(strategy="abTest", rungs=(RUNG,), deadline_ms=None),))


class Test:
    """Three versions side by side; each turn every one answers a hundred requests."""

    __test__ = False

    def __init__(self) -> None:
        self.core = Core(state=State(release="taxi"), settings=SETTINGS)
        self.totals = dict.fromkeys((V1, V2, V3), 0)
        self.errors = dict.fromkeys((V1, V2, V3), 0)
        self.now_ms = 0
        self.core.deploy(0, Workload(release="taxi", revision=V1, template={}), PLAN)
        for _ in range(3):
            self.turn()
        deployed = Deployed(at_ms=self.now_ms, revision=V2, plan=PLAN, variants=(("b", V3),))
        self.core.send(deployed)
        for _ in range(4):
            self.turn()
        assert self.core.state.mode is Mode.RUNNING

    def turn(self, bad: dict[RevisionId, int] | None = None) -> None:
        self.now_ms += 1_000
        for revision in self.totals:
            self.totals[revision] += 100
            self.errors[revision] += (bad or {}).get(revision, 0)
        arms = tuple(
            ArmCounts(
                revision=revision,
                purpose=Purpose.LIVE,
                counts=Counts(total=self.totals[revision], errors=self.errors[revision]),
            )
            for revision in self.totals
        )
        replicas = [
            Replicas(revision=revision, desired=size, ready=READY[:size])
            for revision, size in self.core.state.sizes
        ]
        snapshot = Snapshot(router="r", epoch="1", taken_ms=self.now_ms, arms=arms)
        self.core.poll(View(at_ms=self.now_ms, replicas=replicas, snapshots=(snapshot,)))
        self.core.acknowledged(self.now_ms, self.core.state.generation)


def test_a_second_variant_that_fails_ends_the_test() -> None:
    test = Test()
    test.turn({V3: 60})
    assert test.core.state.mode is Mode.ABORTED
    assert "variant b: candidate fails" in test.core.state.message
    assert test.core.verdict is not None
    assert test.core.verdict.evidence[0].bad_candidate == 0  # of the first variant


def test_variants_share_alpha() -> None:
    test = Test()
    assert test.core.judged_by is not None
    assert test.core.judged_by.alpha == SETTINGS.alpha / 2
    assert set(test.core.further) == {V3}


def test_the_evidence_of_every_variant_survives_a_checkpoint() -> None:
    test = Test()
    test.turn({V3: 3})
    again = from_record(json.loads(json.dumps(to_record(test.core))))
    assert again.further == test.core.further
    assert again.analysis_of == V2
    test.core = again
    test.turn({V3: 60})
    assert test.core.state.mode is Mode.ABORTED
