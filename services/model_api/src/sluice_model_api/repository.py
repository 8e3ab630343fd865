"""The models of this process: names, versions, which is the default, and their states."""

import re
from collections.abc import Sequence
from enum import StrEnum

from sluice_model_api.bundle.archive import Bundle
from sluice_model_api.bundle.manifest import Manifest
from sluice_model_api.errors import BundleError, NotReadyError, RequestError
from sluice_model_api.model import Model


class State(StrEnum):
    """State of a version, in the words of the repository index."""

    LOADING = "LOADING"
    READY = "READY"


class Entry:
    """A version that this process serves; ``model`` is there once it is proven and warm."""

    def __init__(self, bundle: Bundle) -> None:
        self.manifest: Manifest = bundle.manifest
        self.digest = bundle.digest
        self.model: Model | None = None
        self._bundle: Bundle | None = bundle

    @property
    def state(self) -> State:
        return State.READY if self.model else State.LOADING

    def load(self, trusted: Sequence[str]) -> None:
        """Load, prove and warm up; the file's bytes are let go.

        Raises:
            BundleError: the bundle does not do what its manifest says.
        """
        if self._bundle is not None:
            self.model = Model(self._bundle, trusted=trusted)
            self._bundle = None


class Repository:
    """Entries by name and version; the default version is the highest.

    Raises:
        BundleError: the same name and version twice.
    """

    def __init__(self, bundles: Sequence[Bundle]) -> None:
        self._entries: dict[str, dict[str, Entry]] = {}
        for bundle in bundles:
            versions = self._entries.setdefault(bundle.manifest.name, {})
            version = bundle.manifest.version
            if version in versions:
                raise BundleError(
                    f"{bundle.origin}: {bundle.manifest.name} version {version} is given twice"
                )
            versions[version] = Entry(bundle)
        self.names = tuple(self._entries)
        self._default = {
            name: max(versions, key=version_key) for name, versions in self._entries.items()
        }

    @property
    def ready(self) -> bool:
        """Every version is loaded, proven and warm."""
        return all(entry.model for entry in self.entries())

    def entries(self) -> list[Entry]:
        """All entries, by name and then from the lowest version to the highest."""
        return [
            versions[version]
            for versions in self._entries.values()
            for version in sorted(versions, key=version_key)
        ]

    def load(self, trusted: Sequence[str]) -> None:
        """Load every entry.

        Raises:
            BundleError: the first one that cannot be served.
        """
        for entry in self.entries():
            entry.load(trusted)

    def versions(self, name: str) -> list[str]:
        """Versions of a model, lowest first.

        Raises:
            RequestError: no such model (404).
        """
        return sorted(self._versions(name), key=version_key)

    def entry(self, name: str, version: str = "") -> Entry:
        """One version; the default one when none is named.

        Raises:
            RequestError: no such model or version (404).
        """
        versions = self._versions(name)
        if not version:
            return versions[self._default[name]]
        if version not in versions:
            known = ", ".join(sorted(versions, key=version_key))
            raise RequestError(
                f"model '{name}' has no version {version[:40]!r}; versions are {known}", status=404
            )
        return versions[version]

    def find(self, name: str, version: str = "") -> Entry | None:
        """One version, or ``None``; the default one when none is named."""
        versions = self._entries.get(name)
        if not versions:
            return None
        return versions.get(version) if version else versions[self._default[name]]

    def model(self, name: str, version: str = "") -> Model:
        """One version that can answer.

        Raises:
            RequestError: no such model or version (404).
            NotReadyError: it is still loading (503).
        """
        entry = self.entry(name, version)
        if entry.model is None:
            raise NotReadyError(f"model '{name}' is loading")
        return entry.model

    def _versions(self, name: str) -> dict[str, Entry]:
        if name not in self._entries:
            raise RequestError(
                f"model {name[:80]!r} is unknown; models are {', '.join(self.names)}", status=404
            )
        return self._entries[name]


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts versions as people do: 2 before 10, v1.9 before v1.10, plain numbers first."""
    parts = re.findall(r"\d+|\D+", version)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)
