"""The candidate's weight: what rule, evidence and ready replicas allow."""

from dataclasses import replace

from sluice.engine import sizes
from sluice.engine.plan import ByReady, Fixed
from sluice.engine.ramp import next_weight_bp
from sluice.engine.records import Moved, record
from sluice.engine.state import Mode, State
from sluice.nouns import Verdict

SMALLEST_STEP = 1.05
"""A ramp grows by at least this factor: smaller steps cost a routing change and tell nothing."""


def weigh(state: State, verdict: Verdict | None = None) -> Moved:
    """Set the weight that rule, evidence and ready replicas allow now."""
    weight = state.weight_bp
    match state.mode:
        case Mode.RUNNING:
            weight = _rung_weight(state, verdict)
        case Mode.ABORTED if weight > 0:
            weight = min(weight, sizes.shortage_bp(state))
        case Mode.STEADY:
            return _watch_stable(state)
        case _:
            return state, ()
    if weight == state.weight_bp:
        return state, ()
    weighed = replace(state, weight_bp=weight)
    changed = record(
        weighed,
        "WeightChanged",
        reason="Ramp" if state.mode is Mode.RUNNING else "FallingBack",
        message=f"weight {state.weight_bp / 100:g}% to {weight / 100:g}%",
        from_bp=state.weight_bp,
        to_bp=weight,
    )
    return weighed, (changed,)


def _rung_weight(state: State, verdict: Verdict | None) -> int:
    rule, current = state.at_rung.weight, state.weight_bp
    if isinstance(rule, Fixed):
        return current
    if isinstance(rule, ByReady):
        wanted = sizes.ready_share_bp(state)
    elif verdict is not None:
        wanted = next_weight_bp(
            current_bp=current,
            max_bp=rule.max_bp,
            growth=rule.growth,
            harm_budget=rule.harm_budget,
            evidence=verdict.evidence,
            rate_rps=verdict.rate_rps,
            interval_s=verdict.interval_s,
        )
        if current < wanted < min(rule.max_bp, current * SMALLEST_STEP):
            wanted = current
    else:
        return current
    held = state.paused or bool(state.hold) or state.is_frozen
    return min(wanted, current) if held else wanted


def _watch_stable(state: State) -> Moved:
    stable = state.stable
    lost = stable is not None and state.ready_of(stable) == 0
    if lost and not state.hold:
        message = f"stable {stable} has no ready replica"
        down = replace(state, hold="StableNotReady", reason="StableNotReady", message=message)
        return down, (record(down, "Degraded"),)
    if not lost and state.hold:
        message = f"stable {stable} is ready again"
        up = replace(state, hold="", reason="Recovered", message=message)
        return up, (record(up, "Recovered"),)
    return state, ()
