"""What a load test is judged by: SLO files and k6 threshold strings, as objectives."""

from collections.abc import Sequence

from sluice.errors import Fault, SpecError
from sluice.nouns import Objective
from sluice.spec import load, parse_duration
from sluice.spec.thresholds import objective_of_threshold


def objectives_of(files: Sequence[str], thresholds: Sequence[str]) -> tuple[Objective, ...]:
    """Objectives of all SLO files and threshold strings.

    Raises:
        SpecError: a file or a string cannot be used.
    """
    slos = load(files).slos if files else ()
    if files and not slos:
        reason = "holds no document of kind SLO: nothing could be judged"
        raise SpecError([Fault(path="--slo", reason=reason, file=", ".join(files))])
    written = tuple(
        Objective(name=slo.name, kind=slo.sli, target=slo.target, threshold_ms=slo.threshold_ms)
        for slo in slos
    )
    return written + tuple(objective_of_threshold(text) for text in thresholds)


def seconds_of(text: str) -> float:
    """Seconds of a duration such as ``90s``.

    Raises:
        SpecError: it is none.
    """
    try:
        seconds = parse_duration(text) / 1000
    except ValueError as error:
        raise SpecError([Fault(path="--length", reason=str(error))]) from error
    if seconds <= 0:
        raise SpecError([Fault(path="--length", reason="must be longer than 0s")])
    return seconds
