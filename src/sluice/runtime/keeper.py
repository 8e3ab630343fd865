"""What is kept of a release: its checkpoint, and in the log every decision and used poll."""

from dataclasses import replace

import structlog

from sluice.ports import Clock, Journal, Notifier
from sluice.runtime.checkpoint import plain, to_record
from sluice.runtime.core import View
from sluice.runtime.notices import notice_of
from sluice.runtime.tracked import Tracked

log = structlog.get_logger()

CHECKPOINT_MS = 10_000
"""Longest time between two checkpoints of a running pass; changes are checkpointed at once."""


class Keeper:
    """Writes through the journal.

    Args:
        journal: Where to.
        clock: Time.
        notifier: Told of every decision once the journal has it; None: nobody is.
    """

    def __init__(self, journal: Journal, clock: Clock, notifier: Notifier | None = None) -> None:
        self._journal = journal
        self._clock = clock
        self._notifier = notifier

    async def save(self, tracked: Tracked) -> None:
        """Checkpoint before acting: what the world may have seen is never newer than the file."""
        core = tracked.core
        now = self._clock.now_ms()
        state = core.state
        mark = (
            state.mode, state.reason, state.weight_bp, state.stage, state.rung, state.generation,
            state.acknowledged, state.sizes, state.verdict, state.plan, state.next_plan,
            state.paused, state.hold, state.approved, state.pass_number, state.promoting,
            state.frozen, state.forced, core.settings,
        )  # fmt: skip
        if mark == tracked.saved and now - tracked.saved_ms < CHECKPOINT_MS:
            return
        if mark == tracked.saved and not state.in_pass and state.warm is None:
            tracked.saved_ms = now
            return
        await self._journal.checkpoint(state.release, to_record(core))
        tracked.saved, tracked.saved_ms = mark, now

    async def keep_poll(self, tracked: Tracked, view: View) -> None:
        """Keep the counters of every used poll, so that a verdict can be recomputed."""
        core = tracked.core
        verdict = core.verdict
        if verdict is None or verdict.taken_ms != view.at_ms or view.problem:
            return
        entry = {
            "entry": "poll",
            "at_ms": view.at_ms,
            "pass_number": core.state.pass_number,
            "weight_bp": core.state.weight_bp,
            # The worst differences hardly change from poll to poll: decisions have them.
            "verdict": replace(verdict, differences=()),
            "snapshots": view.snapshots,
        }
        await self._journal.append(core.state.release, plain(entry))

    async def flush(self, tracked: Tracked) -> None:
        """Put new decisions into the log."""
        core = tracked.core
        while core.fresh:
            decision = core.fresh[0]
            entry = {"entry": "decision", **plain(decision)}
            await self._journal.append(core.state.release, entry)
            core.fresh.pop(0)
            if self._notifier is not None and core.settings.notify:
                told = notice_of(core.state.release, decision)
                self._notifier.tell(told, core.settings.notify)
            log.info(
                "release.decided",
                release=core.state.release,
                kind=decision.kind,
                reason=decision.reason,
                message=decision.message,
                revision=decision.revision,
                weight_bp=decision.to_bp,
            )

    async def forget(self, tracked: Tracked) -> None:
        """Drop the checkpoint of a deleted release; its log stays."""
        await self.flush(tracked)
        await self._journal.forget(tracked.core.state.release)
