"""The page of the machine: its modes, and where each event leads, found by walking it.

The table of the machine says which events are known in which mode. Where they lead is found by
sending it random events with a fixed seed, so the page cannot say what the code does not do.
"""

import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from sluice.engine import events
from sluice.engine.canary import GateStep, SetWeight, canary_stage
from sluice.engine.machine import TABLE, decide
from sluice.engine.plan import OnInconclusive, Plan, Ramp
from sluice.engine.state import Mode, State
from sluice.nouns import RevisionId, Verdict, VerdictKind

_WALKS, _LONGEST = 400, 200
_REVISIONS = tuple(RevisionId(name) for name in ("v1", "v2", "v3"))
_PLAN = Plan(
    release="taxi",
    replicas=1,
    hosts=("taxi",),
    stages=(
        canary_stage(
            steps=(SetWeight(weight_bp=500), GateStep(name="ok")),
            ramp=Ramp(),
            deadline_ms=60_000,
            on_inconclusive=OnInconclusive.ABORT,
        ),
    ),
    min_bake_ms=1_000,
    keep_warm_ms=20_000,
    progress_deadline_ms=20_000,
)

_MEANING: Mapping[Mode, str] = {
    Mode.EMPTY: "nothing was deployed yet",
    Mode.STARTING: "the first revision gets its replicas; there is no stable yet",
    Mode.STEADY: "stable serves everything",
    Mode.PREPARING: "a candidate gets its replicas; stable serves everything",
    Mode.RUNNING: "a candidate is on a rung",
    Mode.ABORTED: "traffic is back on stable; the candidate is kept for inspection",
    Mode.DELETING: "routing goes first, then the replicas drain",
}

_HEAD = """\
# The machine

<!-- written by `make update` from the machine itself; do not edit -->

`decide(state, event) -> (state, actions)` knows seven modes. The table in
`src/sluice/engine/machine.py` says which events are known in which mode. An event that is not in it
changes nothing, and the answer says what to do instead. Why:
[0001](../decisions/0001-pure-engine.md).
"""

Reached = Mapping[tuple[Mode, type[events.Event]], frozenset[Mode]]


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, _modes(), _diagram(), _table()])


def _modes() -> str:
    rows = [f"| `{mode}` | {_MEANING[mode]} |" for mode in Mode]
    return "\n".join(["| mode | means |", "|---|---|", *rows, ""])


def _diagram() -> str:
    named = defaultdict(list)
    for (mode, event), after in _reached().items():
        for other in after - {mode}:
            named[mode, other].append(_name(event))
    order = {mode: number for number, mode in enumerate(Mode)}
    lines = [
        f"    {before} --> {after}: {', '.join(sorted(names))}"
        for (before, after), names in sorted(
            named.items(), key=lambda item: (order[item[0][0]], order[item[0][1]])
        )
        if after is not Mode.DELETING
    ]
    return "\n".join(
        [
            "## Ways between modes",
            "",
            "`observed` is what replicas and time do, `judged` what the checks say, the others are",
            "what people ask for. Left out: `deleted`, which leads to `deleting` from anywhere.",
            "",
            "```mermaid",
            "stateDiagram-v2",
            "    [*] --> empty",
            *lines,
            "```",
            "",
        ]
    )


def _table() -> str:
    reached = _reached()
    kinds = sorted({event for _, event in TABLE}, key=_name)
    rows = []
    for kind in kinds:
        cells = [_cell(mode, kind, reached) for mode in Mode]
        rows.append(f"| `{_name(kind)}` | " + " | ".join(cells) + " |")
    return "\n".join(
        [
            "## Every event in every mode",
            "",
            "Empty: refused. `stays`: the mode remains. A name: the mode may become that one.",
            "",
            "| event | " + " | ".join(Mode) + " |",
            "|---|" + "---|" * len(Mode),
            *rows,
            "",
        ]
    )


def _cell(mode: Mode, kind: type[events.Event], reached: Reached) -> str:
    if (mode, kind) not in TABLE:
        return ""
    after = reached.get((mode, kind), frozenset())
    others = [other.value for other in Mode if other in after and other is not mode]
    return ", ".join(others) or "stays"


def _name(kind: type[events.Event]) -> str:
    return kind.__name__.lower()


@cache
def _reached() -> Reached:
    draw = random.Random(2026)  # noqa: S311  # a walk that repeats, not a secret
    found: defaultdict[tuple[Mode, type[events.Event]], set[Mode]] = defaultdict(set)
    for _ in range(_WALKS):
        state = State(release=_PLAN.release)
        length = draw.randrange(_LONGEST)
        for number in range(length + 1):
            event = _event(draw, state) if number < length else events.Deleted(at_ms=state.at_ms)
            after, _ = decide(state, event)
            if (state.mode, type(event)) in TABLE:
                found[state.mode, type(event)].add(after.mode)
            state = after
    return {key: frozenset(modes) for key, modes in found.items()}


def _event(draw: random.Random, state: State) -> events.Event:
    """Something that could happen now; a world that obeys is likelier than one that does not."""
    at_ms = state.at_ms + draw.choice((100, 1_000, 10_000))
    if draw.random() < 0.5:
        works = draw.random() < 0.8
        ready = tuple((revision, size if works else 0) for revision, size in state.sizes)
        return events.Observed(at_ms=at_ms, ready=ready)
    if draw.random() < 0.3:
        return events.Acknowledged(at_ms=at_ms, generation=state.generation)
    if draw.random() < 0.5:
        kind = draw.choice((*VerdictKind, VerdictKind.PASSED, VerdictKind.PASSED))
        said = Verdict(kind=kind, reason="", taken_ms=at_ms)
        return events.Judged(at_ms=at_ms, pass_number=state.pass_number, verdict=said)
    asked: tuple[events.Event, ...] = (
        events.Deployed(at_ms=at_ms, revision=draw.choice(_REVISIONS), plan=_plan(draw)),
        events.Promote(at_ms=at_ms, full=True),
        events.Promote(at_ms=at_ms),
        events.Pause(at_ms=at_ms),
        events.Resume(at_ms=at_ms),
        events.Abort(at_ms=at_ms),
        events.Retry(at_ms=at_ms),
        events.Undo(at_ms=at_ms),
        events.Approve(at_ms=at_ms, gate="ok"),
        events.Refuse(at_ms=at_ms, gate="ok"),
        events.Unanswered(at_ms=at_ms, gate="ok", message=""),
        events.Freeze(at_ms=at_ms, until=draw.choice(("", "", "Mon"))),
    )
    return draw.choice(asked)


def _plan(draw: random.Random) -> Plan:
    """The plan with steps and a gate, or one that needs only a verdict; either may watch."""
    watched = replace(_PLAN, watch=draw.random() < 0.5)
    if draw.random() < 0.5:
        return watched
    ramp = canary_stage(steps=(), ramp=Ramp(), deadline_ms=60_000)
    return replace(watched, stages=(ramp,), min_bake_ms=0)
