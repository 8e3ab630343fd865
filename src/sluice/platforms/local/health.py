"""Watches one running replica with its probes, for as long as it runs."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from sluice.platforms.local.aio import first, now_s
from sluice.platforms.local.probes import Judge, Target, ask
from sluice.platforms.local.process_spec import Probe, ProcessSpec


class Health:
    """Startup first, then readiness and liveness side by side, as the kubelet does it."""

    def __init__(
        self,
        spec: ProcessSpec,
        target: Target,
        *,
        eager_s: float,
        ready_before: bool,
        tell: Callable[[bool, str], None],
    ) -> None:
        """Args:
        spec: The probes.
        target: Whom to ask.
        eager_s: Longest time between probes until the first success, seconds.
        ready_before: An earlier supervisor saw it ready: one good answer will do.
        tell: Called with (ready, what is wrong) after each answer to the readiness probe.
        """
        self._spec = spec
        self._target = target
        self._eager_s = eager_s
        self._ready_before = ready_before
        self._tell = tell

    async def watch(self) -> str:
        """Why the replica must be started again; returns only then."""
        if self._spec.startup is not None and not self._ready_before:
            fault = await self._start_up(self._spec.startup)
            if fault:
                return f"startup probe: {fault}"
        loops: list[Coroutine[Any, Any, object]] = [self._stay_ready(self._spec.readiness)]
        if self._spec.liveness is not None:
            loops.append(self._stay_alive(self._spec.liveness))
        return f"liveness probe: {await first(*loops)}"

    async def _start_up(self, probe: Probe) -> str:
        await asyncio.sleep(probe.initial_delay_s)
        # In time and not in answers, because answers come faster here than the period says.
        give_up = now_s() + probe.period_s * probe.failure_threshold
        judge = Judge(probe)
        while True:
            fault = await ask(probe.ask, self._target, timeout_s=probe.timeout_s)
            judge.hear(good=not fault)
            if judge.well:
                return ""
            self._tell(False, f"startup probe: {fault}")
            if now_s() >= give_up:
                return fault
            await asyncio.sleep(min(probe.period_s, self._eager_s))

    async def _stay_ready(self, probe: Probe) -> NoReturn:
        judge = Judge(probe, well=self._ready_before)
        if not self._ready_before:
            await asyncio.sleep(probe.initial_delay_s)
        first = been_ready = self._ready_before
        while True:
            fault = await ask(probe.ask, self._target, timeout_s=probe.timeout_s)
            if first and fault:
                # It may have been unwell for long while nobody looked: no second chances.
                judge = Judge(probe)
            first = False
            judge.hear(good=not fault)
            been_ready = been_ready or judge.well
            self._tell(judge.well, f"readiness probe: {fault}" if fault else "")
            await asyncio.sleep(
                probe.period_s if been_ready else min(probe.period_s, self._eager_s)
            )

    async def _stay_alive(self, probe: Probe) -> str:
        # Unlike readiness, asking early can do harm: never before a whole period has passed.
        await asyncio.sleep(max(probe.initial_delay_s, probe.period_s))
        judge = Judge(probe, well=True)
        while True:
            fault = await ask(probe.ask, self._target, timeout_s=probe.timeout_s)
            judge.hear(good=not fault)
            if not judge.well:
                return fault
            await asyncio.sleep(probe.period_s)
