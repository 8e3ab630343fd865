"""The same release code in virtual time against stated error rates, thousands of times.

Requests are split between the revisions by the weight that the engine decided, and are bad with
the stated probability of the revision that got them. Everything else (counters, checks, ramp,
machine) is what runs in production.
"""

import os
import random
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace

from sluice.engine.events import Observed, Promote
from sluice.engine.plan import Plan
from sluice.engine.state import Mode, State
from sluice.nouns import (
    LATENCY_GRID_MS,
    ArmCounts,
    Counts,
    Endpoint,
    Objective,
    Purpose,
    Replicas,
    RevisionId,
    Snapshot,
    Workload,
)
from sluice.reports.model import SimulationResult
from sluice.runtime.core import Core, View
from sluice.runtime.draws import binomial
from sluice.runtime.simulated_pairs import SimulatedPairs
from sluice.spec import AnalysisSettings

STABLE, CANDIDATE = RevisionId("stable"), RevisionId("candidate")
HISTORY_POLLS = 3
"""Polls of stable alone before the pass, so that the request rate is known as it would be."""
AFTER_DEADLINE_MS = 60_000
HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What one simulated pass meets."""

    plan: Plan
    settings: AnalysisSettings
    stable_bad: Mapping[str, float]
    candidate_bad: Mapping[str, float]
    rps: float
    fault_after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one simulated pass ended."""

    outcome: str
    seconds: float
    """From the fault (from the start, when there is none before) to the end, virtual."""
    requests: int
    """Candidate requests in the same time."""
    harmed: int
    """Bad answers of the candidate in the whole pass."""


def simulate(
    plan: Plan,
    settings: AnalysisSettings,
    *,
    stable_bad: Mapping[str, float],
    candidate_bad: Mapping[str, float],
    rps: float,
    fault_after_s: float = 0.0,
    runs: int = 1_000,
    seed: int = 1,
    processes: int | None = None,
) -> SimulationResult:
    """Run a pass many times.

    Args:
        plan: The plan to run; gates and pauses that wait for a person are passed at once.
        settings: How it is judged.
        stable_bad: Probability of a bad answer of stable, by objective name.
        candidate_bad: The same for the candidate, once its fault has begun.
        rps: Requests per second to both together.
        fault_after_s: How long the candidate is as good as stable first, seconds.
        runs: How many passes.
        seed: Of the random numbers; run i uses ``seed + i``.
        processes: How many to use; None: one per core.

    Returns:
        Outcomes, and the distribution of time, requests and harm until the decision.
    """
    scenario = Scenario(
        plan=plan,
        settings=settings,
        stable_bad=dict(stable_bad),
        candidate_bad=dict(candidate_bad),
        rps=rps,
        fault_after_s=fault_after_s,
    )
    workers = min(processes or os.cpu_count() or 1, max(1, runs // 50))
    if workers == 1:
        results = [one_run(scenario, seed + i) for i in range(runs)]
    else:
        with ProcessPoolExecutor(workers) as pool:
            chunk = max(1, runs // (workers * 4))
            seeds = range(seed, seed + runs)
            results = list(pool.map(one_run, [scenario] * runs, seeds, chunksize=chunk))
    return SimulationResult(
        runs=runs,
        outcomes=dict(Counter(item.outcome for item in results)),
        seconds_to_decision=tuple(item.seconds for item in results if item.outcome != HELD),
        requests_to_decision=tuple(item.requests for item in results if item.outcome != HELD),
        harmed=tuple(item.harmed for item in results),
    )


def one_run(scenario: Scenario, seed: int) -> Run:
    """One pass from its first request to its end."""
    world = _World(scenario=scenario, random=random.Random(seed))  # noqa: S311  # a simulation
    core = world.core
    step = scenario.settings.poll_ms
    for _ in range(HISTORY_POLLS):
        world.tick(step)
    core.deploy(world.now_ms, _workload(CANDIDATE), scenario.plan)
    began = world.now_ms
    limit = sum(stage.deadline_ms or 0 for stage in scenario.plan.stages) or 3_600_000
    limit += scenario.plan.progress_deadline_ms + AFTER_DEADLINE_MS
    while core.state.in_pass and world.now_ms - began < limit:
        if core.state.waits_for_person and core.state.hold == "DeadlineExceeded":
            break
        if core.state.waits_for_person:
            world.answer()
        world.tick(step)
    return Run(
        outcome=_outcome(core.state),
        seconds=(world.now_ms - (world.fault_ms or began)) / 1000,
        requests=world.sums[CANDIDATE].total - world.before_fault,
        harmed=world.harmed,
    )


def _outcome(state: State) -> str:
    if state.mode is Mode.STEADY:
        return "promoted"
    if state.mode is Mode.ABORTED:
        return "aborted"
    return HELD


@dataclass(slots=True)
class _Sums:
    total: int = 0
    bad: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class _World:
    """Replicas are ready at once, routers obey at once; only requests are random."""

    scenario: Scenario
    random: random.Random
    now_ms: int = 1_000_000
    carry: float = 0.0
    harmed: int = 0
    live_ms: int = 0
    fault_ms: int = 0
    """When a late fault began; 0: not yet, or from the start."""
    before_fault: int = 0
    sums: dict[RevisionId, _Sums] = field(
        default_factory=lambda: {STABLE: _Sums(), CANDIDATE: _Sums()}
    )
    copied: _Sums = field(default_factory=_Sums)
    pairs: SimulatedPairs = field(default_factory=SimulatedPairs)
    core: Core = field(init=False)

    def __post_init__(self) -> None:
        scenario = self.scenario
        # A simulated pass has no place in the week.
        settled = replace(scenario.settings, freeze=())
        self.core = Core(state=State(release=scenario.plan.release), settings=settled)
        self.core.deploy(self.now_ms, _workload(STABLE), scenario.plan)
        self._observe()
        self._acknowledge()

    def tick(self, ms: int) -> None:
        """Requests come in under the present weights; then the controller looks."""
        self.now_ms += ms
        copied = self._traffic(ms / 1000)
        self.core.poll(
            View(
                at_ms=self.now_ms,
                replicas=self._replicas(),
                snapshots=self._read(),
                decider=self.pairs.look(self.core, self.now_ms, *copied),
            )
        )
        self._acknowledge()

    def answer(self) -> None:
        """What a person would say: go on."""
        self.core.send(Promote(at_ms=self.now_ms, by="simulation"))
        self._acknowledge()

    def _observe(self) -> None:
        ready = tuple((item.revision, len(item.ready)) for item in self._replicas())
        self.core.send(Observed(at_ms=self.now_ms, ready=ready))

    def _acknowledge(self) -> None:
        state = self.core.state
        if state.acknowledged < state.generation:
            self.core.acknowledged(self.now_ms, state.generation)

    def _traffic(self, seconds: float) -> tuple[int, int]:
        """One interval; how many requests were copied, and how many of the copies failed."""
        self.carry += self.scenario.rps * seconds
        requests = int(self.carry)
        self.carry -= requests
        routing = self.core.state.routing
        weight = routing.weight_bp(CANDIDATE) if routing else 0
        if routing and routing.fallback == CANDIDATE:
            weight = 10_000
        ours = binomial(self.random, requests, weight / 10_000)
        if ours:
            self.live_ms += int(seconds * 1000)
        faulty = self.live_ms >= self.scenario.fault_after_s * 1000
        if faulty and not self.fault_ms and self.scenario.fault_after_s > 0:
            self.fault_ms = self.now_ms - int(seconds * 1000)
            self.before_fault = self.sums[CANDIDATE].total
        rates = self.scenario.candidate_bad if faulty else self.scenario.stable_bad
        self._count(CANDIDATE, ours, rates)
        self._count(STABLE, requests - ours, self.scenario.stable_bad)
        mirrored = [arm.weight_bp for arm in routing.mirrored] if routing else []
        copies = binomial(self.random, requests, max(mirrored, default=0) / 10_000)
        failed = self._add(self.copied, copies, rates)
        return copies, failed

    def _count(self, revision: RevisionId, requests: int, rates: Mapping[str, float]) -> None:
        worst = self._add(self.sums[revision], requests, rates)
        if revision == CANDIDATE:
            self.harmed += worst

    def _add(self, sums: _Sums, requests: int, rates: Mapping[str, float]) -> int:
        """Bad answers of the objective that has most."""
        sums.total += requests
        worst = 0
        for objective in self.scenario.settings.objectives:
            bad = binomial(self.random, requests, rates.get(objective.name, 0.0))
            sums.bad[objective.name] = sums.bad.get(objective.name, 0) + bad
            worst = max(worst, bad)
        return worst

    def _read(self) -> tuple[Snapshot, ...]:
        objectives = self.scenario.settings.objectives
        known = (
            (CANDIDATE, Purpose.LIVE, self.sums[CANDIDATE]),
            (STABLE, Purpose.LIVE, self.sums[STABLE]),
            (CANDIDATE, Purpose.MIRROR, self.copied),
        )
        arms = tuple(
            ArmCounts(revision=revision, purpose=purpose, counts=_counts(objectives, sums))
            for revision, purpose, sums in known
        )
        return (Snapshot(router="router", epoch="1", taken_ms=self.now_ms, arms=arms),)

    def _replicas(self) -> list[Replicas]:
        state = self.core.state
        return [
            Replicas(revision=revision, desired=size, ready=_ENDPOINTS[:size])
            for revision, size in state.sizes
        ]


_ENDPOINTS = tuple(
    Endpoint(name=f"replica-{n}", host="127.0.0.1", port=1 + n) for n in range(1_000)
)


def _counts(objectives: tuple[Objective, ...], sums: _Sums) -> Counts:
    errors = 0
    slow = [0] * len(LATENCY_GRID_MS)
    timed = 0
    for objective in objectives:
        bad = sums.bad.get(objective.name, 0)
        if objective.kind == "availability":
            errors = max(errors, bad)
        elif objective.threshold_ms is not None:
            timed = sums.total
            for index in range(LATENCY_GRID_MS.index(objective.threshold_ms) + 1):
                slow[index] = max(slow[index], bad)
    return Counts(total=sums.total, errors=errors, timed=timed, slow=tuple(slow) if timed else ())


def _workload(revision: RevisionId) -> Workload:
    return Workload(release="simulated", revision=revision, template={})
