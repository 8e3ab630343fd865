"""Documents that were applied: what a later file may refer to without giving it again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sluice import spec
from sluice.errors import SpecError, StateError
from sluice.platforms.local.folder import read_json, replace_file, state_errors


class Library:
    """Applied documents of one state folder, in one file.

    Args:
        path: The file; made by the first ``keep``.

    Raises:
        StateError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with state_errors("read", path):
            content = read_json(path) if path.exists() else {}
        if content is None:
            raise StateError(f"{path} is not the list of applied documents: move it away")
        try:
            self.documents = spec.from_objects(content.get("documents", ()), name=str(path))
        except SpecError as error:
            raise StateError(f"{path} cannot be used: {error}") from error

    def read(self, files: Sequence[tuple[str, str]]) -> spec.Documents:
        """Check (name, text) of files; references may lead to applied documents.

        Raises:
            SpecError: with every fault of every document.
        """
        texts = [spec.Text(text=text, name=name) for name, text in files]
        return spec.load(texts, known=self.documents)

    def keep(self, documents: spec.Documents) -> Mapping[tuple[str, str], bool]:
        """Remember documents; tells which of them are new or differ, by kind and name.

        Raises:
            StateError: the file cannot be written.
        """
        before = {(item.kind, item.name): item for item in self.documents}
        given = {(item.kind, item.name): item for item in documents}
        merged = {**before, **given}
        changed: dict[tuple[str, str], bool] = {
            key: before.get(key) != item for key, item in given.items()
        }
        if any(changed.values()):
            self._write([spec.to_object(item) for item in merged.values()])
        return changed

    def forget(self, release: str) -> None:
        """Drop a deleted release; its policy and SLOs stay.

        Raises:
            StateError: the file cannot be written.
        """
        left = [item for item in self.documents if (item.kind, item.name) != ("Release", release)]
        self._write([spec.to_object(item) for item in left])

    def _write(self, objects: list[dict[str, Any]]) -> None:
        text = json.dumps({"documents": objects}, indent=1)
        with state_errors("write", self._path):
            replace_file(self._path, text, durable=True)
        self.documents = spec.from_objects(objects, name=str(self._path))
