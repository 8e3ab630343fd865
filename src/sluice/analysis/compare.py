"""Whether two answers to one request are the same, field by field, with a tolerance each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, isnan

from sluice.nouns import FieldRule

Scalar = float | int | str | bool | None
Fields = Mapping[str, tuple[Scalar, ...]]
"""Values by output name or dotted path; one value, or many in order."""

EVERY_OTHER = "*"
EXACT = FieldRule(field=EVERY_OTHER)
_TINY = 1e-300


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDifference:
    """The worst difference in one field of two answers."""

    field: str
    stable: str
    """What each says, as people read it."""
    candidate: str
    distance: float | None = None
    """|candidate - stable|; None: not numbers."""
    severity: float = inf
    """Multiple of what is tolerated, or of the value itself where nothing is; infinite: not
    numbers."""


def compare(
    stable: Fields, candidate: Fields, rules: Sequence[FieldRule]
) -> tuple[tuple[str, ...], tuple[FieldDifference, ...]]:
    """The fields that were compared, and those of them that differ.

    Args:
        stable: What the user got.
        candidate: What is held against it.
        rules: The first that names a field counts, then the one for every other field. Without
            any rule every field must be equal; with rules but none for the others, those that
            have no rule are not compared.
    """
    named = {rule.field: rule for rule in reversed(rules) if rule.field != EVERY_OTHER}
    others = next((rule for rule in rules if rule.field == EVERY_OTHER), None)
    if not rules:
        others = EXACT
    known = [*stable, *(name for name in candidate if name not in stable)]
    # A field that a rule names and nobody gives is not there to be compared.
    compared: list[str] = []
    found: list[FieldDifference] = []
    for name in known:
        rule = named.get(name, others)
        if rule is None or rule.kind == "ignore":
            continue
        compared.append(name)
        difference = _field(name, stable.get(name), candidate.get(name), rule)
        if difference is not None:
            found.append(difference)
    return tuple(compared), tuple(found)


def _field(
    name: str,
    stable: tuple[Scalar, ...] | None,
    candidate: tuple[Scalar, ...] | None,
    rule: FieldRule,
) -> FieldDifference | None:
    if stable is None or candidate is None or len(stable) != len(candidate):
        return FieldDifference(field=name, stable=_shape(stable), candidate=_shape(candidate))
    worst: FieldDifference | None = None
    for ours, theirs in zip(stable, candidate, strict=True):
        difference = _value(name, ours, theirs, rule)
        if difference is not None and (worst is None or difference.severity > worst.severity):
            worst = difference
    return worst


def _value(name: str, stable: Scalar, candidate: Scalar, rule: FieldRule) -> FieldDifference | None:
    shown = FieldDifference(field=name, stable=said(stable), candidate=said(candidate))
    if rule.kind == "label" or not (_is_number(stable) and _is_number(candidate)):
        # True is 1 for Python, and no number for a model.
        same = type(stable) is type(candidate) or (_is_number(stable) and _is_number(candidate))
        return None if same and stable == candidate else shown
    a, b = float(stable or 0), float(candidate or 0)
    if a == b or (isnan(a) and isnan(b)):
        return None
    distance = abs(b - a)
    if not isfinite(distance):
        return shown
    tolerated = rule.atol + rule.rtol * abs(a)
    if distance <= tolerated:
        return None
    severity = distance / max(tolerated or abs(a), _TINY)
    return replace(shown, distance=distance, severity=severity)


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def said(value: Scalar) -> str:
    """A value for people, cut to what fits into a line."""
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _shape(values: tuple[Scalar, ...] | None) -> str:
    if values is None:
        return "(missing)"
    return said(values[0]) if len(values) == 1 else f"({len(values)} values)"
