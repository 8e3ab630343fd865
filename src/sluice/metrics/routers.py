"""Counters of Envoy routers, read from the agent of every one."""

from collections.abc import Callable, Mapping, Sequence

from pydantic import SecretStr

from sluice.connections import AgentAddress
from sluice.errors import SpecError, TransientError
from sluice.metrics.codec import decode_snapshots
from sluice.metrics.reader import AgentReader
from sluice.nouns import Snapshot


class RouterCounters(AgentReader):
    """Reads all routers at once.

    A router that does not answer is left out; one whose answer makes no sense fails the reading:
    garbage, counts that cannot be, counts that fell within an epoch.

    Args:
        agents: Returns the routers there are now; asked at every reading.
        token: What the agents want to see.
        timeout_s: Longest wait for one agent, seconds.
    """

    def __init__(
        self,
        agents: Callable[[], Sequence[AgentAddress]],
        *,
        token: SecretStr,
        timeout_s: float = 5.0,
    ) -> None:
        super().__init__(agents, token=token, timeout=timeout_s)
        self._last: dict[tuple[str, str], Snapshot] = {}

    async def read(self) -> Mapping[str, tuple[Snapshot, ...]]:
        """One snapshot per router, by release.

        Raises:
            TransientError: no router answers, or one answers what makes no sense.
        """
        reached = await self._ask_all(lambda agent: self._ask(agent, "/v1/counters"), "counters")
        by_release: dict[str, list[Snapshot]] = {}
        for agent, content in reached:
            for release, snapshot in self._decoded(agent, content).items():
                by_release.setdefault(release, []).append(snapshot)
        for release, snapshots in by_release.items():
            for snapshot in snapshots:
                self._last[snapshot.router, release] = snapshot
        return {release: tuple(snapshots) for release, snapshots in by_release.items()}

    def _decoded(self, agent: AgentAddress, content: bytes) -> dict[str, Snapshot]:
        try:
            _, snapshots = decode_snapshots(content)
        except SpecError as error:
            raise TransientError(f"router {agent.name} answers nonsense: {error}") from error
        for release, snapshot in snapshots.items():
            before = self._last.get((snapshot.router, release))
            if before is not None:
                _check_grown(agent, release, before, snapshot)
        return snapshots


def _check_grown(agent: AgentAddress, release: str, before: Snapshot, after: Snapshot) -> None:
    if before.epoch != after.epoch:
        return
    for arm in before.arms:
        now = after.arm(arm.revision, arm.purpose)
        if now is not None and not (now.counts - arm.counts).plausible:
            raise TransientError(
                f"router {agent.name}: counts of {release} revision {arm.revision}"
                f" ({arm.purpose}) fell from {arm.counts.total} requests, {arm.counts.errors}"
                f" errors to {now.counts.total}, {now.counts.errors} in the same epoch"
            )
