"""The judge of shadow rungs: pairs of answers, compared field by field, decide."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from pydantic import TypeAdapter

from sluice.analysis import wording
from sluice.analysis.compare import FieldDifference, compare
from sluice.analysis.shadow import ShadowState, ShadowTest, Tally, checks, scored
from sluice.engine.state import Mode
from sluice.metrics.answers import NotComparable, fields_of
from sluice.nouns import (
    Answer,
    CheckResult,
    Difference,
    FieldRule,
    Pair,
    ShadowRules,
    Verdict,
    VerdictKind,
)
from sluice.ports import Pairs
from sluice.runtime.core import Core

WORST_KEPT = 20
FIELDS_KEPT = 50
"""Fields that are tallied apart: one that comes later counts for whole answers only."""
STATUS = "(status)"
BODY = "(body)"
"""Stand for a field where the codes differ, or where only the candidate's answer has no fields."""
_PAGES = 10
"""Most readings in one look: what is left is read at the next."""
_LEAST_OK, _LEAST_REDIRECT, _LEAST_FAILED = 200, 300, 500


@dataclass(kw_only=True)
class Memory:
    """What is remembered of the pairs of one stage; checkpointed as JSON."""

    stage: int
    rules: ShadowRules
    """What the pairs were judged by: under other rules it begins anew."""
    cursors: dict[str, str] = field(default_factory=dict)
    state: ShadowState = field(default_factory=ShadowState)
    fields: dict[str, Tally] = field(default_factory=dict)
    worst: tuple[Difference, ...] = ()
    """Worst first."""
    single: int = 0
    """Pairs that stable did not answer twice, where only those that it did are judged."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Pairs that could not be compared, by reason."""
    missed: int = 0
    alone: int = 0


_MEMORY: TypeAdapter[Memory] = TypeAdapter(Memory)


@dataclass(frozen=True, slots=True)
class _Compared:
    """What one pair shows: fields compared, and how the other answer differs from stable's."""

    fields: tuple[str, ...]
    differences: tuple[FieldDifference, ...]


class ShadowJudge:
    """Reads pairs of answers and judges the candidate by them.

    Args:
        pairs: Where they come from.
    """

    name = "shadow"

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs

    async def look(self, core: Core, at_ms: int) -> Verdict | None:
        """The verdict on a shadow rung; None on any other.

        Raises:
            TransientError: no router could be read.
        """
        state = core.state
        if state.mode is not Mode.RUNNING or state.at_rung.shadow is None:
            return None
        rules = state.at_rung.shadow
        memory = memory_of(core) or Memory(stage=state.stage, rules=rules)
        if (memory.stage, memory.rules) != (state.stage, rules):
            memory = Memory(stage=state.stage, rules=rules, cursors=memory.cursors)
        test = shadow_test(core, rules)
        for _ in range(_PAGES):
            batch = await self._pairs.read(state.release, memory.cursors)
            memory.cursors = dict(batch.cursors)
            memory.missed += batch.missed
            memory.alone += batch.alone
            ours = [
                pair
                for pair in batch.pairs
                if (pair.stable, pair.candidate) == (state.stable, state.candidate)
            ]
            take(memory, test, ours)
            if not batch.more:
                break
        core.apart[self.name] = _MEMORY.dump_python(memory, mode="json")
        return verdict_of(memory, test, at_ms)


def shadow_test(core: Core, rules: ShadowRules) -> ShadowTest:
    """How the running pass judges its pairs."""
    return ShadowTest(
        margin=rules.max_disagreement,
        noisy=rules.noise_bp > 0,
        alpha=core.config.alpha,
        beta=core.config.beta,
    )


def take(memory: Memory, test: ShadowTest, pairs: Sequence[Pair]) -> None:
    """Compare further pairs and remember what they show."""
    rules = memory.rules
    outcomes: list[tuple[bool, bool]] = []
    skipped = Counter(memory.skipped)
    for pair in pairs:
        if test.noisy and pair.again is None:
            memory.single += 1
            continue
        try:
            candidate = _compared(pair.primary, pair.shadow, rules.compare)
            again = _compared(pair.primary, pair.again, rules.compare) if pair.again else None
        except NotComparable as reason:
            skipped[str(reason)] += 1
            continue
        _tally(memory, candidate, again)
        noise = again is not None and bool(again.differences)
        outcomes.append((bool(candidate.differences), noise))
        if candidate.differences:
            _remember(memory, pair, candidate.differences)
    memory.skipped = dict(skipped)
    memory.state = scored(test, memory.state, outcomes)


def _compared(stable: Answer, other: Answer, rules: Sequence[FieldRule]) -> _Compared:
    """How an answer differs from stable's.

    Raises:
        NotComparable: stable failed or its answer has no fields, or one of the two was cut.
    """
    if stable.status >= _LEAST_FAILED:
        raise NotComparable(f"stable answered {stable.status}")
    if stable.status != other.status:
        codes = FieldDifference(
            field=STATUS, stable=str(stable.status), candidate=str(other.status)
        )
        return _Compared((STATUS,), (codes,))
    if not _LEAST_OK <= stable.status < _LEAST_REDIRECT:
        return _Compared((STATUS,), ())
    fields = fields_of(stable)
    try:
        others = fields_of(other)
    except NotComparable as reason:
        if other.cut:
            raise
        shown = FieldDifference(field=BODY, stable="(fields)", candidate=f"({reason})")
        return _Compared((BODY,), (shown,))
    return _Compared(*compare(fields, others, rules))


def _tally(memory: Memory, candidate: _Compared, again: _Compared | None) -> None:
    differing = {item.field for item in candidate.differences}
    noisy = {item.field for item in again.differences} if again else set()
    for name in candidate.fields:
        if name in memory.fields or len(memory.fields) < FIELDS_KEPT:
            known = memory.fields.get(name, Tally())
            memory.fields[name] = known.add(candidate=name in differing, again=name in noisy)


def _remember(memory: Memory, pair: Pair, differences: Sequence[FieldDifference]) -> None:
    worst = max(differences, key=lambda item: item.severity)
    found = Difference(
        request_id=pair.request_id,
        field=worst.field,
        stable=worst.stable,
        candidate=worst.candidate,
        distance=worst.distance,
        severity=worst.severity if isfinite(worst.severity) else None,
    )
    ranked = sorted((*memory.worst, found), key=_severity, reverse=True)
    memory.worst = tuple(ranked[:WORST_KEPT])


def _severity(item: Difference) -> float:
    return float("inf") if item.severity is None else item.severity


def verdict_of(memory: Memory, test: ShadowTest, at_ms: int) -> Verdict:
    """What the pairs so far say."""
    rules = memory.rules
    results = checks(test, memory.state, memory.fields)
    main, proof, *_ = results
    judged = memory.state.whole.pairs
    if main.kind is VerdictKind.FAILED:
        kind = VerdictKind.FAILED
    elif judged >= rules.pairs:
        kind = VerdictKind.PASSED
    else:
        kind = VerdictKind.INCONCLUSIVE
    reason = f"{judged:,} of {rules.pairs:,} pairs judged: {_rates(test, memory.state.whole)}, "
    if kind is VerdictKind.FAILED:
        bar = wording.e_value(test.log_threshold)
        reason += f"allowed {wording.percent(test.margin)}: e-value reached {bar}"
        reason += _worst_fields(results)
    elif kind is VerdictKind.PASSED:
        proven = "proven" if proof.kind is VerdictKind.PASSED else "not refuted"
        reason += f"at most {wording.percent(test.margin)} {proven}"
    else:
        reason += f"e-value against it {wording.e_value(main.log_e)}"
        reason += f" of {wording.e_value(test.log_threshold)}"
    return Verdict(
        kind=kind,
        reason=reason + _left_out(memory),
        taken_ms=at_ms,
        checks=results,
        differences=memory.worst,
    )


def _rates(test: ShadowTest, whole: Tally) -> str:
    pairs = max(1, whole.pairs)
    text = f"candidate differs in {wording.percent(whole.differing / pairs)}"
    if test.noisy:
        text += f" (stable from itself in {wording.percent(whole.noisy / pairs)})"
    return text


def _worst_fields(results: Sequence[CheckResult]) -> str:
    named = [item.objective for item in results[2:] if item.kind is VerdictKind.FAILED]
    return f", in {', '.join(named[:5])}" if named else ""


def _left_out(memory: Memory) -> str:
    """What was not judged, and why; nothing is left out in silence."""
    parts = [f"{count:,} not comparable ({reason})" for reason, count in memory.skipped.items()]
    if memory.single:
        parts.append(f"{memory.single:,} that stable answered once")
    if memory.alone:
        parts.append(f"{memory.alone:,} without an answer of the candidate")
    if memory.missed:
        parts.append(f"{memory.missed:,} dropped at the router")
    return f"; left out: {', '.join(parts)}" if parts else ""


def memory_of(core: Core) -> Memory | None:
    """What the judge remembers of a release, for tests and reports."""
    record: Any = core.apart.get(ShadowJudge.name)
    return _MEMORY.validate_python(record) if record else None
