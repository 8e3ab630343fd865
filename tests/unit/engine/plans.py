"""Random plans that hold every word of the plan language."""

from typing import Any

from hypothesis import strategies as st

from sluice.engine.plan import (
    STABLE,
    ArmSpec,
    ByReady,
    Capacity,
    Exit,
    Fixed,
    Gate,
    OnInconclusive,
    Plan,
    Ramp,
    Rung,
    Stage,
)
from sluice.engine.rolling import rolling_stage
from sluice.nouns import Ask, Goal, GoalRules, Match, Purpose, ShadowRules, Shield

CHECKS = ("slo", "regression")
OTHER = "b"
"""The second variant."""

live = ArmSpec()
mirror = ArmSpec(purpose=Purpose.MIRROR, mirror_bp=1_000)
preview = ArmSpec(purpose=Purpose.PREVIEW, match=Match(header="x-preview", value="1"))
staff = ArmSpec(purpose=Purpose.FORCED, match=Match(header="x-staff", value="1"))
forced_stable = ArmSpec(
    variant=STABLE, purpose=Purpose.FORCED, match=Match(header="x-ab", value="stable")
)
two = (ArmSpec(share=3), ArmSpec(variant=OTHER, share=2), forced_stable)

exits = st.builds(
    Exit,
    hold_ms=st.sampled_from([0, 0, 3_000]),
    passed=st.booleans(),
    baked=st.booleans(),
    person=st.sampled_from([False, False, False, True]),
)
gates = st.sampled_from(
    [
        (),
        (),
        (Gate(name="ok"),),
        (Gate(name="ok", ask=Ask(kind="http", url="/health")),),
        (Gate(name="ok", ask=Ask(kind="webhook", url="http://hook")), Gate(name="ok-2")),
    ]
)
weights = st.one_of(
    st.builds(Fixed, weight_bp=st.sampled_from([0, 1, 500, 3_333, 9_999])),
    st.just(Ramp()),
    st.just(ByReady()),
)
live_rungs = st.builds(
    Rung,
    name=st.just("rung"),
    weight=weights,
    arms=st.sampled_from([(live,), (live, staff), two]),
    exit=exits,
    capacity=st.builds(Capacity, candidate_bp=st.sampled_from([10_000, 10_000, 5_000, None])),
    gates=gates,
    checks=st.sampled_from([CHECKS, CHECKS, CHECKS, ()]),
    shield=st.sampled_from([None, Shield(per_try_timeout_ms=100)]),
    goals=st.sampled_from(
        [None, GoalRules(goals=(Goal(name="tip", kind="binary"),), horizon_users=100)]
    ),
)
still_rungs = st.builds(
    Rung,
    name=st.just("still"),
    weight=st.just(Fixed(weight_bp=0)),
    arms=st.sampled_from([(mirror,), (live, preview), (preview, mirror), (live, staff)]),
    exit=exits,
    gates=gates,
    checks=st.just(CHECKS),
    shadow=st.sampled_from([None, ShadowRules(pairs=10)]),
)


def stages(rungs: st.SearchStrategy[tuple[Rung, ...]]) -> st.SearchStrategy[Stage]:
    return st.builds(
        Stage,
        strategy=st.sampled_from(["canary", "canary", "abTest", "shadow"]),
        rungs=rungs,
        deadline_ms=st.sampled_from([None, 20_000, 600_000]),
        on_inconclusive=st.sampled_from(list(OnInconclusive)),
        lease=st.booleans(),
    )


def _plan(stages: list[Stage], **settings: Any) -> Plan:
    return Plan(
        release="taxi",
        hosts=("taxi",),
        stages=tuple(stages),
        **settings,
    )


settings_of_a_release = {
    "forced_header": st.sampled_from([None, "x-arm"]),
    "sticky_header": st.sampled_from([None, "x-user"]),
    "min_bake_ms": st.sampled_from([0, 5_000]),
    "keep_warm_ms": st.sampled_from([0, 10_000]),
    "progress_deadline_ms": st.sampled_from([5_000, 60_000]),
}
still_stages = stages(st.lists(still_rungs, min_size=1, max_size=2).map(tuple))
live_stages = stages(st.lists(live_rungs, min_size=1, max_size=4).map(tuple))
free_plans = st.builds(
    _plan,
    stages=st.lists(st.one_of(live_stages, still_stages), min_size=1, max_size=3),
    replicas=st.integers(1, 4),
    watch=st.booleans(),
    **settings_of_a_release,
)


@st.composite
def bounds(draw: st.DrawFn) -> tuple[int, int, int]:
    """(replicas, surge, unavailable) that a rolling update may have."""
    replicas = draw(st.integers(1, 6))
    unavailable = draw(st.integers(0, replicas - 1))
    return replicas, draw(st.integers(0 if unavailable else 1, 3)), unavailable


@st.composite
def bounded_plans(draw: st.DrawFn) -> Plan:
    replicas, surge, unavailable = draw(bounds())
    before = draw(st.lists(still_stages, max_size=1)) if surge else []
    rolling = rolling_stage(
        replicas=replicas,
        surge=surge,
        unavailable=unavailable,
        hold_ms=draw(st.sampled_from([0, 2_000])),
        gate=draw(st.sampled_from(["", "ok"])),
        ask=draw(st.sampled_from([None, Ask(kind="command", command=("true",))])),
        deadline_ms=draw(st.sampled_from([None, 60_000])),
        on_inconclusive=draw(st.sampled_from(list(OnInconclusive))),
    )
    rest = {key: draw(value) for key, value in settings_of_a_release.items()}
    return _plan(
        [*before, rolling], replicas=replicas, surge=surge, unavailable=unavailable, **rest
    )


plans = st.one_of(free_plans, free_plans, bounded_plans())
