"""What is legal and probably not meant in strategies other than the canary."""

from collections.abc import Iterator

from sluice.spec.abtest import AbTest
from sluice.spec.base import Loc
from sluice.spec.bluegreen import BlueGreen
from sluice.spec.release import Release
from sluice.spec.rolling import Rolling
from sluice.spec.shadow import Shadow
from sluice.spec.strategy import StageModel

Doubt = tuple[str, Loc, str]
"""(rule, place, reason)."""


def doubts(release: Release) -> Iterator[Doubt]:
    """Every doubtful setting of the release's stages but its canaries'."""
    for loc, stage in release.spec.strategy.parts:
        for rule, below, reason in _stage(release, stage):
            yield rule, ("spec", "strategy", *loc, *below), reason


def _stage(release: Release, stage: StageModel) -> Iterator[Doubt]:
    match stage:
        case BlueGreen():
            if not stage.checks and stage.gate is None:
                reason = "no check and no gate: every user goes there as soon as it is ready"
                yield "unasked-switch", (), reason
            if release.spec.keep_warm_ms == 0:
                reason = "without keepWarm nothing can be switched back"
                yield "unwatched-switch", (), reason
        case Rolling():
            if stage.pause is None and stage.gate is None:
                reason = "no pause and no gate: a batch is left before much can be learnt from it"
                yield "hurried-batches", (), reason
        case Shadow():
            if not stage.compare and stage.noise_bp == 0:
                reason = "every field must be the same to the last digit: give compare or noise"
                yield "exact-shadow", (), reason
        case AbTest():
            if stage.goals[0].mde == 0:
                reason = "without mde nobody knows beforehand how many users the test takes"
                yield "unplanned-test", ("goals", 0), reason
            if not stage.outcomes:
                reason = "no outcomes: only its horizon can end the test"
                yield "no-outcomes", (), reason
