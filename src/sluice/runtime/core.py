"""One release without any I/O: what was seen goes in, engine and analysis decide, actions come out.

The loop and the simulator both drive this, so what is simulated is what runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from sluice.analysis import AnalysisConfig, AnalysisState, Poll, Rates, observe, start
from sluice.analysis.decided import guarded
from sluice.analysis.rates import update as update_rates
from sluice.engine.actions import Action, Record, Refused
from sluice.engine.events import (
    Acknowledged,
    Deployed,
    Event,
    Freeze,
    Judged,
    Observed,
)
from sluice.engine.machine import decide
from sluice.engine.plan import Plan
from sluice.engine.state import Mode, State
from sluice.errors import RefusedError
from sluice.hooks.windows import frozen_until
from sluice.nouns import Replicas, RevisionId, Snapshot, Verdict, Workload
from sluice.reports.model import Decision
from sluice.runtime.tally import Tally
from sluice.spec import AnalysisSettings

DECISIONS_KEPT = 50
HEARD_MS = 60_000
"""A router that has been silent for longer is taken for gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one look at the world showed of a release."""

    at_ms: int
    replicas: Sequence[Replicas]
    snapshots: tuple[Snapshot, ...] = ()
    problem: str = ""
    """Why the counters could not be read."""
    decider: Verdict | None = None
    """What pairs of answers or outcomes of users say, on a rung that they decide."""


@dataclass(kw_only=True)
class Core:
    """A release: engine state, the analysis of its pass, and what explains both."""

    state: State
    settings: AnalysisSettings
    """What the next pass is judged by."""
    judged_by: AnalysisSettings | None = None
    """What the running pass is judged by: fixed when it began."""
    analysis: AnalysisState | None = None
    analysis_pass: int = 0
    verdict: Verdict | None = None
    rates: Rates = field(default_factory=Rates)
    tally: Tally = field(default_factory=Tally)
    workloads: dict[RevisionId, Workload] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    heard: dict[str, int] = field(default_factory=dict)
    """When each router's counters were last read, UTC ms."""
    apart: dict[str, Any] = field(default_factory=dict)
    """What the judges of this pass remember beside the counters, as JSON values by judge."""
    fresh: list[Decision] = field(default_factory=list)
    """Decisions that the journal does not have yet."""

    # --- what happens ---

    def deploy(
        self,
        at_ms: int,
        workload: Workload,
        plan: Plan,
        variants: Sequence[tuple[str, Workload]] = (),
    ) -> tuple[Action, ...]:
        """The spec asks for this workload under this plan, with these further variants by name."""
        for item in (workload, *(variant for _, variant in variants)):
            self.workloads[item.revision] = item
        named = tuple((name, item.revision) for name, item in variants)
        return self.send(
            Deployed(at_ms=at_ms, revision=workload.revision, plan=plan, variants=named)
        )

    def acknowledged(self, at_ms: int, generation: int) -> tuple[Action, ...]:
        """All routers serve this generation."""
        return self.send(Acknowledged(at_ms=at_ms, generation=generation))

    def see(self, view: View) -> tuple[Action, ...]:
        """Ready replicas changed, or time went by; no counters."""
        self._freeze(view.at_ms)
        ready = tuple((item.revision, len(item.ready)) for item in view.replicas)
        waiting = tuple((item.revision, item.message) for item in view.replicas if item.message)
        return self.send(Observed(at_ms=view.at_ms, ready=ready, waiting=waiting))

    def poll(self, view: View) -> tuple[Action, ...]:
        """A look with counters: judge the pass, if there is one."""
        actions = self.see(view)
        if not view.problem:
            self.heard |= {item.router: view.at_ms for item in view.snapshots}
            self.rates = update_rates(self.rates, view.at_ms, view.snapshots)
            self.tally.update(view.at_ms, view.snapshots)
        verdict = self._judge(view)
        if verdict is None:
            return actions
        self.verdict = verdict
        event = Judged(at_ms=view.at_ms, pass_number=self.state.pass_number, verdict=verdict)
        return (*actions, *self.send(event))

    def command(self, event: Event) -> tuple[Action, ...]:
        """A verb of a person.

        Raises:
            RefusedError: it makes no sense now; nothing changed.
        """
        self._freeze(event.at_ms)
        actions = self.send(event)
        if actions and isinstance(actions[0], Refused):
            raise RefusedError(actions[0].reason)
        return actions

    def _freeze(self, at_ms: int) -> None:
        """Tell the machine that a freeze window began or ended, before anything else happens."""
        until = frozen_until(self.settings.freeze, at_ms)
        if until != self.state.frozen:
            self.send(Freeze(at_ms=at_ms, until=until))

    def send(self, event: Event) -> tuple[Action, ...]:
        """Decide, and keep what was decided with its evidence."""
        before = self.state.pass_number
        self.state, actions = decide(self.state, event)
        if self.state.pass_number != before:
            self.tally.restart()
            self.verdict = None
            self.analysis = None
            self.apart = {}
        for action in actions:
            if isinstance(action, Record):
                self._keep(action)
        self._forget_workloads()
        return actions

    # --- judging ---

    def _judge(self, view: View) -> Verdict | None:
        """The verdict on the live candidate; None when there is nothing to judge."""
        subject = self._subject()
        if subject is None:
            return None
        candidate, stable = subject
        if self.analysis is None or self.analysis_pass != self.state.pass_number:
            if view.problem or self._silent(view):
                return None
            self.judged_by = self.settings
            self.analysis = start(self.config, view.snapshots)
            self.analysis_pass = self.state.pass_number
        poll = Poll(
            taken_ms=view.at_ms,
            snapshots=view.snapshots,
            candidate=candidate,
            stable=stable,
            warming=self._warming(view, candidate),
            problem=view.problem,
            rate_rps=self.rates.highest_rps,
            interval_s=self.rates.longest_interval_s,
        )
        config = self.config
        if stable is None:
            config = replace(config, comparisons=False)
        self.analysis, verdict = observe(config, self.analysis, poll)
        return guarded(verdict, view.decider) if view.decider is not None else verdict

    def _silent(self, view: View) -> bool:
        """Whether a router that was heard lately is missing from this reading.

        A pass does not begin without it: what it counted before would be taken for this pass.
        """
        missing = self.heard.keys() - {item.router for item in view.snapshots}
        return any(view.at_ms - self.heard[router] < HEARD_MS for router in missing)

    @property
    def config(self) -> AnalysisConfig:
        """How the running pass is judged."""
        return _config(self.judged_by or self.settings)

    def _subject(self) -> tuple[RevisionId, RevisionId | None] | None:
        """(candidate, stable) to judge: in a pass, or after a switch that is watched."""
        state = self.state
        if state.mode is Mode.RUNNING and state.candidate is not None:
            return state.candidate, state.stable
        watched = state.plan is not None and state.plan.watch and state.warm is not None
        if state.mode is Mode.STEADY and watched and state.stable is not None:
            return state.stable, None
        return None

    def _warming(self, view: View, candidate: RevisionId) -> bool:
        limit = (self.judged_by or self.settings).warm_up_ms
        ready = next((item for item in view.replicas if item.revision == candidate), None)
        if ready is None:
            return False
        return any(view.at_ms - since < limit for since in ready.ready_since_ms.values())

    # --- keeping ---

    def _keep(self, item: Record) -> None:
        judged = item.kind not in ("PassStarted", "Deleted")
        decision = Decision(
            at_ms=item.at_ms,
            kind=item.kind,
            reason=item.reason,
            message=item.message,
            pass_number=item.pass_number,
            revision=item.revision,
            stage=item.stage,
            rung=item.rung,
            rung_name=item.rung_name,
            from_bp=item.from_bp,
            to_bp=item.to_bp,
            generation=item.generation,
            by=item.by,
            verdict=self.verdict if judged else None,
        )
        self.decisions = [*self.decisions[-(DECISIONS_KEPT - 1) :], decision]
        self.fresh.append(decision)

    def effective(self, generation: int, at_ms: int) -> None:
        """All routers serve a generation since ``at_ms``: how long its decisions took to work."""
        self.decisions = [_timed(item, generation, at_ms) for item in self.decisions]
        self.fresh = [_timed(item, generation, at_ms) for item in self.fresh]

    def _forget_workloads(self) -> None:
        state = self.state
        needed = {state.stable, state.spec_revision, *state.previous, *dict(state.sizes)}
        needed |= {revision for _, revision in (*state.candidates, *state.spec_variants)}
        if len(self.workloads) > len(needed):
            self.workloads = {r: w for r, w in self.workloads.items() if r in needed}


def _timed(decision: Decision, generation: int, at_ms: int) -> Decision:
    if decision.effect_ms is not None or decision.generation > generation:
        return decision
    return replace(decision, effect_ms=max(0, at_ms - decision.at_ms))


@lru_cache(maxsize=1_000)
def _config(settings: AnalysisSettings) -> AnalysisConfig:
    """The analysis' own settings; made once per policy, because every poll asks."""
    return AnalysisConfig(
        objectives=settings.objectives,
        alpha=settings.alpha,
        beta=settings.beta,
        delta=settings.delta,
        polls=settings.polls,
        warm_up_ms=settings.warm_up_ms,
    )
