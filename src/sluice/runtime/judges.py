"""What decides a rung beside its counters: pairs of answers, outcomes of users."""

from typing import Protocol

from sluice.nouns import Verdict
from sluice.runtime.core import Core


class Judge(Protocol):
    """Looks at one kind of evidence that routers do not count.

    What it remembers of a pass is in ``core.apart[name]``, as JSON values: it is checkpointed with
    the release and gone with the pass.
    """

    @property
    def name(self) -> str:
        """Key in ``core.apart``."""
        ...

    async def look(self, core: Core, at_ms: int) -> Verdict | None:
        """The verdict on the rung that the release is on; None: this judge does not decide it.

        Raises:
            TransientError: the evidence could not be read; the poll is ``error``.
        """
        ...
