"""A release to JSON and back: what is checkpointed is what is resumed, exactly.

The rate of the last minute and the shown tally are not kept: they are known again after two polls,
and until then the ramp does not grow.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json as parse_json
from pydantic_core import to_json as dump_json

from sluice.analysis import from_json as analysis_from_json
from sluice.analysis import to_json as analysis_to_json
from sluice.engine.state import State
from sluice.errors import StateError
from sluice.nouns import RevisionId, Verdict, Workload
from sluice.reports.model import Decision
from sluice.runtime.core import Core
from sluice.spec import AnalysisSettings

FORMAT = 1
"""Grows when a newer Sluice writes what an older one cannot read."""

_STATE: TypeAdapter[State] = TypeAdapter(State)
_SETTINGS: TypeAdapter[AnalysisSettings] = TypeAdapter(AnalysisSettings)
_VERDICT: TypeAdapter[Verdict | None] = TypeAdapter(Verdict | None)
_WORKLOADS: TypeAdapter[list[Workload]] = TypeAdapter(list[Workload])
_DECISIONS: TypeAdapter[list[Decision]] = TypeAdapter(list[Decision])
_DECISION: TypeAdapter[Decision] = TypeAdapter(Decision)


def plain(value: object) -> Any:
    """Any of our frozen values as JSON values; numbers without an end become strings."""
    return parse_json(dump_json(value, inf_nan_mode="strings"))


def state_to_json(state: State) -> dict[str, Any]:
    """Everything the engine knows of a release, as JSON values."""
    return {"format": FORMAT, "state": plain(state)}


def state_from_json(record: Mapping[str, Any]) -> State:
    """The state that was written.

    Raises:
        StateError: the record was written by a newer Sluice, or is not a state.
    """
    if record.get("format") != FORMAT:
        raise StateError(
            f"state of format {record.get('format')!r}: this Sluice reads format {FORMAT}"
        )
    try:
        return _STATE.validate_python(record["state"])
    except (KeyError, ValidationError) as problem:
        raise StateError(f"state cannot be read: {problem}") from problem


def to_record(core: Core) -> dict[str, Any]:
    """A release as its checkpoint."""
    return {
        **state_to_json(core.state),
        "settings": plain(core.settings),
        "judgedBy": plain(core.judged_by) if core.judged_by else None,
        "analysis": analysis_to_json(core.analysis) if core.analysis else None,
        "analysisPass": core.analysis_pass,
        "analysisOf": core.analysis_of,
        "further": {name: analysis_to_json(state) for name, state in core.further.items()},
        "verdict": plain(core.verdict),
        "apart": core.apart,
        "workloads": plain(list(core.workloads.values())),
        "decisions": plain(core.decisions),
    }


def from_record(record: Mapping[str, Any]) -> Core:
    """The release that was checkpointed.

    Raises:
        StateError: the record was written by a newer Sluice, or cannot be read.
    """
    state = state_from_json(record)
    try:
        judged, analysis = record["judgedBy"], record["analysis"]
        workloads = _WORKLOADS.validate_python(record["workloads"])
        return Core(
            state=state,
            settings=_SETTINGS.validate_python(record["settings"]),
            judged_by=_SETTINGS.validate_python(judged) if judged else None,
            analysis=analysis_from_json(analysis) if analysis else None,
            analysis_pass=int(record["analysisPass"]),
            analysis_of=record.get("analysisOf"),
            further={
                RevisionId(name): analysis_from_json(entry)
                for name, entry in record.get("further", {}).items()
            },
            verdict=_VERDICT.validate_python(record["verdict"]),
            apart=dict(record.get("apart", {})),
            workloads={item.revision: item for item in workloads},
            decisions=_DECISIONS.validate_python(record["decisions"]),
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise StateError(f"release {state.release}: checkpoint cannot be read: {problem}") from (
            problem
        )


def decision_from_json(entry: Mapping[str, Any]) -> Decision:
    """A decision that the journal kept.

    Raises:
        StateError: it is not one.
    """
    try:
        return _DECISION.validate_python(entry)
    except ValidationError as problem:
        raise StateError(f"journal entry cannot be read: {problem}") from problem
