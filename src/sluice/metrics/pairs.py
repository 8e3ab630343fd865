"""Pairs of answers to mirrored requests, read from the agent of every router."""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from pydantic import SecretStr

from sluice.connections import AgentAddress
from sluice.errors import SpecError, TransientError
from sluice.metrics.pairs_codec import decode_pairs
from sluice.metrics.reader import AgentReader
from sluice.nouns import PairBatch


class RouterPairs(AgentReader):
    """Reads all routers at once; one that does not answer is left out, its cursor stays.

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

    async def read(self, release: str, after: Mapping[str, str]) -> PairBatch:
        """What every router captured of a release since its cursor.

        Raises:
            TransientError: no router answers, or one answers what makes no sense.
        """
        path = f"/v1/releases/{quote(release, safe='/')}/pairs"

        async def ask(agent: AgentAddress) -> bytes | TransientError:
            known = {"after": after[agent.name]} if agent.name in after else {}
            return await self._ask(agent, path, **known)

        batches = [_decoded(agent, content) for agent, content in await self._ask_all(ask, "pairs")]
        cursors = dict(after)
        for batch in batches:
            cursors.update(batch.cursors)
        return PairBatch(
            pairs=tuple(pair for batch in batches for pair in batch.pairs),
            cursors=cursors,
            missed=sum(batch.missed for batch in batches),
            alone=sum(batch.alone for batch in batches),
            more=any(batch.more for batch in batches),
        )


def _decoded(agent: AgentAddress, content: bytes) -> PairBatch:
    try:
        return decode_pairs(content)
    except SpecError as error:
        raise TransientError(f"router {agent.name} answers nonsense: {error}") from error
