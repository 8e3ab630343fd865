"""Which Gateways serve the releases, and what counts as their word that they do."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sluice.errors import Fault, SpecError

_PARENT = re.compile(
    r"(?P<namespace>[a-z0-9]([a-z0-9-]*[a-z0-9])?)/(?P<name>[a-z0-9]([a-z0-9.-]*[a-z0-9])?)"
    r"(:(?P<section>[a-z0-9]([a-z0-9.-]*[a-z0-9])?))?"
)


class Acknowledge(StrEnum):
    """When a routing counts as served."""

    STATUS = "status"
    """Every Gateway says in the route's status that it accepted this version of it."""
    WRITTEN = "written"
    """The API server has it. For Gateways that write no status: when requests really move is then
    unknown, and a route that the Gateway refuses is not noticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentRef:
    """One Gateway, or one listener of it."""

    namespace: str
    name: str
    section: str = ""
    """Name of the listener; empty: every listener that lets the route in."""

    @property
    def document(self) -> dict[str, Any]:
        """As in ``spec.parentRefs``; group and kind are those that the API server would write."""
        section = {"sectionName": self.section} if self.section else {}
        return {
            "group": "gateway.networking.k8s.io",
            "kind": "Gateway",
            "namespace": self.namespace,
            "name": self.name,
            **section,
        }

    def __str__(self) -> str:
        listener = f":{self.section}" if self.section else ""
        return f"{self.namespace}/{self.name}{listener}"


def parse_parents(text: str) -> tuple[ParentRef, ...]:
    """Gateways of a setting: ``namespace/name`` or ``namespace/name:listener``, by commas.

    Raises:
        SpecError: one of them is not written so, or there is none.
    """
    found, faults = [], []
    for part in filter(None, (item.strip() for item in text.split(","))):
        match = _PARENT.fullmatch(part)
        if match is None:
            reason = f'"{part}" is not NAMESPACE/NAME or NAMESPACE/NAME:LISTENER'
            faults.append(Fault(path="gateways", reason=reason))
        else:
            given = match.groupdict()
            parent = ParentRef(
                namespace=given["namespace"], name=given["name"], section=given["section"] or ""
            )
            found.append(parent)
    if not found and not faults:
        reason = "names no Gateway: write NAMESPACE/NAME, several with commas between them"
        faults.append(Fault(path="gateways", reason=reason))
    if faults:
        raise SpecError(faults)
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """How routes are written and when they count as served."""

    parents: tuple[ParentRef, ...]
    """Gateways that serve every release, at least one."""
    acknowledge: Acknowledge = Acknowledge.STATUS
    timeout_s: float = 15.0
    """Longest wait for the Gateways' word, seconds; as long as for a router's agent."""
    version_header: bool = False
    """Answers carry ``x-sluice-version``. A filter on a backend is an extended feature of the
    Gateway API: a Gateway without it refuses the route, so it is off unless asked for."""
    namespaces: tuple[str, ...] = ()
    """Where releases may be, for the account's rights; empty: everywhere."""
