"""Where a document stands, and how a place in it is written."""

import re
from dataclasses import dataclass, field

from sluice.errors import Fault
from sluice.spec.base import Loc
from sluice.spec.scalars import shown
from sluice.spec.tree import Lines

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a document stands; without file and lines when it did not come from a text."""

    file: str = ""
    lines: Lines = field(default_factory=lambda: Lines(0))
    told: frozenset[Loc] = frozenset()
    """Places in it whose text is wrong already: what stands there was not meant."""

    def fault(self, loc: Loc, reason: str) -> Fault:
        """A fault at a place of this document."""
        return Fault(path=dotted(loc), reason=reason, file=self.file, line=self.lines.of(loc))


def dotted(loc: Loc) -> str:
    """A place as people write it: ``spec.steps[2].setWeight``, ``annotations["a.b/c"]``."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{shown(part)}]"
    return text or "document"
