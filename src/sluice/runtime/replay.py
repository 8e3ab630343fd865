"""Judging a pass again from what was kept of it, bit for bit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, isclose
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sluice.analysis import AnalysisState, Poll, start
from sluice.analysis.bounds import rate_interval
from sluice.analysis.logmath import log_weighted_sum
from sluice.errors import StateError
from sluice.nouns import Snapshot, Verdict, VerdictKind
from sluice.reports.model import Decision
from sluice.runtime.checkpoint import plain
from sluice.runtime.judging import Judging, config_of, judge
from sluice.spec import AnalysisSettings

KINDS = ("judging", "poll")
"""Entries of the journal that a replay reads."""

_DELTA = 0.01
"""``AnalysisSettings.delta``: no policy changes it."""
_SETTINGS: TypeAdapter[AnalysisSettings] = TypeAdapter(AnalysisSettings)
_SNAPSHOTS: TypeAdapter[tuple[Snapshot, ...]] = TypeAdapter(tuple[Snapshot, ...])
_POLL: TypeAdapter[Poll] = TypeAdapter(Poll)
_VERDICT: TypeAdapter[Verdict | None] = TypeAdapter(Verdict | None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A verdict that does not follow from what was kept."""

    at_ms: int
    kept: str
    """What was said then."""
    recomputed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of judging a pass again."""

    pass_number: int
    source: str
    """``polls``: every used poll of the journal, bit for bit. ``decisions``: only what the kept
    decisions carry, which proves intervals, average and kind, not the e-values themselves."""
    verdicts: int
    """How many were judged again."""
    mismatches: tuple[Mismatch, ...] = ()
    gap: str = ""
    """Why the polls could not be used; empty when they were."""

    @property
    def holds(self) -> bool:
        return not self.mismatches


def replay(
    pass_number: int,
    entries: Sequence[Mapping[str, Any]],
    decisions: Sequence[Decision],
) -> Replay:
    """Judge a pass again.

    Args:
        pass_number: Which.
        entries: What the journal kept of the pass (``KINDS``), oldest first.
        decisions: Of the pass, for when that is not enough.

    Raises:
        StateError: an entry is of another version, or cannot be read.
    """
    began = next((entry for entry in entries if entry["entry"] == "judging"), None)
    polls = [entry for entry in entries if entry["entry"] == "poll"]
    if began is None or not polls:
        gap = "the journal has no poll of it" if not polls else "the journal lacks its beginning"
        return _from_decisions(pass_number, decisions, gap)
    try:
        settings = _SETTINGS.validate_python(began["settings"])
        baseline = _SNAPSHOTS.validate_python(began["snapshots"])
        states: dict[int, AnalysisState] = {0: start(config_of(settings), baseline)}
        found: list[Mismatch] = []
        judged = 0
        candidate = ""
        for entry in polls:
            before = states.get(int(entry["after_ms"]))
            if before is None and found:
                break  # what follows a difference differs too
            if before is None:
                gap = f"the journal lacks the poll before the one of {entry['at_ms']}"
                return _from_decisions(pass_number, decisions, gap)
            poll = replace(
                _POLL.validate_python(entry["poll"]),
                snapshots=_SNAPSHOTS.validate_python(entry["snapshots"]),
            )
            judging = Judging(
                poll=poll,
                after_ms=before.taken_ms,
                settings=settings,
                baseline=None,
                decider=_VERDICT.validate_python(entry["decider"]),
                further=_VERDICT.validate_python(entry["further"]),
            )
            candidate = candidate or poll.candidate
            if poll.candidate != candidate:
                break  # another variant won: its own evidence is not in these polls
            after, verdict = judge(judging, before)
            # By time, not only the newest: a controller that was killed went on from an older one.
            states[after.taken_ms] = after
            judged += 1
            again = plain(verdict)
            if again != entry["verdict"]:
                found.append(_mismatch(int(entry["at_ms"]), entry["verdict"], again))
    except (KeyError, ValidationError) as problem:
        raise StateError(f"pass {pass_number}: a kept poll cannot be read: {problem}") from problem
    return Replay(pass_number=pass_number, source="polls", verdicts=judged, mismatches=tuple(found))


def _mismatch(at_ms: int, kept: Mapping[str, Any], again: Mapping[str, Any]) -> Mismatch:
    fields = [name for name in again if kept.get(name) != again[name]]
    return Mismatch(
        at_ms=at_ms,
        kept="; ".join(f"{name}: {_short(kept.get(name))}" for name in fields),
        recomputed="; ".join(f"{name}: {_short(again[name])}" for name in fields),
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _from_decisions(pass_number: int, decisions: Sequence[Decision], gap: str) -> Replay:
    found: list[Mismatch] = []
    judged = [one for one in decisions if one.verdict is not None]
    for decision in judged:
        verdict = decision.verdict
        assert verdict is not None  # noqa: S101  # filtered above
        found += [
            Mismatch(at_ms=decision.at_ms, kept=kept, recomputed=again)
            for kept, again in _contradictions(verdict)
        ]
    return Replay(
        pass_number=pass_number,
        source="decisions",
        verdicts=len(judged),
        mismatches=tuple(found),
        gap=gap,
    )


def _contradictions(verdict: Verdict) -> list[tuple[str, str]]:
    """(kept, recomputed) of what a verdict says against its own counts and e-values."""
    found = []
    for known in verdict.evidence:
        interval = rate_interval(known.bad_candidate, known.n_candidate, _DELTA)
        if not _near(known.low, interval[0]) or not _near(known.high, interval[1]):
            found.append(
                (
                    f"{known.objective}: {known.low:g} to {known.high:g}",
                    f"{known.objective}: {interval[0]:g} to {interval[1]:g}",
                )
            )
    acting = [check for check in verdict.checks if check.weight > 0.0]
    whole = any(check.check == "regression" for check in acting) or len(acting) == len(
        verdict.evidence
    )
    if acting and whole and all(check.kind is not VerdictKind.INVALID for check in acting):
        idle = 1.0 - sum(check.weight for check in acting)
        values = [check.log_e for check in acting] + [0.0]
        # A check that is not shown yet has an e-value of 1.
        average = log_weighted_sum(values, [*(c.weight for c in acting), max(0.0, idle)])
        if not _near(exp(min(average, 600.0)), exp(min(verdict.log_e, 600.0))):
            found.append((f"ln e {verdict.log_e:g}", f"ln e {average:g}"))
    reached = any(check.kind is VerdictKind.FAILED for check in acting)
    if verdict.kind is VerdictKind.FAILED and not verdict.cause and acting and not reached:
        found.append(("failed", "no check had reached its threshold"))
    return found


def _near(a: float, b: float) -> bool:
    return isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)
