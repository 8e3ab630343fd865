"""Who of several controllers leads: one Lease, held by renewing it.

The number of the leadership (``leaseTransitions``) is the epoch that agents know: they refuse what
comes from an older one. That is why a leader may go on while the API server cannot be reached:
nobody else can take the lease then, and who takes it later has the greater epoch.
"""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any

import structlog

from sluice.cluster.keys import Object, stamp_us
from sluice.errors import SluiceError
from sluice.kube.client import KubeClient
from sluice.kube.errors import Conflict, NotThere
from sluice.kube.kinds import LEASE
from sluice.ports import Clock

log = structlog.get_logger()

RENEWALS = 5
"""So often a lease is renewed, and looked at by those who wait, within its time."""

FIRST_EPOCH_MS = 60_000
"""A new Lease begins with the minutes since 1970, not with 1: somebody may have deleted the one
before, and agents that remember its leaders must not refuse every later one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One leadership."""

    epoch: int


class Elector:
    """Takes, renews and gives back the lease of one process.

    Args:
        client: Of its own, so that a renewal never waits behind other calls.
        clock: Time.
        name: Of the Lease.
        namespace: Of the Lease.
        pod: Of this process: one that was killed is followed by another in the same pod, which
            needs not wait until the lease is over.
        lease_s: How long a leadership lasts that nobody renews, seconds.
    """

    def __init__(
        self,
        client: KubeClient,
        clock: Clock,
        *,
        name: str,
        namespace: str,
        pod: str,
        lease_s: float,
    ) -> None:
        self._client = client
        self._clock = clock
        self._name = name
        self._namespace = namespace
        self._pod = pod
        self._lease_s = lease_s
        self.identity = f"{pod}_{secrets.token_hex(4)}"
        self._held: Object | None = None
        self._seen: tuple[str, str] = ("", "")
        self._seen_ms = 0
        self.problem = ""
        """Why the lease cannot be read or written at the moment; empty: it can."""

    @property
    def every_s(self) -> float:
        """Time between two looks at the lease, seconds."""
        return self._lease_s / RENEWALS

    async def acquire(self) -> Held:
        """Return once this process leads."""
        while True:
            try:
                held = await self._try()
                self.problem = ""
            except SluiceError as error:
                held = None
                self._note(error)
            if held is not None:
                return held
            await self._clock.sleep(self.every_s)

    async def keep(self) -> str:
        """Renew until somebody else leads; returns who that is."""
        while True:
            await self._clock.sleep(self.every_s)
            try:
                holder = await self._renew()
                self.problem = ""
            except SluiceError as error:
                self._note(error)
                continue
            if holder:
                return holder

    async def release(self) -> None:
        """Give the lease back, so that the next leader needs not wait; best effort."""
        held, self._held = self._held, None
        if held is None:
            return
        spec = {**held["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
        spec["renewTime"] = stamp_us(self._clock.now_ms())
        try:
            async with asyncio.timeout(2):
                await self._client.replace({**held, "spec": spec})
        except (SluiceError, TimeoutError) as error:
            log.warning("lease.not_released", problem=str(error))

    def _note(self, error: SluiceError) -> None:
        if str(error) != self.problem:
            log.warning("lease.problem", lease=self._name, problem=str(error))
        self.problem = str(error)

    async def _try(self) -> Held | None:
        """Take the lease if it is free; None: somebody has it."""
        lease = await self._client.get(LEASE, self._name, self._namespace)
        now_ms = self._clock.now_ms()
        if lease is None:
            epoch = now_ms // FIRST_EPOCH_MS
            fresh = LEASE.new(self._name, self._namespace, spec=self._spec(now_ms, epoch=epoch))
            try:
                self._held = await self._client.create(fresh)
            except Conflict:
                return None
            return Held(epoch=epoch)
        spec = lease.get("spec") or {}
        if not self._is_free(spec, now_ms):
            return None
        epoch = int(spec.get("leaseTransitions") or 0) + 1
        taken = {**lease, "spec": self._spec(now_ms, epoch=epoch)}
        try:
            self._held = await self._client.replace(taken)
        except (Conflict, NotThere):
            return None
        return Held(epoch=epoch)

    def _is_free(self, spec: dict[str, Any], now_ms: int) -> bool:
        holder = str(spec.get("holderIdentity") or "")
        if not holder or holder.rpartition("_")[0] == self._pod:
            return True
        mark = (holder, str(spec.get("renewTime")))
        if mark != self._seen:
            # By the time that passes here: clocks of two machines need not agree.
            self._seen, self._seen_ms = mark, now_ms
        lasts_s = float(spec.get("leaseDurationSeconds") or self._lease_s)
        return now_ms - self._seen_ms > lasts_s * 1000

    async def _renew(self) -> str:
        """Renew; returns who holds the lease instead, or nothing."""
        held = self._held
        if held is None:
            return "nobody"
        spec = {**held["spec"], "renewTime": stamp_us(self._clock.now_ms())}
        try:
            self._held = await self._client.replace({**held, "spec": spec})
        except (Conflict, NotThere):
            return await self._look_again()
        return ""

    async def _look_again(self) -> str:
        """The lease is not as it was left: whose is it?"""
        lease = await self._client.get(LEASE, self._name, self._namespace)
        spec = (lease or {}).get("spec") or {}
        if lease is not None and spec.get("holderIdentity") == self.identity:
            self._held = lease  # somebody touched it, and it is still ours
            return ""
        self._held = None
        return str(spec.get("holderIdentity") or "nobody")

    def _spec(self, now_ms: int, *, epoch: int) -> dict[str, Any]:
        now = stamp_us(now_ms)
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self._lease_s)),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": epoch,
        }
