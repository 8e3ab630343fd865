"""The last accepted fragment of every release, on disk: what a new agent starts from."""

from pathlib import Path
from urllib.parse import quote

import structlog

from sluice.dataplanes.codec import decode_fragment, encode_fragment
from sluice.dataplanes.envoyfiles import replace_file
from sluice.errors import SpecError, StateError
from sluice.nouns import Fragment

log = structlog.get_logger(__name__)


class FragmentStore:
    """One file per release."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> dict[str, Fragment]:
        """Every fragment that can be read; one that cannot leaves the others alone.

        Raises:
            StateError: the folder itself cannot be read.
        """
        found: dict[str, Fragment] = {}
        try:
            paths = sorted(self._folder.glob("*.json"))
        except OSError as error:
            raise StateError(f"{self._folder} cannot be read: {error.strerror}") from error
        for path in paths:
            try:
                fragment = decode_fragment(path.read_bytes())
            except (OSError, SpecError) as error:
                log.warning("agent.fragment_unreadable", path=str(path), reason=str(error))
                continue
            found[fragment.routing.release] = fragment
        return found

    def save(self, fragment: Fragment) -> None:
        """Keep a fragment.

        Raises:
            StateError: it cannot be written.
        """
        replace_file(self._path(fragment.routing.release), encode_fragment(fragment), mode=0o600)

    def remove(self, release: str) -> None:
        """Forget a release; unknown names are fine."""
        self._path(release).unlink(missing_ok=True)

    def _path(self, release: str) -> Path:
        return self._folder / f"{quote(release, safe='')}.json"
