"""Objectives by query: which releases have them, and what holds while they cannot be counted."""

from collections.abc import Callable, Iterable, Sequence

from sluice.metrics.prometheus import QueryTarget
from sluice.nouns import Verdict, VerdictKind
from sluice.runtime.core import Core


def query_targets(cores: Iterable[Core]) -> tuple[QueryTarget, ...]:
    """What a Prometheus is asked: for each release in a pass, or watched after its switch."""
    return tuple(target for core in cores for target in _target(core))


def _target(core: Core) -> tuple[QueryTarget, ...]:
    state, settings = core.state, core.judged_by or core.settings
    watched = state.warm is not None and state.plan is not None and state.plan.watch
    objectives = tuple(item for item in settings.objectives if item.kind == "query")
    if not objectives or not settings.prometheus_url or not (state.in_pass or watched):
        return ()
    known = (*(revision for _, revision in state.candidates), state.stable)
    revisions = tuple(dict.fromkeys(revision for revision in known if revision is not None))
    return (
        QueryTarget(
            release=state.release,
            pass_number=state.pass_number,
            url=settings.prometheus_url,
            objectives=objectives,
            revisions=revisions,
        ),
    )


class QueryJudge:
    """Holds a release while one of its objectives cannot be counted; decides nothing else.

    What routers count still turns a failing candidate back.

    Args:
        faults: Why objectives of a release cannot be counted, one line each.
    """

    def __init__(self, faults: Callable[[str], Sequence[str]]) -> None:
        self._faults = faults

    @property
    def name(self) -> str:
        """See :class:`sluice.runtime.judges.Judge`; nothing is remembered."""
        return "queries"

    async def look(self, core: Core, at_ms: int) -> Verdict | None:
        """``error`` while there is a fault."""
        faults = self._faults(core.state.release)
        if not faults:
            return None
        return Verdict(kind=VerdictKind.ERROR, reason="; ".join(faults), taken_ms=at_ms)
