"""Reads untyped JSON and collects every fault on the way, instead of stopping at the first."""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from sluice.errors import Fault


class Reader:
    """One object of a document, the path to it, and the faults of the whole document."""

    def __init__(
        self, value: Mapping[str, Any], path: str, faults: list[Fault], ignored: list[str]
    ) -> None:
        self.value = value
        self.path = path
        self.faults = faults
        self.ignored = ignored

    @classmethod
    def of(cls, value: Mapping[str, Any], path: str) -> "Reader":
        """The document itself."""
        return cls(value, path, [], [])

    def fault(self, field: str, reason: str) -> None:
        """Note a fault of a field; of the object itself when ``field`` is empty."""
        self.faults.append(Fault(path=self._at(field), reason=reason))

    def accept(
        self, used: Collection[str], *, ignored: Collection[str], refused: Mapping[str, str]
    ) -> None:
        """Sort the fields that are set; empty ones of the refused are harmless."""
        for field, value in self.value.items():
            if field in refused:
                if value not in (None, False, [], {}):
                    self.fault(field, refused[field])
            elif field in ignored:
                self.ignored.append(self._at(field))
            elif field not in used:
                close = difflib.get_close_matches(field, [*used, *ignored, *refused], n=1)
                hint = f", did you mean {close[0]}?" if close else ""
                self.fault(field, f"is not a known field{hint}")

    def child(self, field: str) -> "Reader":
        """The object in a field; empty when it is absent."""
        value = self.value.get(field)
        if value is not None and not isinstance(value, Mapping):
            self.fault(field, "must be an object")
            value = None
        return Reader(value or {}, self._at(field), self.faults, self.ignored)

    def items(self, field: str) -> list["Reader"]:
        """The objects in a list; none when it is absent."""
        value = self.value.get(field)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            self.fault(field, "must be a list")
            return []
        found = []
        for index, item in enumerate(value):
            if isinstance(item, Mapping):
                path = f"{self._at(field)}[{index}]"
                found.append(Reader(item, path, self.faults, self.ignored))
            else:
                self.fault(f"{field}[{index}]", "must be an object")
        return found

    def strings(self, field: str) -> tuple[str, ...]:
        """The texts in a list; none when it is absent."""
        value = self.value.get(field)
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            self.fault(field, "must be a list of texts: quote numbers and booleans")
            return ()
        return tuple(value)

    def text(self, field: str, default: str | None) -> str:
        """The text in a field; without a default it must be there."""
        value = self.value.get(field, default)
        if isinstance(value, str):
            return value
        self.fault(field, "is needed" if value is None else "must be a text: quote it")
        return ""

    def number(
        self, field: str, default: float | None, *, least: float, most: float = float("inf")
    ) -> float:
        """The number in a field; without a default it must be there."""
        value = self.value.get(field, default)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if least <= value <= most:
                return value
            limit = f"at least {least}" if value < least else f"at most {most}"
            self.fault(field, f"must be {limit}")
            return least
        self.fault(field, "is needed" if value is None else "must be a number")
        return least

    def _at(self, field: str) -> str:
        return f"{self.path}.{field}" if field else self.path
