"""What the checks of a release need, from its policy and SLOs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sluice.errors import Fault, SpecError
from sluice.nouns import FreezeWindow, Notify, Objective
from sluice.spec.abtest import AbTest
from sluice.spec.objectives import ObjectiveRef
from sluice.spec.places import dotted
from sluice.spec.policy import ReleasePolicy
from sluice.spec.release import Release
from sluice.spec.slo import SLO
from sluice.spec.strategy import StageModel

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

TEST_MS = 28 * 86_400_000
"""How long a test is taken to last that only a number of users ends: four weeks."""


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
    lasts = (_lasts_ms(stage, rules.deadline_ms) for _, stage in release.spec.strategy.parts)
    total_ms = sum(lasts) + release.spec.keep_warm_ms
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


def _lasts_ms(stage: StageModel, deadline_ms: int) -> int:
    if isinstance(stage, AbTest):
        return stage.horizon.duration_ms or TEST_MS
    return deadline_ms
