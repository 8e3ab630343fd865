"""Faults on demand, so that a release can be rehearsed against a version that really is bad."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Annotated

import numpy as np
from msgspec import Meta

from sluice_model_api.environment import FromEnvironment
from sluice_model_api.errors import InjectedError
from sluice_model_api.tensors import Array

Share = Annotated[float, Meta(ge=0, le=1)]
_HANG_S = 3600.0


class Faults(FromEnvironment, frozen=True, kw_only=True):
    """What goes wrong on purpose; everything off by default."""

    prefix = "MODEL_API_FAULT_"

    error_rate: Share = 0.0
    """Share of requests answered 500."""
    latency_ms: Annotated[float, Meta(ge=0, le=600_000)] = 0.0
    """Added latency, milliseconds; the median when `latency_sigma` is over 0."""
    latency_sigma: Annotated[float, Meta(ge=0, le=5)] = 0.0
    """Spread of the added latency: lognormal with this sigma; 0 is a fixed delay."""
    latency_rate: Share = 1.0
    """Share of requests that get the added latency."""
    hang_rate: Share = 0.0
    """Share of requests that are never answered while the client waits (an hour at most)."""
    crash_rate: Share = 0.0
    """Share of requests at which the process ends at once with code 70."""
    wrong_offset: Annotated[float, Meta(ge=-1e9, le=1e9)] = 0.0
    """Added to every number predicted."""
    wrong_noise: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    """Standard deviation of normal noise added to every number predicted."""
    wrong_stuck: bool = False
    """Every number predicted is the first one predicted since this was switched on."""
    slow_start_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    """Time before the model is loaded, seconds; only at start."""
    leak_bytes: Annotated[int, Meta(ge=0, le=1 << 26)] = 0
    """Memory kept per request, bytes."""
    probes: bool = False
    """Also fault probes and metrics, which otherwise stay true so that nobody restarts the pod
    before the release can be judged."""
    seed: int | None = None
    """Seed of the choices, for a rehearsal that repeats; unset: from the system."""


class FaultInjector:
    """Applies the faults that are set now; setting new ones starts afresh."""

    def __init__(self, faults: Faults) -> None:
        self.set(faults)

    def set(self, faults: Faults) -> None:
        """Replace all faults at run time; nothing of the old ones stays, leaked memory included."""
        self.faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311  # a rehearsal, not a secret
        # Importing numpy.random costs every replica 3 MB.
        self._noise = np.random.default_rng(faults.seed) if faults.wrong_noise else None
        self._stuck: dict[str, float] = {}
        self._leaked: list[bytes] = []
        self.on_requests = bool(
            faults.error_rate
            or (faults.latency_ms and faults.latency_rate)
            or faults.hang_rate
            or faults.crash_rate
            or faults.leak_bytes
        )
        """Something happens to requests before the model runs."""
        self.on_outputs = bool(faults.wrong_offset or faults.wrong_noise or faults.wrong_stuck)
        """Something happens to predictions."""

    @property
    def leaked_bytes(self) -> int:
        """Memory kept on purpose so far, bytes."""
        return sum(map(len, self._leaked))

    async def before(self, gone: Callable[[], Awaitable[None]]) -> None:
        """What happens to one request before it is answered.

        Args:
            gone: Returns when the client has given up; a hang ends with it.

        Raises:
            InjectedError: this request is to fail.
        """
        faults, chance = self.faults, self._random.random
        if faults.crash_rate and chance() < faults.crash_rate:
            os._exit(70)
        if faults.leak_bytes:
            # Written pages, not merely reserved ones: untouched zeros would cost no memory.
            self._leaked.append(b"\1" * faults.leak_bytes)
        if faults.hang_rate and chance() < faults.hang_rate:
            with suppress(TimeoutError):
                await asyncio.wait_for(gone(), _HANG_S)
            raise InjectedError("hang on demand (MODEL_API_FAULT_HANG_RATE)")
        if faults.latency_ms and (faults.latency_rate >= 1 or chance() < faults.latency_rate):
            spread = self._random.lognormvariate(0, faults.latency_sigma)
            await asyncio.sleep(faults.latency_ms / 1000 * spread)
        if faults.error_rate and chance() < faults.error_rate:
            raise InjectedError("error on demand (MODEL_API_FAULT_ERROR_RATE)")

    def outputs(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The predictions that are given instead of the right ones, same shapes and types."""
        faults = self.faults
        changed = {}
        for name, right in outputs.items():
            if right.dtype.kind not in "fiu":
                changed[name] = right
                continue
            wide = right.astype(np.float64)
            if faults.wrong_stuck:
                wide = np.full_like(wide, self._stuck.setdefault(name, float(wide.flat[0])))
            if self._noise:
                wide = wide + self._noise.normal(0, faults.wrong_noise, size=wide.shape)
            wide = wide + faults.wrong_offset
            limits = np.finfo(right.dtype) if right.dtype.kind == "f" else np.iinfo(right.dtype)
            changed[name] = np.clip(wide, float(limits.min), float(limits.max)).astype(right.dtype)
        return changed
