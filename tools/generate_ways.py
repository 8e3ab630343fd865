"""The page of ways: where a request goes under each strategy, and what one decision touches.

The way of a request is read off the routes that Envoy is given for the example releases. The way of
a decision is one turn of the real loop against twins that write down what they are asked.
"""

import asyncio
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from structlog.testing import capture_logs

from sluice.dataplanes.memory import MemoryDataPlane
from sluice.dataplanes.names import ClusterName, Use
from sluice.dataplanes.routes import INFER_PATH, virtual_hosts
from sluice.engine.events import Acknowledged, Approve, Deployed, Judged, Observed, Promote
from sluice.engine.machine import decide
from sluice.engine.plan import Plan
from sluice.engine.state import Mode, State
from sluice.errors import UnknownRelease
from sluice.metrics.memory import MemoryMetricSource
from sluice.nouns import (
    BP_TOTAL,
    Evidence,
    Objective,
    Phase,
    Purpose,
    RevisionId,
    Routing,
    Verdict,
    VerdictKind,
    Workload,
)
from sluice.platforms.memory import MemoryPlatform
from sluice.runtime.loop import Loop
from sluice.spec import AnalysisSettings, load, to_plan
from sluice.testing.clock import VirtualClock
from sluice.testing.journal import MemoryJournal

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples" / "taxi"
STABLE, CANDIDATE = RevisionId("v1"), RevisionId("v2")
_STRATEGIES = {
    "canary": "release-canary.yaml",
    "blue/green": "release-bluegreen.yaml",
    "rolling": "release-rolling.yaml",
    "shadow": "release-shadow.yaml",
    "A/B": "release-ab.yaml",
}
_SETTINGS = AnalysisSettings(
    objectives=(Objective(name="availability", kind="availability", target=0.99),),
    alpha=0.001,
    beta=0.05,
    poll_ms=1_000,
    polls=600,
    warm_up_ms=0,
)
_LONGEST = 400
_Ways = tuple[tuple[str, str, bool], ...]
"""(label, where to, whether a copy) of every cluster that a route leads to."""
_HEAD = """\
# Ways through Sluice

<!-- written by `make update` from the routes and from a turn of the loop; do not edit -->

How the parts fit together: [architecture](architecture.md).

## The way of a request

Read off the routes that Envoy gets for the releases in `examples/taxi`, at the first step at which
the candidate (`v2`) is reached. Envoy takes the first line that fits.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for strategy, name in _STRATEGIES.items():
        plan, variants = _plan(EXAMPLES / name)
        step, routing = _first_way(plan, variants)
        parts.append(f"### {strategy}: `{step}`\n\n{_picture(routing)}")
    parts.append(_turn())
    return "\n".join(parts)


# --- requests ------------------------------------------------------------------------------------


def _plan(path: Path) -> tuple[Plan, tuple[str, ...]]:
    documents = load([path, EXAMPLES / "policy.yaml", EXAMPLES / "slo.yaml"])
    (release,) = documents.releases
    plan = to_plan(release, documents.policy_of(release))
    return plan, plan.variants


def _first_way(plan: Plan, variants: tuple[str, ...]) -> tuple[str, Routing]:
    """The first step at which the candidate is reached, and the routing there."""
    others = tuple((name, RevisionId(name)) for name in variants if name != "candidate")
    state = _obey(State(release=plan.release), Deployed(at_ms=0, revision=STABLE, plan=plan))
    state = _obey(
        state, Deployed(at_ms=state.at_ms, revision=CANDIDATE, plan=plan, variants=others)
    )
    for _ in range(_LONGEST):
        routing = state.routing
        if state.mode is Mode.RUNNING and routing is not None and _reaches(routing):
            return state.at_rung.name, routing
        state = _obey(state, _next(state))
    raise AssertionError(f"{plan.release}: the candidate is never reached")


def _reaches(routing: Routing) -> bool:
    chosen = [arm for arm in routing.arms if arm.purpose is Purpose.PREVIEW]
    shares = [arm for arm in routing.arms if arm.weight_bp > 0 and arm.revision != STABLE]
    return bool(chosen or shares)


def _next(state: State) -> Judged | Approve | Promote:
    """What moves this on: a good verdict, an answer, a person."""
    open_gates = state.open_gates
    if open_gates:
        return Approve(at_ms=state.at_ms, gate=open_gates[0].name)
    if state.mode is Mode.RUNNING and state.waits_for_person:
        return Promote(at_ms=state.at_ms)
    known = Evidence(
        objective="", n_candidate=100, bad_candidate=0, n_stable=100, bad_stable=0,
        rate_candidate=0.0, low=0.0, high=0.1, upper=0.1, baseline=0.0,
    )  # fmt: skip
    verdict = Verdict(
        kind=VerdictKind.PASSED, reason="", taken_ms=state.at_ms, evidence=(known,), rate_rps=50.0
    )
    return Judged(at_ms=state.at_ms, pass_number=state.pass_number, verdict=verdict)


def _obey(state: State, event: Any) -> State:
    """The state after an event in a world where replicas and routers obey at once."""
    state, _ = decide(state, event)
    for _ in range(2):
        ready = tuple(state.sizes)
        state, _ = decide(state, Observed(at_ms=state.at_ms + 1_000, ready=ready))
        state, _ = decide(state, Acknowledged(at_ms=state.at_ms, generation=state.generation))
    return state


def _picture(routing: Routing) -> str:
    lines = ["```mermaid", "flowchart LR", '    user(["user"])']
    shown: dict[str, str] = {}
    for number, (text, ways) in enumerate(_rows(routing)):
        lines.append(f'    user --> r{number}["{text}"]')
        for label, cluster, copies in ways:
            node = shown.setdefault(cluster, f"c{len(shown)}")
            lines.append(f"    r{number} {'-.->' if copies else '-->'}|{label}| {node}")
    lines += [f'    {node}[("{cluster}")]' for cluster, node in shown.items()]
    return "\n".join([*lines, "```", ""])


def _rows(routing: Routing) -> Iterator[tuple[str, _Ways]]:
    """What matches and where it goes, in Envoy's order; one line where its kind does not matter."""
    found: dict[tuple[str, str, str], dict[str, _Ways]] = {}
    for host in virtual_hosts(routing):
        domains = " or ".join(host["domains"])
        for route in host["routes"]:
            kind, share, rest = _match(route["match"])
            found.setdefault((domains, share, rest), {})[kind] = _ways(route)
    for (domains, share, rest), kinds in found.items():
        same = len(set(kinds.values())) == 1 and len(kinds) > 1
        for kind, ways in list(kinds.items())[: 1 if same else None]:
            what = "all requests" if same else f"{share} of {kind}" if share else kind
            yield f"{what} to {domains}{rest}", ways


def _match(match: Mapping[str, Any]) -> tuple[str, str, str]:
    """A route's match in words: which requests, what share of them, with which headers."""
    pattern = match.get("safe_regex", {}).get("regex")
    kind, share, rest = ("predictions" if pattern == INFER_PATH else "the rest"), "", ""
    if "runtime_fraction" in match:
        share = f"{_percent(match):g}%"
    for header in match.get("headers", ()):
        name, value = header["name"], header.get("string_match", {})
        if name == ":method":
            kind = "reads" if "safe_regex" in value else kind
        elif header.get("invert_match"):
            rest += f", no {name}"
        elif "exact" in value:
            rest += f", {name}: {value['exact']}"
    return kind, share, rest


def _ways(route: Mapping[str, Any]) -> _Ways:
    """Every cluster that a route leads to; without those that get nothing."""
    action = route["route"]
    if "cluster" in action:
        return (("all", _where(action["cluster"]), False),)
    weighted = [entry for entry in action["weighted_clusters"]["clusters"] if entry["weight"]]
    ways = [
        (f"{entry['weight'] * 100 / BP_TOTAL:g}%", _where(entry["name"]), False)
        for entry in weighted
    ]
    # Envoy draws one number a request: on a route of 20% a copy of 20% is a copy of each.
    whole = _percent(route["match"])
    for mirror in action.get("request_mirror_policies", ()):
        share = 100 * _percent(mirror) / whole
        label = "copies" if share >= 100 else f"copies of {share:g}%"
        ways.append((label, _where(mirror["cluster"]), True))
    return tuple(ways)


def _percent(where: Mapping[str, Any]) -> float:
    fraction = where.get("runtime_fraction")
    return float(fraction["default_value"]["numerator"]) / 10_000 if fraction else 100.0


def _where(cluster: str) -> str:
    name = ClusterName.parse(cluster)
    assert name is not None, cluster  # noqa: S101  # our own names
    role = "stable" if name.revision == STABLE else name.revision
    return f"{role}" if name.use is Use.LIVE else f"{role} ({name.use})"


# --- decisions -----------------------------------------------------------------------------------

_TURN = """\
## The way of a decision

One turn of the loop, written down by twins of platform, routers and journal while it turns back a
candidate that fails every request. `loop` stands for what is pure and asks nobody: checks, machine
and the difference between the world as it is and as it should be.

```mermaid
sequenceDiagram
"""
_SAYS: Mapping[str, tuple[str, str]] = {
    "renew": ("routers", "renew the lease"),
    "read": ("counters", "what has been counted?"),
    "observe": ("platform", "which replicas are ready?"),
    "checkpoint": ("journal", "keep the new state, before anything is done"),
    "append": ("journal", "keep what was decided, and on what"),
    "apply": ("routers", "serve this routing, and say when you do"),
    "scale": ("platform", "this revision, this size"),
}


class _Recorded:
    """A port that writes down what it is asked."""

    def __init__(self, port: object, calls: list[str]) -> None:
        self._port = port
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        if name in _SAYS:
            self._calls.append(name)
        return getattr(self._port, name)


def _turn() -> str:
    with capture_logs():  # what the loop decides is drawn, not told
        calls = asyncio.run(_aborting_turn())
    names = list(dict.fromkeys(_SAYS[name][0] for name in calls))
    lines = ["    participant loop", *(f"    participant {name}" for name in names)]
    decided = False
    for name in dict.fromkeys(calls):
        who, what = _SAYS[name]
        if name == "checkpoint" and not decided:
            lines.append("    Note over loop: judge, then decide: weight 0")
            decided = True
        lines.append(f"    loop->>{who}: {what}")
    return _TURN + "\n".join([*lines, "```", ""])


async def _aborting_turn() -> list[str]:
    """Names of the ports' methods that the aborting turn calls, in order."""
    plan, _ = _plan(EXAMPLES / "release-canary.yaml")
    plan = replace(plan, sticky_header=None, sticky_cookie=None)
    calls: list[str] = []
    clock = VirtualClock()
    plane = MemoryDataPlane(clock)
    loop = Loop(
        platform=cast(Any, _Recorded(MemoryPlatform(clock, ready_after_s=1.0), calls)),
        dataplane=cast(Any, _Recorded(plane, calls)),
        metrics=cast(Any, _Recorded(MemoryMetricSource(plane.snapshots), calls)),
        journal=cast(Any, _Recorded(MemoryJournal(), calls)),
        clock=clock,
    )
    draw = random.Random(1)  # noqa: S311  # a picture that repeats, not a secret
    for revision in (STABLE, CANDIDATE):
        await loop.deploy(
            Workload(release=plan.release, revision=revision, template={}), plan, _SETTINGS
        )
        for _ in range(_LONGEST):
            await clock.advance(1.0)
            calls.clear()
            await loop.turn(poll=True)
            phase = loop.status(plan.release).phase
            if phase is Phase.ABORTED or (revision == STABLE and phase is Phase.HEALTHY):
                break
            _traffic(plane, plan.release, draw)
    assert loop.status(plan.release).phase is Phase.ABORTED  # noqa: S101  # what is drawn
    return list(calls)


def _traffic(plane: MemoryDataPlane, release: str, draw: random.Random) -> None:
    """A hundred requests; the candidate fails every one."""
    for _ in range(100):
        try:
            pick = plane.pick(release, rng=draw)
        except UnknownRelease:
            return
        plane.record(release, pick, status=500 if pick.revision == CANDIDATE else 200)
