"""What ``promote-to`` was asked."""

from dataclasses import dataclass
from pathlib import Path

from sluice.cli.promotion.environments import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What shall be carried, and where to."""

    there: Environment
    release: str | None
    revision: str | None
    here: Environment | None
    """None: the labels and names tell."""
    context: str | None
    """Of the target; None: the source's."""
    namespace: str | None
    """Of the target; None: the source's, with the other environment in its name."""
    folder: Path | None
    """Overlay to write instead of the target's cluster."""
    force: bool
