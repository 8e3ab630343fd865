"""SLO: the part of OpenSLO v1 that Sluice can judge; everything else is refused with the reason."""

from bisect import bisect
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, PlainValidator, WithJsonSchema

from sluice.nouns import LATENCY_GRID_MS
from sluice.spec.base import Model, Related, Relation, exactly_one
from sluice.spec.scalars import Flag, Name, Number, Text, Words, shown, wrong
from sluice.spec.template import items
from sluice.spec.words import nearest

SLI = "sluice.dev/sli"
LE = "sluice.dev/le"
KINDS = ("availability", "latency")


def _label(value: object) -> str | list[str]:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise wrong(f"must be text or a list of texts, not {shown(value)}")


Label = Annotated[
    str | list[str],
    PlainValidator(_label),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class SloMetadata(Related):
    """Name, labels and, in annotations, the SLI in a form that counters can answer."""

    name: Name
    """What ``sloRef`` of a policy says."""
    namespace: Name | None = None
    """Kept; SLOs are found by name."""
    display_name: Text | None = None
    """For people."""
    labels: dict[Text, Label] = Field(default_factory=dict)
    """For selecting and grouping SLOs."""
    annotations: dict[Text, Text]
    """``sluice.dev/sli``: ``availability`` (good: answered below 500) or ``latency`` (good:
    answered within ``sluice.dev/le`` seconds, such as ``"0.3"``)."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """The annotations name an SLI that the router counts."""
        notes = raw.get("annotations")
        if isinstance(notes, Mapping):
            for loc, reason in _sli_faults(notes):
                yield ("annotations", *loc), reason


def _sli_faults(notes: Mapping[str, Any]) -> Iterator[Relation]:
    for key in notes:
        if key.startswith("sluice.dev/") and key not in (SLI, LE):
            yield (key,), f"unknown annotation{nearest(key, (SLI, LE))}"
    kind = notes.get(SLI)
    if SLI not in notes:
        found = "latency" if LE in notes else "availability"
        yield (SLI,), f"is missing: write {SLI}: {found}, one of {' and '.join(KINDS)}"
    elif isinstance(kind, str) and kind not in KINDS:
        yield (SLI,), f"{shown(kind)} is not one of {', '.join(KINDS)}{nearest(kind, KINDS)}"
    le = notes.get(LE)
    if kind == "latency" and LE not in notes:
        yield (LE,), f'is missing: write the threshold in seconds, such as {LE}: "0.3"'
    elif kind == "availability" and LE in notes:
        yield (LE,), f"belongs to {SLI}: latency; availability has no threshold"
    elif isinstance(le, str):
        try:
            threshold_ms(le)
        except ValueError as error:
            yield (LE,), str(error)


def threshold_ms(seconds: str) -> int:
    """Latency threshold in milliseconds.

    Raises:
        ValueError: not a number of seconds, or not on ``LATENCY_GRID_MS``; names the nearest two.
    """
    try:
        ms = Decimal(seconds) * 1000 if len(seconds) <= 20 else Decimal("nan")
    except InvalidOperation:
        ms = Decimal("nan")
    if not ms.is_finite() or ms <= 0:
        raise ValueError(f'{shown(seconds)} is not a number of seconds, such as "0.3"')
    if ms in LATENCY_GRID_MS:
        return int(ms)
    at = bisect(LATENCY_GRID_MS, ms)
    near = LATENCY_GRID_MS[max(0, at - 1) : at + 1]
    choices = " or ".join(f'"{step / 1000:g}" ({step} ms)' for step in near)
    raise ValueError(f"{shown(seconds)} is no threshold that the router counts; near: {choices}")


class RatioMetric(Related):
    """Good or bad events over all events; the queries are for alerts and are kept, not run."""

    counter: Flag = True
    """Whether the queries count up; kept."""
    good: dict[Text, JsonValue] | None = None
    """Query of good requests."""
    bad: dict[Text, JsonValue] | None = None
    """Query of bad requests, instead of ``good``."""
    total: dict[Text, JsonValue]
    """Query of all requests."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """Good or bad, never both."""
        for key in ("raw", "rawType"):
            if key in raw:
                yield (key,), "is a ratio, which hides the count: give good or bad, and total"
        given = [key for key in ("good", "bad") if raw.get(key) is not None]
        if len(given) != 1 and "raw" not in raw:
            yield (), "give good or bad, one of the two, and total"


class IndicatorSpec(Related):
    """How the SLI is measured outside of Sluice."""

    ratio_metric: RatioMetric
    """Good or bad requests over all requests."""
    description: Text | None = None
    """For people."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """A threshold on a metric has no requests to count."""
        if "thresholdMetric" in raw:
            reason = "counts no requests, so that nothing can be proven: write a ratioMetric"
            yield ("thresholdMetric",), reason


class IndicatorMetadata(Model):
    """Name of the indicator."""

    name: Name
    """Name of the SLI."""
    display_name: Text | None = None
    """For people."""
    labels: dict[Text, Label] = Field(default_factory=dict)
    """For selecting and grouping."""
    annotations: dict[Text, Text] = Field(default_factory=dict)
    """Anything; the annotations that Sluice reads are the SLO's own."""


class Indicator(Model):
    """An SLI written inside the SLO."""

    metadata: IndicatorMetadata | None = None
    """Name and labels."""
    spec: IndicatorSpec
    """The metric."""


class Calendar(Model):
    """Start of a calendar window."""

    start_time: Words
    """First moment of the first window."""
    time_zone: Words
    """Its time zone, such as ``Europe/Berlin``."""


class TimeWindow(Model):
    """The window of the error budget; used by alerts, a release is judged over its own pass."""

    duration: Text = Field(pattern=r"^[1-9][0-9]{0,3}[mhdwMQY]$")
    """Length, such as ``28d``, ``4w`` or ``1M``."""
    is_rolling: Flag | None = None
    """Whether the window moves with time."""
    calendar: Calendar | None = None
    """Where a window that does not move begins."""


class SloObjective(Related):
    """The target: exactly one of ``target`` and ``targetPercent``."""

    model_config = exactly_one("target", "targetPercent")

    display_name: Text | None = None
    """For people."""
    target: Number | None = Field(default=None, gt=0, lt=1)
    """Share of good requests, such as 0.99."""
    target_percent: Number | None = Field(default=None, gt=0, lt=100)
    """The same in percent, such as 99."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """One target, of a kind that counts requests."""
        given = [key for key in ("target", "targetPercent") if raw.get(key) is not None]
        if len(given) != 1:
            yield (), "give target (such as 0.99) or targetPercent (such as 99), one of the two"
        for key in ("op", "value"):
            if key in raw:
                reason = f"belongs to thresholdMetric: write the threshold as annotation {LE}"
                yield (key,), reason
        for key in ("timeSliceTarget", "timeSliceWindow"):
            if key in raw:
                yield (key,), "belongs to time slices: Sluice counts requests (Occurrences)"
        for key in ("indicator", "indicatorRef", "compositeWeight"):
            if key in raw:
                yield (key,), "belongs to composite SLOs: write one SLO for each objective"


class SloSpec(Related):
    """Service, indicator and target."""

    description: Text | None = None
    """For people."""
    service: Name
    """The service that the SLO is about; for people and dashboards."""
    indicator: Indicator | None = None
    """The SLI as a query for alerts; checks use the annotations."""
    time_window: tuple[TimeWindow, ...] = Field(default=(), max_length=1)
    """The window of the error budget."""
    budgeting_method: Literal["Occurrences"]
    """Requests are counted, each alike."""
    objectives: tuple[SloObjective, ...] = Field(min_length=1)
    """One target."""
    alert_policies: tuple[JsonValue, ...] = ()
    """Kept for other tools; not read."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """What OpenSLO can say and Sluice cannot judge."""
        method = raw.get("budgetingMethod")
        if method in ("Timeslices", "RatioTimeslices"):
            reason = f"{method} cannot be judged while a release runs: requests are counted"
            yield ("budgetingMethod",), f"{reason}; write Occurrences"
        if "indicatorRef" in raw:
            yield ("indicatorRef",), "SLI documents are not read: write the indicator here"
        if len(items(raw, "objectives")) > 1:
            yield ("objectives", 1), "one objective for each SLO: write another SLO document"


class SLO(Model):
    """A service level objective, OpenSLO v1."""

    api_version: Literal["openslo/v1"]
    kind: Literal["SLO"]
    metadata: SloMetadata
    spec: SloSpec

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def sli(self) -> Literal["availability", "latency"]:
        """Which requests are good."""
        return "latency" if self.metadata.annotations[SLI] == "latency" else "availability"

    @property
    def threshold_ms(self) -> int | None:
        """Latency threshold on the grid; None for availability."""
        return threshold_ms(self.metadata.annotations[LE]) if self.sli == "latency" else None

    @property
    def target(self) -> float:
        """Share of good requests, in (0, 1)."""
        objective = self.spec.objectives[0]
        if objective.target is not None:
            return objective.target
        return float(Decimal(repr(objective.target_percent)) / 100)
