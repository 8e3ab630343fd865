"""Values that a supervisor would give, for every renderer and command to draw."""

import math
from dataclasses import replace

from sluice.nouns import (
    ArmCounts,
    CheckResult,
    Counts,
    Evidence,
    Phase,
    Purpose,
    RevisionId,
    Snapshot,
    Verdict,
    VerdictKind,
)
from sluice.reports.model import (
    Comparison,
    Decision,
    GateStatus,
    PeerHarm,
    ReleaseStatus,
    RevisionStatus,
    RungStatus,
    SimulationResult,
    TrafficPoint,
)
from sluice.reports.traffic import Poll

V1, V2 = RevisionId("aa01bc33d4"), RevisionId("7f3a9c21d0")
BEGAN = 1_772_377_200_000
NOW = BEGAN + 130_000
ALPHA, BETA = math.log(1_000), math.log(40)


def check(name: str, objective: str, e: float, limit: float = math.inf) -> CheckResult:
    passing = name == "non-inferiority"
    threshold = BETA if passing else ALPHA
    fired = math.log(e) >= threshold
    kinds = (VerdictKind.PASSED if passing else VerdictKind.FAILED, VerdictKind.INCONCLUSIVE)
    rules = {
        "slo": "fails when the bad rate is proven above 1%",
        "regression": "fails when the bad rate is proven above 1.1 x stable's",
        "non-inferiority": "passes when the bad rate is proven below 2 x stable's",
    }
    return CheckResult(
        check=name,
        objective=objective,
        kind=kinds[0] if fired else kinds[1],
        log_e=math.log(e),
        log_threshold=threshold,
        p_value=min(1.0, 1 / e),
        weight=0.0 if passing else 0.25,
        requests=1_204,
        information_limit=limit,
        rule=rules[name],
    )


def evidence(objective: str, bad: int, n: int, low: float, high: float) -> Evidence:
    return Evidence(
        objective=objective,
        n_candidate=n,
        bad_candidate=bad,
        n_stable=9_310,
        bad_stable=46,
        rate_candidate=bad / n,
        low=low,
        high=high,
        upper=high,
        baseline=46 / 9_310,
        ratio_low=0.31,
        ratio_high=math.inf if bad == 0 else 2.4,
    )


GOOD = Verdict(
    kind=VerdictKind.INCONCLUSIVE,
    reason="nothing speaks against the candidate; passed needs more requests",
    taken_ms=NOW - 400,
    checks=(
        check("slo", "availability", 0.02),
        check("regression", "availability", 0.31),
        check("non-inferiority", "availability", 12.4, 1_530.2),
        check("slo", "latency", 0.02),
        check("regression", "latency", 0.52),
        check("non-inferiority", "latency", 31.9, 1_290.7),
    ),
    evidence=(
        evidence("availability", 5, 1_204, 0.0009, 0.0121),
        evidence("latency", 0, 1_204, 0.0, 0.0064),
    ),
    log_e=math.log(0.28),
    log_threshold=ALPHA,
    requests=1_204,
    harmed=5,
    rate_rps=50.2,
)
BAD = replace(
    GOOD,
    kind=VerdictKind.FAILED,
    reason="availability: 21% of the candidate's answers are bad, stable has 0.49%",
    checks=(
        check("slo", "availability", 48_211.0, 11.4),
        check("regression", "availability", 30_900.0, 14.1),
        check("non-inferiority", "availability", 0.001),
    ),
    evidence=(evidence("availability", 13, 62, 0.081, 0.401),),
    log_e=math.log(19_777.0),
    requests=62,
    harmed=13,
)


def decision(at_s: float, kind: str, reason: str, message: str, **more: object) -> Decision:
    values = {"revision": V2, "pass_number": 3, **more}
    return Decision(
        at_ms=BEGAN + round(at_s * 1_000), kind=kind, reason=reason, message=message, **values
    )


STARTED = decision(0, "PassStarted", "PassStarted", f"{V2} against stable {V1}", to_bp=0)
ENTERED = decision(
    8.2,
    "RungEntered",
    "RungEntered",
    "step ramp",
    rung_name="ramp",
    from_bp=0,
    to_bp=1_000,
    generation=11,
    effect_ms=12,
)
CHANGED = decision(
    60.0,
    "WeightChanged",
    "Ramp",
    "weight 10% to 12.5%",
    rung_name="ramp",
    from_bp=1_000,
    to_bp=1_250,
    generation=12,
    effect_ms=9,
    verdict=GOOD,
)
ABORTED = decision(
    10.5,
    "Aborted",
    "CheckFailed",
    "slo and regression on availability; stable serves everything",
    rung_name="ramp",
    from_bp=1_000,
    to_bp=0,
    generation=12,
    effect_ms=11,
    verdict=BAD,
)
PROMOTED = decision(
    120.0,
    "Promoted",
    "ChecksPassed",
    f"{V2} is stable",
    from_bp=1_250,
    to_bp=10_000,
    generation=13,
    effect_ms=8,
    verdict=GOOD,
    by="ada",
)


def revisions(weight_bp: int) -> tuple[RevisionStatus, ...]:
    return (
        RevisionStatus(
            revision=V2,
            role="candidate",
            weight_bp=weight_bp,
            desired=2,
            ready=2,
            label="v2",
            requests=1_204,
            errors=5,
            rps=6.2,
        ),
        RevisionStatus(
            revision=V1,
            role="stable",
            weight_bp=10_000 - weight_bp,
            desired=2,
            ready=2,
            label="v1",
            requests=9_310,
            errors=46,
            rps=43.9,
        ),
    )


RUNNING = ReleaseStatus(
    name="taxi",
    phase=Phase.PROGRESSING,
    reason="Ramp",
    message="12.5% of the requests go to v2; nothing speaks against it",
    next="at the next look (1s) the weight may grow to 37.5%; promotion when passed and baked",
    stable=V1,
    candidate=V2,
    weight_bp=1_250,
    generation=12,
    acknowledged=12,
    pass_number=3,
    pass_started_ms=BEGAN,
    updated_ms=NOW - 400,
    rungs=(RungStatus(stage=0, strategy="canary", name="ramp", state="active"),),
    revisions=revisions(1_250),
    verdict=GOOD,
    bake_ms=121_800,
    min_bake_ms=600_000,
    rate_rps=50.2,
    hosts=("taxi",),
    decisions=(STARTED, ENTERED, CHANGED),
)
STEPPING = replace(
    RUNNING,
    phase=Phase.PAUSED,
    reason="Gate",
    message="waits for the gate approve",
    next="a person answers gate approve: `sluice approve taxi approve` or "
    "`sluice reject taxi approve`",
    gates=(GateStatus(name="approve"),),
    rungs=tuple(
        RungStatus(stage=0, strategy="canary", name=name, state=state)
        for name, state in (
            ("setWeight 5", "done"),
            ("pause 2m", "done"),
            ("gate approve", "active"),
            ("setWeight 25", "todo"),
            ("bake", "todo"),
        )
    ),
)
ASKED = replace(
    STEPPING,
    message="step 3: gate smoke",
    gates=(
        GateStatus(
            name="smoke",
            asked="webhook https://checks.example",
            said="https://checks.example answered 503: busy",
        ),
    ),
    problems=("gate smoke: https://checks.example answered 503: busy; asked again",),
    next="gate smoke is answered by webhook https://checks.example, or by a person: "
    "`sluice approve taxi smoke` or `sluice reject taxi smoke`",
)
TURNED_BACK = replace(
    RUNNING,
    phase=Phase.ABORTED,
    reason="CheckFailed",
    message="v2 was turned back: slo and regression on availability; stable serves everything",
    next="`sluice retry` starts a new pass; a new deploy replaces it",
    weight_bp=0,
    revisions=revisions(0),
    rungs=(),
    verdict=BAD,
    decisions=(STARTED, ENTERED, ABORTED),
)
HEALTHY = replace(
    RUNNING,
    phase=Phase.HEALTHY,
    reason="Promoted",
    message="v2 is stable",
    next="",
    stable=V2,
    candidate=None,
    weight_bp=0,
    rungs=(),
    revisions=(replace(revisions(10_000)[0], role="stable"),),
    warm_left_ms=580_000,
    decisions=(STARTED, ENTERED, CHANGED, PROMOTED),
)
HELD = replace(
    RUNNING,
    phase=Phase.PAUSED,
    reason="DeadlineExceeded",
    message="the checks have not decided in 60m",
    next="`sluice promote --full`, `sluice abort`, or `sluice resume` for another 60m",
)
BEFORE = replace(
    RUNNING,
    phase=Phase.HEALTHY,
    reason="Promoted",
    message="v1 is stable",
    next="",
    candidate=None,
    weight_bp=0,
    pass_number=2,
    rungs=(),
    verdict=None,
    revisions=(replace(revisions(0)[1], weight_bp=10_000),),
    decisions=(),
)
SIMULATED = SimulationResult(
    runs=200,
    outcomes={"aborted": 188, "held": 10, "promoted": 2},
    seconds_to_decision=tuple(8 + (i * 37 % 190) ** 1.5 / 40 for i in range(190)),
    requests_to_decision=tuple(90 + i * 37 % 190 for i in range(190)),
    harmed=tuple(3 + i % 14 for i in range(200)),
)
COMPARISON = Comparison(
    requests=3_250,
    lost=0,
    harmed=13,
    decided_s=2.3,
    peers=(
        PeerHarm(name="Argo Rollouts, docs example", harmed=533, note="20% for 533 requests"),
        PeerHarm(name="Flagger, defaults", harmed=351, note="10% a minute"),
    ),
)
TRAFFIC = tuple(
    point
    for second in range(65)
    for point in (
        TrafficPoint(
            at_ms=BEGAN + second * 1_000,
            revision=V1,
            requests=50 - (6 if 8 <= second < 11 else 0) + second % 5,
            errors=int(second % 9 == 0),
        ),
        TrafficPoint(
            at_ms=BEGAN + second * 1_000,
            revision=V2,
            requests=(6 + second % 2) if 8 <= second < 11 else 0,
            errors=(2 if second < 10 else 3) if 8 <= second < 11 else 0,
        ),
    )
)


def poll(second: int, *counts: tuple[RevisionId, int, int], epoch: str = "e1") -> Poll:
    """A reading with (revision, requests, errors) so far."""
    at_ms = BEGAN + second * 1_000
    arms = tuple(
        ArmCounts(
            revision=revision, purpose=Purpose.LIVE, counts=Counts(total=total, errors=errors)
        )
        for revision, total, errors in counts
    )
    snapshot = Snapshot(router="r1", epoch=epoch, taken_ms=at_ms, arms=arms)
    verdict = replace(GOOD, taken_ms=at_ms)
    return Poll(at_ms=at_ms, pass_number=3, verdict=verdict, snapshots=(snapshot,))


POLLS = (
    poll(8, (V1, 1_000, 3)),
    poll(9, (V1, 1_045, 3), (V2, 5, 1)),
    poll(12, (V1, 1_180, 4), (V2, 21, 4)),
)
