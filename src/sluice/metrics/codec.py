"""Counters as JSON, from agents to the controller. Strict: counts that cannot be are refused."""

from collections.abc import Mapping
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from pydantic import ValidationError as PydanticError

from sluice.errors import Fault, SpecError
from sluice.nouns import LATENCY_GRID_MS, ArmCounts, Counts, Purpose, RevisionId, Snapshot

Count = Annotated[int, Field(strict=True, ge=0, le=2**63)]
Name = Annotated[str, StringConstraints(strict=True, pattern=r"^\S+$", max_length=320)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Counts(_Wire):
    total: Count
    errors: Count
    client_errors: Count = 0
    timed: Count = 0
    slow: tuple[Count, ...] = ()

    def noun(self) -> Counts:
        return Counts(
            total=self.total,
            errors=self.errors,
            client_errors=self.client_errors,
            timed=self.timed,
            slow=self.slow,
        )


class _Arm(_Wire):
    revision: Name
    purpose: Purpose
    counts: _Counts
    endpoints: dict[Name, _Counts] = {}
    active: Count = 0
    shielded: Count = 0
    users_bad: Count | None = None


class _Snapshot(_Wire):
    epoch: Name
    taken_ms: Count
    arms: tuple[_Arm, ...]


class _Document(_Wire):
    router: Name
    releases: dict[Name, _Snapshot]


_DOCUMENT = TypeAdapter(_Document)


def encode_snapshots(router: str, snapshots: Mapping[str, Snapshot]) -> bytes:
    """One router's counters of all releases as JSON."""
    releases = {release: _snapshot(snapshot) for release, snapshot in snapshots.items()}
    return orjson.dumps({"router": router, "releases": releases})


def _snapshot(snapshot: Snapshot) -> dict[str, object]:
    arms = [
        {
            "revision": arm.revision,
            "purpose": arm.purpose,
            "counts": arm.counts,
            "endpoints": dict(arm.endpoints),
            "active": arm.active,
            "shielded": arm.shielded,
            "users_bad": arm.users_bad,
        }
        for arm in snapshot.arms
    ]
    return {"epoch": snapshot.epoch, "taken_ms": snapshot.taken_ms, "arms": arms}


def decode_snapshots(data: bytes) -> tuple[str, dict[str, Snapshot]]:
    """(router, counters by release) in ``data``.

    Raises:
        SpecError: it cannot be used, or are no counts; lists every fault.
    """
    try:
        document = _DOCUMENT.validate_json(data)
    except PydanticError as error:
        items = error.errors(include_url=False, include_context=False, include_input=False)
        faults = [
            Fault(path=".".join(map(str, item["loc"])) or "(document)", reason=item["msg"])
            for item in items
        ]
        raise SpecError(faults) from error
    faults = []
    snapshots = {}
    for release, wire in document.releases.items():
        arms = tuple(_arm(item) for item in wire.arms)
        for index, arm in enumerate(arms):
            faults += _impossible(arm, f"releases.{release}.arms.{index}")
        keys = [(arm.revision, arm.purpose) for arm in arms]
        if len(set(keys)) != len(keys):
            faults.append(Fault(path=f"releases.{release}.arms", reason="an arm occurs twice"))
        snapshots[release] = Snapshot(
            router=document.router, epoch=wire.epoch, taken_ms=wire.taken_ms, arms=arms
        )
    if faults:
        raise SpecError(faults)
    return document.router, snapshots


def _arm(wire: _Arm) -> ArmCounts:
    return ArmCounts(
        revision=RevisionId(wire.revision),
        purpose=wire.purpose,
        counts=wire.counts.noun(),
        endpoints={name: counts.noun() for name, counts in wire.endpoints.items()},
        active=wire.active,
        shielded=wire.shielded,
        users_bad=wire.users_bad,
    )


def _impossible(arm: ArmCounts, path: str) -> list[Fault]:
    faults = []
    if not arm.counts.plausible:
        faults.append(Fault(path=f"{path}.counts", reason="a part is larger than its whole"))
    if len(arm.counts.slow) not in (0, len(LATENCY_GRID_MS)):
        reason = f"needs {len(LATENCY_GRID_MS)} thresholds, or none"
        faults.append(Fault(path=f"{path}.counts.slow", reason=reason))
    if arm.shielded > arm.counts.errors:
        faults.append(Fault(path=f"{path}.shielded", reason="is more than all errors"))
    faults.extend(
        Fault(path=f"{path}.endpoints.{name}", reason="a part is larger than its whole")
        for name, counts in arm.endpoints.items()
        if not counts.plausible
    )
    return faults
