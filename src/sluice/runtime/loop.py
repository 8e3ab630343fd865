"""The loop: observe, decide, act. Level-based and idempotent, so it can be killed anywhere.

Each turn compares what every release asks for with what platform and routers show, and repairs the
difference. A release that fails does not stop the others.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog

from sluice.engine.actions import Refused
from sluice.engine.events import Deleted, Event
from sluice.engine.plan import Plan
from sluice.engine.state import State
from sluice.errors import (
    InvariantError,
    RefusedError,
    SluiceError,
    TransientError,
    UnknownRelease,
)
from sluice.nouns import Question, Snapshot, Verdict, Workload
from sluice.platforms.clock import sleep_or
from sluice.ports import Clock, DataPlane, Hook, Journal, MetricSource, Notifier, Platform
from sluice.reports.model import Decision, ReleaseStatus
from sluice.runtime.actor import Actor
from sluice.runtime.checkpoint import decision_from_json, from_record
from sluice.runtime.core import Core
from sluice.runtime.gates import Gates, still_asked
from sluice.runtime.judges import Judge
from sluice.runtime.judging import View
from sluice.runtime.keeper import Keeper
from sluice.runtime.replay import KINDS
from sluice.runtime.status import status_of
from sluice.runtime.tracked import Tracked
from sluice.spec import AnalysisSettings

log = structlog.get_logger()

DEFAULT_POLL_MS = 1_000


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
        judges: Sequence[Judge] = (),
        hook: Hook | None = None,
        notifier: Notifier | None = None,
        router_url: Callable[[], str] = lambda: "",
        hints: Callable[[str], Sequence[str]] = lambda _: (),
        on_removed: Callable[[Iterable[str]], None] | None = None,
        routers: Callable[[], object] = lambda: None,
        on_turn: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Wire the loop.

        Args:
            platform: Runs revisions.
            dataplane: Splits traffic.
            metrics: Reads counters.
            journal: Keeps state over restarts.
            clock: Time.
            judges: Decide rungs by what routers do not count.
            hook: Answers gates that are not a person's; None: a person answers those as well.
            notifier: Told of every decision; None: nobody is.
            router_url: Where users connect, for checks of the candidate; empty: unknown.
            hints: What else is wrong with a release, one line each, without holding it.
            on_removed: Told the names of endpoints that no router uses any more.
            routers: Which routers there are, as a value that differs when one comes or goes.
            on_turn: Told how long each poll of all releases took, seconds.
        """
        self.releases: dict[str, Tracked] = {}
        self._platform = platform
        self._dataplane = dataplane
        self._metrics = metrics
        self._journal = journal
        self._clock = clock
        self._judges = tuple(judges)
        self._notifier = notifier
        self._hints = hints
        self._on_turn = on_turn
        self._gates = Gates(hook, clock, self._answered, router_url) if hook else None
        self._keeper = Keeper(journal, clock, notifier)
        self._actor = Actor(
            platform=platform,
            dataplane=dataplane,
            keeper=self._keeper,
            clock=clock,
            on_removed=on_removed,
            routers=routers,
        )
        self._wake = asyncio.Event()
        self._late: set[asyncio.Task[None]] = set()

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
                self._on_turn((self._clock.now_ms() - now) / 1000)
                # A late poll does not make the next one early: intervals are evidence for the ramp.
                due = max(due + self.poll_ms, self._clock.now_ms() + self.poll_ms // 2)
            elif self._wake.is_set():
                self._wake.clear()
                await self.turn(poll=False)
            left = max(0, due - self._clock.now_ms()) / 1000
            await sleep_or(self._clock, left, self._wake)

    async def close(self) -> None:
        """Stop what goes on beside the turns; what is asked now is asked again after a start."""
        if self._gates is not None:
            await self._gates.close()

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
        tasks = [
            asyncio.create_task(
                self._guarded(name, tracked, snapshots.get(name, ()), problem, poll=poll)
            )
            for name, tracked in list(self.releases.items())
            # One that is still at its last turn is passed over: counters are cumulative.
            if not tracked.lock.locked()
        ]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self.poll_ms / 1000)
            self._late |= late
            for task in late:
                task.add_done_callback(self._late.discard)

    async def _renew(self) -> None:
        # Values, not names to look up again: a release may be deleted while agents answer.
        leased = {
            name: item
            for name, item in self.releases.items()
            if item.core.state.routing is not None and item.core.state.routing.lease_ms is not None
        }
        if not leased:
            return
        try:
            await self._dataplane.renew(list(leased))
        except TransientError as error:
            for item in leased.values():
                item.problem("lease", f"lease cannot be renewed: {error}")
        else:
            for item in leased.values():
                item.solved("lease")

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
            async with tracked.lock:
                if self.releases.get(name) is not tracked:
                    return  # deleted while this waited
                await self._turn_of(name, tracked, snapshots, problem, poll=poll)
            tracked.solved("turn")
        except (SluiceError, OSError) as error:
            tracked.problem("turn", str(error))
        except Exception as error:  # one broken release must not stop the others
            log.exception("release.turn_failed", release=name)
            tracked.problem("turn", f"internal fault: {type(error).__name__}: {error}")

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
        problem = problem or self._untrusted(core.state, snapshots, poll=poll)
        decider = None
        if poll and not problem:
            decider, problem = await self._decided_apart(core)
        view = View(
            at_ms=self._clock.now_ms(),
            replicas=tracked.replicas,
            snapshots=snapshots,
            problem=problem,
            decider=decider,
        )
        if poll:
            core.poll(view)
            await self._replace_sick(name, tracked)
        else:
            core.see(view)
        if view.problem:
            tracked.problem("metrics", view.problem)
        elif poll:
            tracked.solved("metrics")
        await self._act(name, tracked)
        if poll:
            await self._keeper.keep_poll(tracked, view)
        if self._gates is not None:
            self._gates.look(tracked)

    async def _replace_sick(self, name: str, tracked: Tracked) -> None:
        """Pods that alone fail: the platform starts others."""
        sick, tracked.core.sick = tracked.core.sick, []
        for revision, endpoint in sick:
            try:
                await self._platform.replace(name, revision, endpoint)
            except TransientError as error:
                tracked.problem("replace", f"pod {endpoint} cannot be replaced: {error}")
            else:
                tracked.solved("replace")

    async def _decided_apart(self, core: Core) -> tuple[Verdict | None, str]:
        """What the judges say of the present rung, or why they cannot."""
        try:
            for judge in self._judges:
                verdict = await judge.look(core, self._clock.now_ms())
                if verdict is not None:
                    return verdict, ""
        except TransientError as error:
            return None, str(error)
        return None, ""

    async def _act(self, name: str, tracked: Tracked) -> None:
        if await self._actor.act(name, tracked):
            del self.releases[name]
            if self._gates is not None:
                self._gates.drop(name)

    @staticmethod
    def _untrusted(state: State, snapshots: tuple[Snapshot, ...], *, poll: bool) -> str:
        """A served release without counters cannot be judged."""
        if poll and not snapshots and state.routing is not None and state.acknowledged > 0:
            return "no router reports counters for this release"
        return ""

    # --- what people ask for ---

    async def deploy(
        self,
        workload: Workload,
        plan: Plan,
        settings: AnalysisSettings,
        *,
        variants: Sequence[tuple[str, Workload]] = (),
        notices: Sequence[str] = (),
    ) -> bool:
        """Take a spec, with the further variants of its tests by name; True when it changed
        anything.
        """
        name = workload.release
        async with self._held(name, new=settings) as tracked:
            core = tracked.core
            before = (core.state, core.settings)
            core.settings = settings
            tracked.notices = tuple(notices)
            actions = core.deploy(self._clock.now_ms(), workload, plan, variants)
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
        async with self._held(name) as tracked:
            tracked.core.command(make(self._clock.now_ms()))
            await self._guarded_act(name, tracked)
        self.nudge()
        return self._status(tracked)

    async def _answered(self, question: Question, make: Callable[[int], Event]) -> None:
        """A gate was answered, by something else than a person; too late changes nothing."""
        try:
            async with self._held(question.release) as tracked:
                if still_asked(tracked.core.state, question):
                    tracked.core.command(make(self._clock.now_ms()))
                    await self._guarded_act(question.release, tracked)
        except (UnknownRelease, RefusedError) as error:
            log.info("gate.answer_unused", release=question.release, reason=str(error))
        self.nudge()

    async def delete(self, name: str, *, by: str) -> ReleaseStatus:
        """Take a release away: routing first, then its replicas drain."""
        return await self.command(name, lambda at_ms: Deleted(at_ms=at_ms, by=by))

    async def _guarded_act(self, name: str, tracked: Tracked) -> None:
        try:
            # A controller that has just begun knows no replica yet: to act on that would route
            # every request of this release to nobody.
            tracked.replicas = await self._platform.observe(name)
            await self._act(name, tracked)
        except InvariantError:
            raise
        except (SluiceError, OSError) as error:
            tracked.problem("turn", str(error))

    @asynccontextmanager
    async def _held(
        self, name: str, *, new: AnalysisSettings | None = None
    ) -> AsyncIterator[Tracked]:
        """A release under its lock; with ``new`` one is made when there is none.

        Raises:
            UnknownRelease: there is none, or it was deleted while this waited.
        """
        while True:
            if new is not None and name not in self.releases:
                self.releases[name] = Tracked(core=Core(state=State(release=name), settings=new))
            tracked = self._tracked(name)
            async with tracked.lock:
                if self.releases.get(name) is tracked:
                    yield tracked
                    return

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
            problems=(*tracked.problems.values(), *self._beside(tracked.core)),
            notices=tracked.notices,
        )

    def _beside(self, core: Core) -> Sequence[str]:
        """Problems that do not come from the release's own turns."""
        told = self._notifier.problems(core.settings.notify) if self._notifier else ()
        return (*self._hints(core.state.release), *told)

    async def history(self, name: str) -> list[Decision]:
        """Every decision that the journal kept, oldest first.

        Raises:
            UnknownRelease: there is none of that name.
        """
        entries = await self._journal.entries(name)
        tracked = self.releases.get(name)
        if not entries and tracked is None:
            self._tracked(name)
        kept = [
            decision_from_json({k: v for k, v in entry.items() if k != "entry"})
            for entry in entries
            if entry.get("entry") == "decision"
        ]
        return [*kept, *(tracked.core.fresh if tracked else ())]

    async def polls(self, name: str) -> list[Mapping[str, object]]:
        """Every used poll that the journal kept, oldest first."""
        entries = await self._journal.entries(name)
        return [entry for entry in entries if entry.get("entry") == "poll"]

    async def kept(self, name: str, pass_number: int) -> list[Mapping[str, object]]:
        """What the journal kept of how a pass was judged, oldest first: see ``runtime.replay``."""
        entries = await self._journal.entries(name)
        return [
            entry
            for entry in entries
            if entry.get("entry") in KINDS and entry.get("pass_number") == pass_number
        ]


def _spec_of(state: State, settings: AnalysisSettings) -> tuple[object, ...]:
    return state.spec_revision, state.spec_variants, state.plan, state.next_plan, settings
