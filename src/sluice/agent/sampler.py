"""Reads Envoy's counters again and again, and remembers what must not be lost."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from sluice.agent.counting import ArmKey, ArmTally, Counting
from sluice.agent.ledger import Ledger
from sluice.agent.reading import read_envoy
from sluice.agent.users import BadUsers
from sluice.dataplanes.envoyadmin import EnvoyAdmin
from sluice.dataplanes.names import ClusterName
from sluice.errors import StateError, TransientError
from sluice.nouns import ArmCounts, Fragment, Purpose, RevisionId, Snapshot

log = structlog.get_logger(__name__)

SAVE_INTERVAL_S = 10.0
"""How often the ledger goes to disk: what an agent that is killed can forget."""


class Sampler:
    """Counts of every arm of one router, cumulative since Envoy started."""

    def __init__(
        self,
        *,
        name: str,
        admin: EnvoyAdmin,
        ledger_path: Path,
        fragments: Callable[[], Mapping[str, Fragment]],
        users: BadUsers,
    ) -> None:
        self._name = name
        self._admin = admin
        self._fragments = fragments
        self._users = users
        self._counting = Counting(Ledger.load(ledger_path))
        self._busy: frozenset[ClusterName] = frozenset()
        self._saved_s = time.monotonic()
        self._read_s = 0.0
        self._lock = asyncio.Lock()

    async def tallies(self) -> dict[ArmKey, ArmTally]:
        """A fresh reading.

        Raises:
            TransientError: Envoy does not answer.
        """
        async with self._lock:
            self._users.read()
            reading = await read_envoy(self._admin)
            self._read_s = now_s = time.monotonic()
            arms = self._counting.take(
                reading, at_ms=int(now_s * 1000), shield_ms=self._shield_times()
            )
            self._busy = frozenset(
                name
                for name, cluster in reading.clusters.items()
                if cluster.active + cluster.pending
            )
            if self._counting.began_anew or now_s - self._saved_s >= SAVE_INTERVAL_S:
                try:
                    self.save()
                except StateError as error:
                    # Counts are right as long as this agent lives.
                    log.warning("agent.ledger_not_saved", reason=str(error))
            return arms

    async def snapshots(self) -> dict[str, Snapshot]:
        """A fresh reading, by release.

        Raises:
            TransientError: Envoy does not answer.
        """
        arms = await self.tallies()
        taken_ms = time.time_ns() // 1_000_000
        epoch = self._counting.ledger.epoch
        served = self._fragments()
        by_release: dict[str, list[tuple[RevisionId, Purpose, ArmTally]]] = {
            release: [] for release in served
        }
        for (release, revision, purpose), tally in arms.items():
            if release in by_release:
                by_release[release].append((revision, purpose, tally))
        return {
            release: Snapshot(
                router=self._name,
                epoch=epoch,
                taken_ms=taken_ms,
                arms=tuple(
                    self._with_users(release, tally.noun(revision, purpose))
                    for revision, purpose, tally in found
                ),
            )
            for release, found in by_release.items()
        }

    def _with_users(self, release: str, arm: ArmCounts) -> ArmCounts:
        users = self._users.counts(release) if arm.purpose is Purpose.LIVE else None
        return arm if users is None else replace(arm, users_bad=users.get(arm.revision, 0))

    def is_busy(self, name: ClusterName) -> bool:
        """Whether a cluster had requests under way at the last reading."""
        return name in self._busy

    def save(self) -> None:
        """Write the ledger to disk.

        Raises:
            StateError: it cannot be written.
        """
        self._counting.ledger.save()
        self._saved_s = time.monotonic()

    async def run(self, interval_s: float) -> None:
        """Read at this interval, where nobody else does, until cancelled."""
        while True:
            try:
                if time.monotonic() - self._read_s >= 0.9 * interval_s:
                    await self.tallies()
            except (TransientError, StateError) as error:
                log.debug("agent.counters_unreadable", reason=str(error))
            await asyncio.sleep(interval_s)

    def _shield_times(self) -> dict[tuple[str, RevisionId], int]:
        return {
            (release, arm.revision): fragment.routing.shield.per_try_timeout_ms
            for release, fragment in self._fragments().items()
            if fragment.routing.shield is not None
            for arm in fragment.routing.live
        }
