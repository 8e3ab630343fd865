"""Every conformance scenario: a story with a place in the matrix."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.conformance.story import Story

Tell = Callable[[Story], None]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A story, told the same in every world."""

    group: str
    """Which table of the matrix: ``situations``, ``verbs``, ``edits``, ``kills``."""
    row: str
    """A strategy, a moment of a release, or a part that is killed."""
    column: str
    """What happens."""
    tell: Tell
    laptop: bool = False
    """Told with real processes too."""

    @property
    def name(self) -> str:
        """What README and the matrix call it."""
        parts = [self.group, self.row, *([self.column] if self.column else [])]
        return "/".join(parts).replace(" ", "-").replace("---", "-")
