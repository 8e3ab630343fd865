"""What is legal and probably not meant: one line each, with the place."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, log, log1p

from sluice.errors import Fault
from sluice.spec.abtest import AbTest
from sluice.spec.base import Loc
from sluice.spec.canary import Canary
from sluice.spec.lint_strategies import doubts
from sluice.spec.loader import Document, Documents
from sluice.spec.pods import misspelt
from sluice.spec.policy import ReleasePolicy
from sluice.spec.release import Release
from sluice.spec.rolling import Rolling
from sluice.spec.scalars import format_duration, format_percent, shown
from sluice.spec.settings import DEFAULT_POLICY
from sluice.spec.slo import SLO

MANY_REQUESTS = 10_000
"""More requests than this until PASS are worth a warning: minutes at 100 requests a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LintWarning(Fault):
    """A setting that is legal and probably not meant; ``rule`` names what was looked for."""

    rule: str


Found = Iterator[tuple[str, Document, Loc, str]]
"""(rule, document, place, reason)."""


def lint(documents: Documents) -> list[LintWarning]:
    """Warnings about checked documents, in the order of their files and lines."""
    slos = {slo.name: slo for slo in documents.slos}
    warnings = []
    for rule, document, loc, reason in _all(documents, slos):
        fault = documents.place(document).fault(loc, reason)
        warnings.append(
            LintWarning(rule=rule, path=fault.path, reason=reason, file=fault.file, line=fault.line)
        )
    return sorted(warnings, key=lambda warning: (warning.file, warning.line))


def _all(documents: Documents, slos: Mapping[str, SLO]) -> Found:
    for release in documents.releases:
        policy = documents.policy_of(release)
        yield from _release(release)
        yield from _pods(release)
        yield from _judged(release, policy, slos)
        for rule, place, reason in doubts(release):
            yield rule, release, place, reason
        for loc, canary in release.spec.strategy.canaries:
            place = ("spec", "strategy", *loc)
            yield from _steps(release, canary, place, (policy or DEFAULT_POLICY).spec.deadline_ms)
    for policy in documents.policies:
        yield from _times(policy)
        yield from _chances(policy, slos)
    yield from _unused(documents)


def _release(release: Release) -> Found:
    spec = release.spec
    if spec.replicas == 1:
        reason = "one replica: its restart is an outage, and one sick pod looks like a bad version"
        yield "one-replica", release, ("spec", "replicas"), reason
    if spec.keep_warm_ms == 0:
        reason = "without keepWarm the old stable is gone at once: undo is then a new release"
        yield "no-undo", release, ("spec", "keepWarm"), reason
    if spec.policy_ref is None:
        reason = "no policyRef: judged by the default policy, 99% of answers below 500"
        yield "default-policy", release, ("spec",), reason
    if spec.disruption_budget is not None and spec.disruption_budget.spared(spec.replicas) < 1:
        reason = f"of {spec.replicas} replicas none may be away: a drain of their node never ends"
        yield "no-drain", release, ("spec", "disruptionBudget"), reason


def _pods(release: Release) -> Found:
    at: Loc = ("spec", "template", "spec", "containers")
    port = release.spec.traffic.port
    pod = release.spec.template.spec
    for loc, reason in misspelt(pod):
        yield "unknown-pod-field", release, ("spec", "template", "spec", *loc), reason
    for i, container in enumerate(pod.containers):
        named = {key for p in container.ports or () for key in (p.name, p.container_port)}
        if (port in named or len(pod.containers) == 1) and container.readiness_probe is None:
            reason = "no readinessProbe: a replica gets requests before it can answer"
            yield "no-readiness", release, (*at, i), reason
        image = container.image
        if image is not None and "@" not in image:
            tag = image.rpartition("/")[2].partition(":")[2]
            if tag in ("", "latest"):
                reason = f"{shown(image)} names no fixed version: what runs can change unseen"
                yield "moving-image", release, (*at, i, "image"), reason


def _judged(release: Release, policy: ReleasePolicy | None, slos: Mapping[str, SLO]) -> Found:
    if policy is None:
        return
    thresholds = [
        slos[ref.slo_ref].threshold_ms for ref in policy.spec.objectives if ref.slo_ref is not None
    ]
    slowest = max((ms for ms in thresholds if ms is not None), default=None)
    if slowest is None:
        return
    timeout_ms = release.spec.traffic.timeout_ms
    if timeout_ms <= slowest:
        reason = (
            f"{format_duration(timeout_ms)} is not above the latency objective of {slowest} ms: "
            "every slow answer becomes an error"
        )
        yield "timeout-within-slo", release, ("spec", "traffic", "timeout"), reason
    for loc, part in release.spec.strategy.parts:
        shield = part.shield if isinstance(part, Canary | Rolling | AbTest) else None
        if shield is not None and shield.per_try_timeout_ms < slowest:
            tries_ms = shield.per_try_timeout_ms
            reason = (
                f"{format_duration(tries_ms)} is below the latency objective of {slowest} ms: "
                "answers that are fast enough are replaced and counted as failed"
            )
            place: Loc = ("spec", "strategy", *loc, "shield", "perTryTimeout")
            yield "shield-within-slo", release, place, reason


def _steps(release: Release, canary: Canary, at: Loc, deadline_ms: int) -> Found:
    steps = canary.steps
    for i, (step, following) in enumerate(pairwise(steps)):
        if step.set_weight_bp is None or following.set_weight_bp is None:
            continue
        loc: Loc = (*at, "steps", i + 1, "setWeight")
        if step.set_weight_bp == following.set_weight_bp:
            reason = "changes nothing: the step before sets the same weight"
            yield "same-weight", release, loc, reason
        elif step.set_weight_bp > 0:
            reason = (
                f"follows {format_percent(step.set_weight_bp)}% without a pause or gate: that "
                "weight is left before anything can be learnt from it"
            )
            yield "no-pause", release, loc, reason
    weights = [step.set_weight_bp for step in steps if step.set_weight_bp is not None]
    if steps and not any(weights):
        reason = "no step gives the candidate a request: it can never pass"
        yield "no-traffic", release, (*at, "steps"), reason
    elif steps and next(bp for bp in weights if bp) >= 5_000:
        first = next(bp for bp in weights if bp)
        reason = f"the first share is {format_percent(first)}%: a bad version meets that many users"
        yield "large-first-step", release, (*at, "steps"), reason
    pauses = [step.pause.duration_ms or 0 for step in steps if step.pause is not None]
    if sum(pauses) >= deadline_ms:
        reason = (
            f"pauses of {format_duration(sum(pauses))} in all reach the deadline of "
            f"{format_duration(deadline_ms)}: the stage ends before its last step"
        )
        yield "pauses-over-deadline", release, (*at, "steps"), reason


def _times(policy: ReleasePolicy) -> Found:
    spec = policy.spec
    if spec.deadline_ms <= spec.min_bake_ms:
        reason = (
            f"{format_duration(spec.deadline_ms)} is not longer than minBake, "
            f"{format_duration(spec.min_bake_ms)}: nothing can be promoted before the deadline"
        )
        yield "deadline-before-bake", policy, ("spec", "deadline"), reason
    if spec.min_bake_ms == 0:
        reason = "without minBake a version that fails after a minute can be stable by then"
        yield "no-bake", policy, ("spec", "minBake"), reason
    elif spec.warm_up_ms >= spec.min_bake_ms:
        reason = f"is not shorter than minBake, {format_duration(spec.min_bake_ms)}"
        yield "warm-up-over-bake", policy, ("spec", "warmUp"), reason
    if spec.lease_ms < 3 * spec.poll_ms:
        reason = (
            f"{format_duration(spec.lease_ms)} is shorter than three polls of "
            f"{format_duration(spec.poll_ms)}: one late poll takes the traffic away"
        )
        yield "short-lease", policy, ("spec", "lease"), reason


def _chances(policy: ReleasePolicy, slos: Mapping[str, SLO]) -> Found:
    spec = policy.spec
    if spec.alpha > 0.05:
        reason = f"{spec.alpha:g} turns back up to {spec.alpha:.0%} of good versions"
        yield "large-alpha", policy, ("spec", "alpha"), reason
    if spec.beta > 0.2:
        reason = f"{spec.beta:g} promotes up to {spec.beta:.0%} of bad versions that reach PASS"
        yield "large-beta", policy, ("spec", "beta"), reason
    if spec.on_inconclusive == "promote":
        reason = "promotes at the deadline what nothing has proven good"
        yield "promotes-unproven", policy, ("spec", "onInconclusive"), reason
    counted = [(i, ref) for i, ref in enumerate(spec.objectives) if ref.slo_ref is not None]
    judged = [slos[ref.slo_ref or ""] for _, ref in counted if not ref.dry_run]
    if spec.objectives and all(ref.dry_run for ref in spec.objectives):
        reason = "every objective is a dry run: nothing turns a bad version back"
        yield "only-dry-runs", policy, ("spec", "objectives"), reason
    if not any(slo.sli == "latency" for slo in judged):
        reason = "no latency objective: a version that is slow and answers everything passes"
        yield "no-latency", policy, ("spec", "objectives"), reason
    if judged and not any(slo.sli == "availability" for slo in judged):
        reason = "no availability objective: fast errors are good answers"
        yield "no-availability", policy, ("spec", "objectives"), reason
    for i, ref in counted:
        slo = slos[ref.slo_ref or ""]
        needed = requests_to_pass(slo.target, ref.pass_budget, spec.beta)
        if needed > MANY_REQUESTS:
            reason = (
                f"a target of {slo.target * 100:g}% with passBudget {ref.pass_budget:g} passes "
                f"after {needed:,} candidate requests without a bad one, at the earliest"
            )
            yield "many-requests", policy, ("spec", "objectives", i), reason


def requests_to_pass(target: float, pass_budget: float, beta: float) -> int:
    """Fewest candidate requests after which any test can say PASS by budget, none of them bad.

    Against the hypothesis of a bad rate q = passBudget (1 - target), a good request multiplies the
    evidence by at most 1/(1-q), and PASS needs 2/beta of it.
    """
    return ceil(log(2 / beta) / -log1p(-pass_budget * (1 - target)))


def _unused(documents: Documents) -> Found:
    used = {ref.slo_ref for policy in documents.policies for ref in policy.spec.objectives}
    for slo in documents.slos:
        if slo.name not in used:
            reason = f"no policy refers to SLO {shown(slo.name)}: it judges nothing"
            yield "unused-slo", slo, ("metadata", "name"), reason
    named = {r.spec.policy_ref.name for r in documents.releases if r.spec.policy_ref}
    for policy in documents.policies:
        if documents.releases and policy.name not in named:
            reason = f"no release refers to policy {shown(policy.name)}: it judges nothing"
            yield "unused-policy", policy, ("metadata", "name"), reason
