"""Checked documents to what the engine, the checks and the platform take."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sluice.engine.canary import GateStep, Pause, SetWeight, canary_stage
from sluice.engine.canary import Step as EngineStep
from sluice.engine.plan import OnInconclusive, Plan, Ramp, Stage
from sluice.errors import Fault, SpecError
from sluice.nouns import (
    Capabilities,
    FreezeWindow,
    Match,
    Notify,
    Objective,
    RevisionId,
    Shield,
    Workload,
)
from sluice.spec.base import Loc
from sluice.spec.canary import Canary, Step
from sluice.spec.objectives import ObjectiveRef
from sluice.spec.places import Place, dotted
from sluice.spec.policy import ReleasePolicy
from sluice.spec.release import Release
from sluice.spec.slo import SLO

DEFAULT_POLICY = ReleasePolicy.model_validate(
    {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ReleasePolicy",
        "metadata": {"name": "default"},
        "spec": {},
    }
)
"""What judges a release that names no policy: every default."""

DEFAULT_OBJECTIVES = (Objective(name="availability", kind="availability", target=0.99),)
"""What a policy without objectives asks for."""

REVISION_LENGTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisSettings:
    """What the checks of one release need to know, from its policy."""

    objectives: tuple[Objective, ...]
    alpha: float
    """Chance of turning back a good candidate, over the whole release."""
    beta: float
    """Chance of passing a bad candidate, per objective."""
    delta: float = 0.01
    """Level of the confidence intervals that the ramp and the status show."""
    poll_ms: int
    polls: int
    """Polls until every deadline and keepWarm are over: restarts are spread over them."""
    warm_up_ms: int
    max_harmed: int | None = None
    """Bad answers that users may see in a pass before it is turned back; None: no such budget."""
    compare_client_errors: bool = True
    """Whether the share of 4xx is compared with stable's."""
    latency_order: bool = True
    """Whether whole latency distributions are compared with stable's."""
    prometheus_url: str = ""
    """Server that objectives of kind ``query`` ask; empty: there is none."""
    freeze: tuple[FreezeWindow, ...] = ()
    notify: tuple[Notify, ...] = ()


def revision_of(release: Release) -> RevisionId:
    """Short hash of what runs: pod template, tracked config and model digest.

    Order and layout of the file, strategy, policy, replicas and traffic do not enter it.
    """
    spec = release.spec
    template = spec.template.model_dump(mode="json", by_alias=True, exclude_unset=True)
    tracked = spec.tracked
    content = {
        "template": template,
        "configMaps": sorted(tracked.config_maps) if tracked else [],
        "secrets": sorted(tracked.secrets) if tracked else [],
        "model": spec.model.digest if spec.model else None,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return RevisionId(hashlib.sha256(text.encode()).hexdigest()[:REVISION_LENGTH])


def workload_of(release: Release) -> Workload:
    """What the revision of this release runs."""
    template = release.spec.template.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return Workload(
        release=release.name,
        revision=revision_of(release),
        template=template,
        port=release.spec.traffic.port,
    )


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
        SpecError: the release asks for what the data plane cannot do; names each path.
    """
    policy = policy or DEFAULT_POLICY
    lacks = list(_lacks(release, policy, capabilities, place))
    if lacks:
        raise SpecError(lacks)
    traffic, rules = release.spec.traffic, policy.spec
    stages = (_stage(canary, policy) for _, canary in release.spec.strategy.canaries)
    return Plan(
        release=release.name,
        replicas=release.spec.replicas,
        hosts=release.hosts,
        stages=tuple(replace(stage, lease=capabilities.lease) for stage in stages),
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
    )


def objectives_of(policy: ReleasePolicy | None, slos: Iterable[SLO]) -> tuple[Objective, ...]:
    """The objectives of a policy, in its order; without any: 99% of answers below 500.

    Raises:
        SpecError: an SLO that the policy names is not in ``slos``.
    """
    if policy is None or not policy.spec.objectives:
        return DEFAULT_OBJECTIVES
    by_name = {slo.name: slo for slo in slos}
    faults: list[Fault] = []
    objectives: list[Objective] = []
    for i, ref in enumerate(policy.spec.objectives):
        objective = _objective(ref, by_name)
        if objective is None:
            path = dotted(("spec", "objectives", i, "sloRef"))
            faults.append(Fault(path=path, reason=f"no SLO {ref.slo_ref!a} is known"))
        else:
            objectives.append(objective)
    if faults:
        raise SpecError(faults)
    return tuple(objectives)


def _objective(ref: ObjectiveRef, slos: Mapping[str, SLO]) -> Objective | None:
    asked, slo = ref.prometheus, slos.get(ref.slo_ref or "")
    if asked is not None:
        objective = Objective(
            name=asked.name,
            kind="query",
            target=asked.target,
            query_bad=asked.bad,
            query_total=asked.total,
        )
    elif slo is not None:
        objective = Objective(
            name=slo.name, kind=slo.sli, target=slo.target, threshold_ms=slo.threshold_ms
        )
    else:
        return None
    return replace(
        objective,
        max_ratio=ref.max_ratio,
        pass_ratio=ref.pass_ratio,
        pass_budget=ref.pass_budget,
        weight=ref.weight,
        dry_run=ref.dry_run,
    )


def analysis_settings(
    release: Release, policy: ReleasePolicy | None, slos: Iterable[SLO]
) -> AnalysisSettings:
    """What the checks of a release need.

    Raises:
        SpecError: an SLO that the policy names is not in ``slos``.
    """
    rules = (policy or DEFAULT_POLICY).spec
    total_ms = len(release.spec.strategy.canaries) * rules.deadline_ms + release.spec.keep_warm_ms
    return AnalysisSettings(
        objectives=objectives_of(policy, slos),
        alpha=rules.alpha,
        beta=rules.beta,
        poll_ms=rules.poll_ms,
        polls=-(-total_ms // rules.poll_ms),
        warm_up_ms=rules.warm_up_ms,
        max_harmed=rules.max_harmed,
        compare_client_errors=rules.client_errors,
        latency_order=rules.latency_order,
        prometheus_url=rules.prometheus.url if rules.prometheus else "",
        freeze=tuple(item.window for item in rules.freeze),
        notify=tuple(item.notify for item in rules.notify),
    )


def _stage(canary: Canary, policy: ReleasePolicy) -> Stage:
    rules = policy.spec
    ramp = Ramp(max_bp=rules.ramp.max_bp, growth=rules.ramp.growth, harm_budget=rules.harm_budget)
    shield = canary.shield
    return canary_stage(
        steps=[_step(step) for step in canary.steps],
        ramp=ramp,
        deadline_ms=rules.deadline_ms,
        on_inconclusive=OnInconclusive(rules.on_inconclusive),
        shield=Shield(per_try_timeout_ms=shield.per_try_timeout_ms) if shield else None,
        proportional=canary.capacity == "proportional",
    )


def _step(step: Step) -> EngineStep:
    if step.gate is not None:
        return GateStep(name=step.gate.name)
    if step.pause is not None:
        return Pause(duration_ms=step.pause.duration_ms)
    # A step holds exactly one field (Step.relations), so this one is not None.
    return SetWeight(weight_bp=step.set_weight_bp or 0)


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
    for loc, canary in release.spec.strategy.canaries:
        path = (*strategy, *loc)
        needs.append((True, can.weights, path, "split live requests by weight"))
        wanted = canary.shield is not None
        needs.append((wanted, can.shield, (*path, "shield"), "replace failed answers"))
    for wanted, able, loc, what in needs:
        if wanted and not able:
            reason = f"the data plane cannot {what}: leave this out or choose another data plane"
            yield place.fault(loc, reason)
