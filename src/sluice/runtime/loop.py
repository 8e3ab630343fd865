"""The loop: observe, decide, act. Level-based and idempotent, so it can be killed anywhere.

Each turn compares what every release asks for with what platform and routers show, and repairs the
difference. A release that fails does not stop the others.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from sluice.engine.actions import Refused
from sluice.engine.events import Deleted, Event
from sluice.engine.plan import Plan
from sluice.engine.state import Mode, State
from sluice.errors import (
    InvariantError,
    RefusedError,
    RoutingRefused,
    SluiceError,
    SpecError,
    TransientError,
    UnknownRelease,
)
from sluice.nouns import Endpoint, Fragment, Replicas, RevisionId, Snapshot, Workload
from sluice.ports import Clock, DataPlane, Journal, MetricSource, Platform
from sluice.reports.model import Decision, ReleaseStatus
from sluice.runtime.checkpoint import decision_from_json, from_record, plain, to_record
from sluice.runtime.core import Core, View
from sluice.runtime.status import status_of
from sluice.spec import AnalysisSettings

log = structlog.get_logger()

CHECKPOINT_MS = 10_000
"""Longest time between two checkpoints of a running pass; changes are checkpointed at once."""
DEFAULT_POLL_MS = 1_000


@dataclass(kw_only=True)
class Tracked:
    """One release in the loop, with what was last seen and done."""

    core: Core
    replicas: Sequence[Replicas] = ()
    applied: Fragment | None = None
    problems: dict[str, str] = field(default_factory=dict)
    """What does not work at the moment, by what it concerns; gone when it works again."""
    saved_ms: int = 0
    saved: object = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    notices: tuple[str, ...] = ()


class Loop:
    """Runs all releases of one controller."""

    def __init__(
        self,
        *,
        platform: Platform,
        dataplane: DataPlane,
        metrics: MetricSource,
        journal: Journal,
        clock: Clock,
        on_removed: Callable[[Iterable[str]], None] | None = None,
    ) -> None:
        """Wire the loop.

        Args:
            platform: Runs revisions.
            dataplane: Splits traffic.
            metrics: Reads counters.
            journal: Keeps state over restarts.
            clock: Time.
            on_removed: Told the names of endpoints that no router uses any more.
        """
        self.releases: dict[str, Tracked] = {}
        self._platform = platform
        self._dataplane = dataplane
        self._metrics = metrics
        self._journal = journal
        self._clock = clock
        self._on_removed = on_removed
        self._wake = asyncio.Event()
        self.turns = 0

    # --- life ---

    async def load(self) -> None:
        """Read every release back from the journal, ready to go on.

        Raises:
            StateError: a checkpoint cannot be read; nothing was started.
        """
        for name, record in (await self._journal.load()).items():
            self.releases[name] = Tracked(core=from_record(record))

    @property
    def poll_ms(self) -> int:
        """Time between two polls: the shortest that any release asks for."""
        polls = [item.core.settings.poll_ms for item in self.releases.values()]
        return min(polls, default=DEFAULT_POLL_MS)

    def nudge(self) -> None:
        """Look again now: a replica came or went."""
        self._wake.set()

    async def run(self) -> None:
        """Poll for ever; between polls react at once to what changed."""
        due = self._clock.now_ms()
        while True:
            now = self._clock.now_ms()
            if now >= due:
                await self.turn(poll=True)
                # A late poll does not make the next one early: intervals are evidence for the ramp.
                due = max(due + self.poll_ms, self._clock.now_ms() + self.poll_ms // 2)
            elif self._wake.is_set():
                self._wake.clear()
                await self.turn(poll=False)
            left = max(0, due - self._clock.now_ms()) / 1000
            await self._sleep_or_wake(left)

    async def _sleep_or_wake(self, seconds: float) -> None:
        sleeper = asyncio.ensure_future(self._clock.sleep(seconds))
        waker = asyncio.ensure_future(self._wake.wait())
        _, waiting = await asyncio.wait({sleeper, waker}, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    # --- one turn ---

    async def turn(self, *, poll: bool) -> None:
        """Look at every release once; with ``poll``, read the counters and judge."""
        snapshots: Mapping[str, tuple[Snapshot, ...]] = {}
        problem = ""
        if poll and self.releases:
            await self._renew()
            try:
                snapshots = await self._metrics.read()
            except TransientError as error:
                problem = f"counters cannot be read: {error}"
        for name, tracked in list(self.releases.items()):
            async with tracked.lock:
                await self._guarded(name, tracked, snapshots.get(name, ()), problem, poll=poll)
        self.turns += 1

    async def _renew(self) -> None:
        leased = [
            name
            for name, item in self.releases.items()
            if item.core.state.routing is not None and item.core.state.routing.lease_ms is not None
        ]
        if not leased:
            return
        try:
            await self._dataplane.renew(leased)
        except TransientError as error:
            for name in leased:
                self._problem(self.releases[name], "lease", f"lease cannot be renewed: {error}")
        else:
            for name in leased:
                self.releases[name].problems.pop("lease", None)

    async def _guarded(
        self,
        name: str,
        tracked: Tracked,
        snapshots: tuple[Snapshot, ...],
        problem: str,
        *,
        poll: bool,
    ) -> None:
        """One release's turn; what fails is said in its status and tried again next turn."""
        try:
            await self._turn_of(name, tracked, snapshots, problem, poll=poll)
            tracked.problems.pop("turn", None)
        except (SluiceError, OSError) as error:
            self._problem(tracked, "turn", str(error))
        except Exception as error:  # one broken release must not stop the others
            log.exception("release.turn_failed", release=name)
            self._problem(tracked, "turn", f"internal fault: {type(error).__name__}: {error}")

    async def _turn_of(
        self,
        name: str,
        tracked: Tracked,
        snapshots: tuple[Snapshot, ...],
        problem: str,
        *,
        poll: bool,
    ) -> None:
        core = tracked.core
        tracked.replicas = await self._platform.observe(name)
        view = View(
            at_ms=self._clock.now_ms(),
            replicas=tracked.replicas,
            snapshots=snapshots,
            problem=problem or self._untrusted(core.state, snapshots, poll=poll),
        )
        if poll:
            core.poll(view)
            await self._keep_poll(tracked, view)
        else:
            core.see(view)
        if view.problem:
            self._problem(tracked, "metrics", view.problem)
        elif poll:
            tracked.problems.pop("metrics", None)
        await self._act(name, tracked)

    @staticmethod
    def _untrusted(state: State, snapshots: tuple[Snapshot, ...], *, poll: bool) -> str:
        """A served release without counters cannot be judged."""
        if poll and not snapshots and state.routing is not None and state.acknowledged > 0:
            return "no router reports counters for this release"
        return ""

    # --- acting ---

    async def _act(self, name: str, tracked: Tracked) -> None:
        """Make the world like the state: checkpoint, scale, route, and note what came of it."""
        await self._save(tracked)
        await self._scale(name, tracked)
        if await self._route(name, tracked):
            await self._save(tracked)
            await self._scale(name, tracked)
        await self._flush(tracked)
        state = tracked.core.state
        if state.mode is Mode.DELETING and state.acknowledged >= state.generation:
            await self._finish_delete(name, tracked)

    async def _scale(self, name: str, tracked: Tracked) -> None:
        core = tracked.core
        asked = {item.revision: item.desired for item in tracked.replicas}
        wanted = dict(core.state.sizes)
        for revision in asked:
            wanted.setdefault(revision, 0)
        for revision, size in wanted.items():
            if asked.get(revision, 0) == size:
                continue
            workload = core.workloads.get(revision)
            if workload is None:
                workload = Workload(release=name, revision=revision, template={})
            try:
                await self._platform.scale(workload, size)
                tracked.problems.pop(f"scale {revision}", None)
            except (SpecError, TransientError) as error:
                self._problem(tracked, f"scale {revision}", f"{revision} cannot be run: {error}")

    async def _route(self, name: str, tracked: Tracked) -> bool:
        """Serve the routing with the endpoints of now; True when a generation was acknowledged."""
        core = tracked.core
        state = core.state
        if state.routing is None:
            if state.acknowledged >= state.generation:
                return False
            await self._dataplane.remove(name)
            tracked.applied = None
        else:
            fragment = Fragment(
                routing=state.routing, endpoints=_endpoints(state, tracked.replicas)
            )
            if fragment == tracked.applied and state.acknowledged >= state.generation:
                return False
            try:
                await self._dataplane.apply(fragment)
            except (RoutingRefused, TransientError) as error:
                self._problem(tracked, "routing", str(error))
                return False
            gone = _names(tracked.applied) - _names(fragment)
            tracked.applied = fragment
            if gone and self._on_removed is not None:
                self._on_removed(gone)
        tracked.problems.pop("routing", None)
        if state.acknowledged >= state.generation:
            return False
        now = self._clock.now_ms()
        core.acknowledged(now, state.generation)
        core.effective(state.generation, now)
        log.info("release.routed", release=name, generation=state.generation)
        return True

    async def _finish_delete(self, name: str, tracked: Tracked) -> None:
        await self._platform.remove(name)
        if not await self._platform.observe(name):
            await self._flush(tracked)
            await self._journal.forget(name)
            del self.releases[name]
            log.info("release.deleted", release=name)

    # --- keeping ---

    async def _save(self, tracked: Tracked) -> None:
        """Checkpoint before acting: what the world may have seen is never newer than the file."""
        core = tracked.core
        now = self._clock.now_ms()
        state = core.state
        mark = (
            state.mode, state.reason, state.weight_bp, state.stage, state.rung, state.generation,
            state.acknowledged, state.sizes, state.verdict, state.plan, state.next_plan,
            state.paused, state.hold, state.approved, state.pass_number, state.promoting,
            core.settings,
        )  # fmt: skip
        if mark == tracked.saved and now - tracked.saved_ms < CHECKPOINT_MS:
            return
        if mark == tracked.saved and not state.in_pass and state.warm is None:
            tracked.saved_ms = now
            return
        await self._journal.checkpoint(state.release, to_record(core))
        tracked.saved, tracked.saved_ms = mark, now

    async def _keep_poll(self, tracked: Tracked, view: View) -> None:
        """Keep the counters of every used poll, so that a verdict can be recomputed."""
        core = tracked.core
        verdict = core.verdict
        if core.state.mode is not Mode.RUNNING or verdict is None or view.problem:
            return
        entry = {
            "entry": "poll",
            "at_ms": view.at_ms,
            "pass_number": core.state.pass_number,
            "weight_bp": core.state.weight_bp,
            "verdict": verdict.kind,
            "log_e": verdict.log_e,
            "log_threshold": verdict.log_threshold,
            "harmed": verdict.harmed,
            "snapshots": view.snapshots,
        }
        await self._journal.append(core.state.release, plain(entry))

    async def _flush(self, tracked: Tracked) -> None:
        core = tracked.core
        while core.fresh:
            decision = core.fresh[0]
            entry = {"entry": "decision", **plain(decision)}
            await self._journal.append(core.state.release, entry)
            core.fresh.pop(0)
            log.info(
                "release.decided",
                release=core.state.release,
                kind=decision.kind,
                reason=decision.reason,
                message=decision.message,
                revision=decision.revision,
                weight_bp=decision.to_bp,
            )

    def _problem(self, tracked: Tracked, what: str, message: str) -> None:
        if tracked.problems.get(what) != message:
            log.warning("release.problem", release=tracked.core.state.release, problem=message)
        tracked.problems[what] = message

    # --- what people ask for ---

    async def deploy(
        self,
        workload: Workload,
        plan: Plan,
        settings: AnalysisSettings,
        *,
        notices: Sequence[str] = (),
    ) -> bool:
        """Take a spec; True when it changed anything."""
        name = workload.release
        tracked = self.releases.get(name)
        if tracked is None:
            core = Core(state=State(release=name), settings=settings)
            tracked = self.releases[name] = Tracked(core=core)
        async with tracked.lock:
            core = tracked.core
            before = (core.state, core.settings)
            core.settings = settings
            tracked.notices = tuple(notices)
            actions = core.deploy(self._clock.now_ms(), workload, plan)
            if actions and isinstance(actions[0], Refused):
                raise RefusedError(actions[0].reason)
            await self._guarded_act(name, tracked)
            after = (core.state, core.settings)
        changed = _spec_of(*before) != _spec_of(*after)
        self.nudge()
        return changed

    async def command(self, name: str, make: Callable[[int], Event]) -> ReleaseStatus:
        """Do what a person asks, at once.

        Args:
            name: The release.
            make: Makes the event from the present time, UTC ms.

        Raises:
            UnknownRelease: there is none of that name.
            RefusedError: it makes no sense now; nothing changed.
        """
        tracked = self._tracked(name)
        async with tracked.lock:
            tracked.core.command(make(self._clock.now_ms()))
            await self._guarded_act(name, tracked)
        self.nudge()
        return self._status(tracked)

    async def delete(self, name: str, *, by: str) -> ReleaseStatus:
        """Take a release away: routing first, then its replicas drain."""
        return await self.command(name, lambda at_ms: Deleted(at_ms=at_ms, by=by))

    async def _guarded_act(self, name: str, tracked: Tracked) -> None:
        try:
            await self._act(name, tracked)
        except InvariantError:
            raise
        except (SluiceError, OSError) as error:
            self._problem(tracked, "turn", str(error))

    def _tracked(self, name: str) -> Tracked:
        tracked = self.releases.get(name)
        if tracked is None:
            known = ", ".join(sorted(self.releases)) or "none yet"
            raise UnknownRelease(f"no release {name!r} here; known: {known}")
        return tracked

    # --- what people see ---

    def status(self, name: str) -> ReleaseStatus:
        """Everything that is shown of one release.

        Raises:
            UnknownRelease: there is none of that name.
        """
        return self._status(self._tracked(name))

    def statuses(self) -> list[ReleaseStatus]:
        """Every release, by name."""
        return [self._status(item) for _, item in sorted(self.releases.items())]

    def _status(self, tracked: Tracked) -> ReleaseStatus:
        return status_of(
            tracked.core,
            tracked.replicas,
            now_ms=self._clock.now_ms(),
            problems=tuple(tracked.problems.values()),
            notices=tracked.notices,
        )

    async def history(self, name: str) -> list[Decision]:
        """Every decision that the journal kept, oldest first.

        Raises:
            UnknownRelease: there is none of that name.
        """
        entries = await self._journal.entries(name)
        if not entries:
            self._tracked(name)
        return [
            decision_from_json({k: v for k, v in entry.items() if k != "entry"})
            for entry in entries
            if entry.get("entry") == "decision"
        ]

    async def polls(self, name: str) -> list[Mapping[str, object]]:
        """Every used poll that the journal kept, oldest first."""
        entries = await self._journal.entries(name)
        return [entry for entry in entries if entry.get("entry") == "poll"]


def _spec_of(state: State, settings: AnalysisSettings) -> tuple[object, ...]:
    return state.spec_revision, state.plan, state.next_plan, settings


def _endpoints(
    state: State, replicas: Sequence[Replicas]
) -> dict[RevisionId, tuple[Endpoint, ...]]:
    """Ready endpoints of every revision that the routing names."""
    ready = {item.revision: item.ready for item in replicas}
    routing = state.routing
    named = dict.fromkeys(arm.revision for arm in routing.arms) if routing else {}
    return {revision: ready.get(revision, ()) for revision in named}


def _names(fragment: Fragment | None) -> frozenset[str]:
    if fragment is None:
        return frozenset()
    return frozenset(item.name for items in fragment.endpoints.values() for item in items)
