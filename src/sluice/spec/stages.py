"""Stages of a checked release to stages of a plan: one function a strategy."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sluice.engine.abtest import ab_test_stage
from sluice.engine.bluegreen import blue_green_stage, preview_arm
from sluice.engine.canary import GateStep, HeaderOnly, Pause, SetWeight, canary_stage
from sluice.engine.canary import Step as EngineStep
from sluice.engine.plan import Fixed, Gate, OnInconclusive, Ramp, Stage
from sluice.engine.rolling import rolling_stage
from sluice.engine.shadow import shadow_stage
from sluice.nouns import Match
from sluice.spec.abtest import AbTest
from sluice.spec.bluegreen import PREVIEW_HEADER, PREVIEW_VALUE, BlueGreen
from sluice.spec.canary import Canary, Step
from sluice.spec.policy import PolicySpec
from sluice.spec.release import Release
from sluice.spec.rolling import Rolling, replicas_of
from sluice.spec.shadow import Shadow
from sluice.spec.strategy import StageModel

PREVIEW = preview_arm(Match(header=PREVIEW_HEADER, value=PREVIEW_VALUE))
"""How a canary's gates reach the candidate."""
LEAST_LOOKS = 2
"""Polls that see a batch before the next one: the first may have begun before its requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Replicas above and below a release's size while it rolls; see ``Plan.surge``."""

    surge: int
    unavailable: int


def bounds_of(release: Release) -> Bounds | None:
    """The bounds of a rolling update; None: no stage rolls."""
    replicas = release.spec.replicas
    for _, stage in release.spec.strategy.parts:
        if isinstance(stage, Rolling):
            return Bounds(
                surge=replicas_of(stage.max_surge, replicas, up=True),
                unavailable=replicas_of(stage.max_unavailable, replicas, up=False),
            )
    return None


def stages_of(release: Release, rules: PolicySpec) -> tuple[Stage, ...]:
    """Every stage of the release in order."""
    parts = release.spec.strategy.parts
    stages: list[Stage] = []
    for number, (_, part) in enumerate(parts):
        begin_bp = last_fixed_bp(stages[-1]) if stages else 0
        last = number == len(parts) - 1
        stages.append(_stage(release, part, rules, begin_bp=begin_bp, last=last))
    return tuple(stages)


def last_fixed_bp(stage: Stage) -> int:
    """Weight that a stage of steps leaves, basis points; 0 where evidence decides it."""
    rule = stage.rungs[-1].weight
    return rule.weight_bp if isinstance(rule, Fixed) else 0


def _stage(
    release: Release, part: StageModel, rules: PolicySpec, *, begin_bp: int, last: bool
) -> Stage:
    policy = OnInconclusive(rules.on_inconclusive)
    match part:
        case Canary():
            return canary_stage(
                steps=[_step(step) for step in part.steps],
                ramp=Ramp(
                    max_bp=rules.ramp.max_bp,
                    growth=rules.ramp.growth,
                    harm_budget=rules.harm_budget,
                ),
                deadline_ms=rules.deadline_ms,
                on_inconclusive=policy,
                shield=part.shield.shield if part.shield else None,
                proportional=part.capacity == "proportional",
                begin_bp=begin_bp,
                preview=PREVIEW,
            )
        case BlueGreen():
            preview = part.preview
            return blue_green_stage(
                match=Match(header=preview.header, value=preview.value),
                hosts=release.preview_hosts(part),
                gates=[*_checks(part)],
                deadline_ms=rules.deadline_ms,
                on_inconclusive=policy,
            )
        case Rolling():
            bounds = bounds_of(release)
            assert bounds is not None  # noqa: S101  # this stage gives them
            return rolling_stage(
                replicas=release.spec.replicas,
                surge=bounds.surge,
                unavailable=bounds.unavailable,
                hold_ms=part.pause.duration_ms if part.pause else LEAST_LOOKS * rules.poll_ms,
                gate=part.gate.name if part.gate else "",
                ask=part.gate.ask if part.gate else None,
                preview=PREVIEW,
                shield=part.shield.shield if part.shield else None,
                deadline_ms=rules.deadline_ms,
                on_inconclusive=policy,
            )
        case Shadow():
            return shadow_stage(
                percent_bp=part.percent_bp,
                rules=part.rules,
                last=last,
                deadline_ms=rules.deadline_ms,
                on_inconclusive=policy,
            )
        case AbTest():
            plain = part.forced_header in (None, release.spec.traffic.forced_header)
            return ab_test_stage(
                variants=[(variant.name, variant.weight_bp) for variant in part.variants],
                rules=part.rules,
                forced_header=None if plain else part.forced_header,
                shield=part.shield.shield if part.shield else None,
            )


def _step(step: Step) -> EngineStep:
    if step.gate is not None:
        return GateStep(name=step.gate.name, ask=step.gate.ask)
    if step.pause is not None:
        return Pause(duration_ms=step.pause.duration_ms)
    if step.header_only is not None:
        only = step.header_only
        return HeaderOnly(match=Match(header=only.header, value=only.value))
    # A step holds exactly one field (Step.relations), so this one is not None.
    return SetWeight(weight_bp=step.set_weight_bp or 0)


def _checks(stage: BlueGreen) -> Iterator[Gate]:
    seen: Counter[str] = Counter()
    for check in stage.checks:
        name = check.name or check.title
        seen[name] += 1
        numbered = f"{name} ({seen[name]})" if seen[name] > 1 else name
        yield Gate(name=numbered, ask=check.ask)
    if stage.gate is not None:
        yield Gate(name=stage.gate.name, ask=stage.gate.ask)


def with_lease(stages: tuple[Stage, ...], *, able: bool) -> tuple[Stage, ...]:
    """Stages that hold a lease only where the data plane can."""
    return tuple(replace(stage, lease=stage.lease and able) for stage in stages)
