"""Fields of one record, from a file or a store, checked."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sluice.errors import Fault
from sluice.nouns import OutcomeRow

KNOWN = ("user", "outcome", "goal", "at", "revision")
"""Fields with a meaning of their own; every other one is a covariate."""
_WORDS = {"true": 1.0, "false": 0.0}
_LONGEST = 512


def outcome_row(record: Mapping[str, Any], *, file: str, line: int) -> OutcomeRow | list[Fault]:
    """The row that a record of an outcomes file says, or everything that is wrong with it.

    Args:
        record: ``user``, and as wanted ``outcome``, ``goal``, ``at``, ``revision``, covariates.
        file: Named in faults.
        line: Likewise, 1-based.
    """
    faults: list[Fault] = []

    def wrong(path: str, reason: str) -> None:
        faults.append(Fault(path=path, reason=reason, file=file, line=line))

    def numbered(name: str) -> float | None:
        try:
            return number(record.get(name))
        except ValueError as error:
            wrong(name, str(error))
            return None

    user = record.get("user")
    if isinstance(user, int) and not isinstance(user, bool):
        user = str(user)
    if not isinstance(user, str) or not user.strip():
        wrong("user", "no user: every row says whose it is")
        user = ""
    elif len(user) > _LONGEST:
        wrong("user", f"longer than {_LONGEST} characters")
    value = numbered("outcome")
    at_ms = None
    try:
        at_ms = moment(record.get("at"))
    except ValueError as error:
        wrong("at", str(error))
    covariates = []
    for name in record:
        if name not in KNOWN:
            found = numbered(name)
            if found is not None:
                covariates.append((name, found))
    if faults:
        return faults
    return OutcomeRow(
        user=user,
        at_ms=at_ms,
        revision=str(record.get("revision") or ""),
        goal=str(record.get("goal") or "").strip(),
        value=value,
        covariates=tuple(covariates),
    )


def number(value: object) -> float | None:
    """A finite number, ``true`` as 1 and ``false`` as 0; None: nothing was said.

    Raises:
        ValueError: it is none, in one line.
    """
    match value:
        case None | "":
            return None
        case bool() | int() | float():
            found = float(value)
        case str() if value.strip().lower() in _WORDS:
            return _WORDS[value.strip().lower()]
        case str():
            try:
                found = float(value)
            except ValueError:
                raise ValueError(f"not a number, true or false: {value[:40]!r}") from None
        case _:
            raise ValueError(f"not a number, true or false: {type(value).__name__}")
    if not math.isfinite(found):
        raise ValueError(f"not a finite number: {value}")
    return found


def moment(value: object) -> int | None:
    """UTC milliseconds of a number of milliseconds or an ISO 8601 time; None: nothing was said.

    Raises:
        ValueError: it is neither, in one line.
    """
    match value:
        case None | "":
            return None
        case int() if not isinstance(value, bool):
            return value
        case str() if value.strip().isdecimal():
            return int(value)
        case str():
            try:
                time = datetime.fromisoformat(value.strip())
            except ValueError:
                raise ValueError(_no_moment(value)) from None
            if time.tzinfo is None:
                time = time.replace(tzinfo=UTC)
            return int(time.timestamp() * 1_000)
        case _:
            raise ValueError(_no_moment(value))


def _no_moment(value: object) -> str:
    return f"neither UTC milliseconds nor an ISO 8601 time: {str(value)[:40]!r}"
