"""Threshold strings as k6 writes them, read as objectives."""

import re
from collections.abc import Callable
from decimal import Decimal

from sluice.errors import Fault, SpecError
from sluice.nouns import Objective
from sluice.spec.slo import threshold_ms

_SHAPE = re.compile(
    r"(?:(?P<metric>[a-z_]+)\s*:\s*)?(?P<what>[a-z]+(?:\([^)]*\))?)\s*"
    r"(?P<op><=|>=|===|==|!=|<|>)\s*(?P<value>[0-9.]+)"
)
_POINT = "judges a number that no count of requests can prove"


def objective_of_threshold(text: str, *, source: str = "--threshold") -> Objective:
    """The objective that a k6 threshold string states.

    ``p(95)<200`` asks that 95% of the requests take at most 200 ms, ``rate<0.01`` (of
    ``http_req_failed``) that less than 1% fail. The metric's name may stand in front.

    Args:
        text: One threshold.
        source: Where it comes from, for the error.

    Raises:
        SpecError: not a threshold, or one that requests cannot prove; says what to write.
    """

    def fault(reason: str) -> SpecError:
        return SpecError([Fault(path=source, reason=f'"{text}" {reason}')])

    found = _SHAPE.fullmatch(text.strip())
    if found is None:
        raise fault('is not a threshold: write "p(95)<200" (ms) or "rate<0.01"')
    metric, what, op = found["metric"], found["what"], found["op"]
    try:
        value = Decimal(found["value"])
    except ArithmeticError as error:
        raise fault(f"has no number after {op}") from error
    if what == "rate":
        return _rate(metric, op, value, fault)
    if what == "med":
        what = "p(50)"
    percentile = re.fullmatch(r"p\(\s*([0-9.]+)\s*\)", what)
    if percentile is None:
        raise fault(f'{_POINT}: write "p(95)<200" or "rate<0.01" instead of {what}')
    if metric not in (None, "http_req_duration"):
        raise fault(f"is about {metric}: only http_req_duration has percentiles here")
    if op not in ("<", "<="):
        raise fault(f"asks for slow answers with {op}: write < or <=")
    share = Decimal(percentile[1])
    if not 0 < share < 100:
        raise fault("has a percentile outside 0 to 100")
    try:
        ms = threshold_ms(f"{value / 1000:f}")
    except ValueError as error:
        raise fault(f"{error}") from error
    return Objective(
        name=f"p({percentile[1]})<{ms}",
        kind="latency",
        target=float(share / 100),
        threshold_ms=ms,
    )


def _rate(
    metric: str | None, op: str, value: Decimal, fault: Callable[[str], SpecError]
) -> Objective:
    failed = metric in (None, "http_req_failed")
    if not failed and metric != "checks":
        raise fault(f"is about {metric}: a rate is of http_req_failed or of checks")
    if (op in ("<", "<=")) != failed or op in ("==", "===", "!="):
        raise fault('asks for failures: write "rate<0.01", or "checks:rate>0.99"')
    if not 0 < value < 1:
        raise fault("must be a share between 0 and 1: 0.01 is 1%")
    target = 1 - value if failed else value
    name = f"rate{op}{value}" if failed else f"checks:rate{op}{value}"
    return Objective(name=name, kind="availability", target=float(target))
