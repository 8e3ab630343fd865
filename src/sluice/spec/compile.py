"""Checked documents to what the engine takes: a plan, or every reason why there is none."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from sluice.engine.plan import ByReady, Fixed, Plan, Ramp, Stage
from sluice.errors import Fault, SpecError
from sluice.nouns import Capabilities, Match, Purpose
from sluice.spec.abtest import AbTest
from sluice.spec.base import Loc, Relation
from sluice.spec.bluegreen import BlueGreen
from sluice.spec.canary import Canary
from sluice.spec.places import Place
from sluice.spec.policy import ReleasePolicy
from sluice.spec.release import Release
from sluice.spec.rolling import Rolling
from sluice.spec.scalars import format_percent
from sluice.spec.settings import DEFAULT_POLICY
from sluice.spec.shadow import Shadow
from sluice.spec.stages import bounds_of, stages_of, with_lease
from sluice.spec.strategy import StageModel


def to_plan(
    release: Release,
    policy: ReleasePolicy | None = None,
    capabilities: Capabilities = Capabilities(),  # noqa: B008  # frozen, and all of it is the default
    *,
    place: Place = Place(),  # noqa: B008  # frozen, and all of it is the default
) -> Plan:
    """Compile the journey of a candidate.

    Args:
        release: What is released and how.
        policy: How it is judged; None: every default.
        capabilities: What the data plane can do.
        place: Where the release stands (``Documents.place``), for faults with file and line.

    Raises:
        SpecError: the release asks for what the data plane cannot do, or a stage would move users
            back; names each path.
    """
    policy = policy or DEFAULT_POLICY
    lacks = list(_lacks(release, policy, capabilities, place))
    if lacks:
        raise SpecError(lacks)
    traffic, rules = release.spec.traffic, policy.spec
    stages = stages_of(release, rules)
    falls = [place.fault(loc, reason) for loc, reason in _falls(release, stages)]
    if falls:
        raise SpecError(falls)
    bounds = bounds_of(release)
    return Plan(
        release=release.name,
        replicas=release.spec.replicas,
        hosts=release.hosts,
        stages=with_lease(stages, able=capabilities.lease),
        timeout_ms=traffic.timeout_ms,
        sticky_header=traffic.sticky.header if traffic.sticky else None,
        sticky_cookie=traffic.sticky.cookie if traffic.sticky else None,
        forced_header=traffic.forced_header,
        no_mirror=tuple(Match(header=m.header, value=m.value) for m in traffic.no_mirror),
        min_bake_ms=rules.min_bake_ms,
        keep_warm_ms=release.spec.keep_warm_ms,
        progress_deadline_ms=release.spec.progress_deadline_ms,
        lease_ms=rules.lease_ms,
        poll_ms=rules.poll_ms,
        watch=stages[-1].strategy == "blueGreen",
        surge=bounds.surge if bounds else None,
        unavailable=bounds.unavailable if bounds else 0,
    )


def _falls(release: Release, stages: tuple[Stage, ...]) -> Iterator[Relation]:
    """Stages that begin below what the ramp before them may have reached, and ramps below steps."""
    reached = 0
    for (loc, _), (before, after) in zip(
        release.spec.strategy.parts[1:], pairwise(stages), strict=True
    ):
        reached = max(reached, _weights(before)[1])
        first = _weights(after)[0]
        if first < reached:
            yield (
                ("spec", "strategy", *loc),
                f"begins at {format_percent(first)}%, below the {format_percent(reached)}% that "
                f"the {before.strategy} before it may reach: weights only grow",
            )


def _weights(stage: Stage) -> tuple[int, int]:
    """Weight that a stage begins with (a ramp: that it does not exceed) and its largest."""
    weights = []
    for rung in stage.rungs:
        match rung.weight:
            case Fixed(weight_bp=bp) | Ramp(max_bp=bp):
                weights.append(bp)
            case ByReady():
                weights.append(0)
    if stage.strategy == "abTest":
        live = [arm.share for arm in stage.rungs[0].arms if arm.purpose is Purpose.LIVE]
        return live[0], max(weights)
    return weights[0], max(weights)


def _lacks(
    release: Release, policy: ReleasePolicy, can: Capabilities, place: Place
) -> Iterable[Fault]:
    traffic, strategy = release.spec.traffic, ("spec", "strategy")
    needs: list[tuple[bool, bool, Loc, str]] = [
        (traffic.sticky is not None, can.sticky, ("spec", "traffic", "sticky"), "keep users"),
        (
            traffic.forced_header is not None,
            can.forced,
            ("spec", "traffic", "forcedHeader"),
            "choose a revision by header",
        ),
        (
            "lease_ms" in policy.spec.model_fields_set,
            can.lease,
            ("spec", "policyRef"),
            "hold the lease that the policy asks for",
        ),
    ]
    for loc, part in release.spec.strategy.parts:
        for below, able, what in _needs(part, can):
            needs.append((True, able, (*strategy, *loc, *below), what))
    for wanted, able, loc, what in needs:
        if wanted and not able:
            reason = f"the data plane cannot {what}: leave this out or choose another data plane"
            yield place.fault(loc, reason)
    if not can.counters:
        yield from (place.fault(loc, reason) for loc, reason in _uncounted(release, policy))


def _uncounted(release: Release, policy: ReleasePolicy) -> Iterator[Relation]:
    """What needs counts of requests, where the data plane has none: what to write instead."""
    where: Loc = ("spec", "policyRef") if release.spec.policy_ref is not None else ("spec",)
    none, rules = "the data plane counts no requests", policy.spec
    query = "prometheus: {name, target, bad, total}"
    if not rules.objectives:
        yield (
            where,
            f"{none}, and without objectives 99% of answers below 500 are asked for: name a "
            f"ReleasePolicy whose objectives are queries ({query}) and that says where Prometheus "
            "is (prometheus: {url})",
        )
    for ref in rules.objectives:
        if ref.slo_ref is not None:
            yield (
                where,
                f"{none}: policy {policy.name} judges by SLO {ref.slo_ref}, which only routers "
                f"count; write this objective as a query ({query})",
            )
    for name, asked in (
        ("clientErrors", rules.client_errors and "client_errors" in rules.model_fields_set),
        ("latencyOrder", rules.latency_order and "latency_order" in rules.model_fields_set),
    ):
        if asked:
            yield where, f"{none}: policy {policy.name} asks for {name}; leave it out"
    for loc, part in release.spec.strategy.parts:
        if isinstance(part, Canary) and not part.steps:
            yield (
                ("spec", "strategy", *loc),
                f"{none}, and a canary without steps is paced by their rate: give steps, such as "
                "steps: [{setWeight: 5}, {pause: {duration: 10m}}, {setWeight: 50}]",
            )


def _needs(part: StageModel, can: Capabilities) -> Iterator[tuple[Loc, bool, str]]:
    """(place below the stage, whether the data plane can, what)."""
    weights = "split live requests by weight"
    match part:
        case Canary():
            yield (), can.weights, weights
            for i, step in enumerate(part.steps):
                if step.header_only is not None:
                    yield ("steps", i, "headerOnly"), can.forced, "choose a revision by header"
                ask = step.gate.ask if step.gate is not None else None
                if ask is not None and ask.kind != "webhook":
                    yield ("steps", i, "gate"), can.preview, "show a candidate without users"
        case BlueGreen():
            yield (), can.preview, "show a candidate without users"
        case Rolling():
            yield (), can.weights, weights
        case Shadow():
            yield (), can.mirror, "copy requests"
            yield (), can.capture or not can.mirror, "keep answers to copied requests"
        case AbTest():
            yield (), can.weights, weights
            yield (), can.sticky, "keep users"
            if part.forced_header is not None:
                yield ("forcedHeader",), can.forced, "choose a revision by header"
    if isinstance(part, Canary | Rolling | AbTest) and part.shield is not None:
        yield ("shield",), can.shield, "replace failed answers"
