"""Names of Envoy clusters: which release, revision and use a counter belongs to.

A cluster is one use of one revision: the same endpoints under several names, so that Envoy's own
counters keep live, forced, preview and mirrored requests apart.
"""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from sluice.nouns import Purpose, RevisionId


class Use(StrEnum):
    """What a cluster is there for: the four purposes, captured live requests, parts of a shield."""

    LIVE = "live"
    FORCED = "forced"
    PREVIEW = "preview"
    MIRROR = "mirror"
    CAPTURED = "captured"
    """Stable's live requests that are mirrored as well: their answers are kept."""
    GUARDED = "guarded"
    """The candidate's own tries under a shield."""
    SHIELD = "shield"
    """The aggregate that routes name: guarded first, rescue on failure."""
    RESCUE = "rescue"
    """Stable's endpoints, under the candidate's name: they answer in its place."""

    @property
    def purpose(self) -> Purpose | None:
        """The purpose that is counted here; None where it is counted under another use."""
        match self:
            case Use.LIVE | Use.CAPTURED | Use.GUARDED:
                return Purpose.LIVE
            case Use.SHIELD | Use.RESCUE:
                return None
            case _:
                return Purpose(self.value)


@dataclass(frozen=True, slots=True, order=True)
class ClusterName:
    """``release/revision/use``; release may contain slashes, the others cannot."""

    release: str
    revision: RevisionId
    use: Use

    def __str__(self) -> str:
        return f"{self.release}/{self.revision}/{self.use}"

    @property
    def file_name(self) -> str:
        """Name of its endpoint file: one file per cluster, or Envoy refuses the assignment."""
        return quote(str(self), safe="") + ".json"

    @classmethod
    def parse(cls, text: str) -> "ClusterName | None":
        """The name in ``text``, or None when it is not one of ours."""
        release, _, rest = text.rpartition("/")
        release, _, revision = release.rpartition("/")
        if not release or not revision or rest not in _USES:
            return None
        return cls(release, RevisionId(revision), Use(rest))


_USES = frozenset(use.value for use in Use)
