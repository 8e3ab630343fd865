"""The judge of A/B tests: reads outcomes, deals users to arms, and says what follows."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sluice.analysis.ab import AbConfig, AbState, absorb, begin
from sluice.analysis.ab_verdict import checks, judged
from sluice.engine.desired import live_shares
from sluice.engine.plan import Fixed, Rung
from sluice.engine.state import Mode, State
from sluice.errors import Fault, SpecError, StateError, TransientError
from sluice.nouns import BP_TOTAL, GoalRules, OutcomePage, RevisionId, Verdict, VerdictKind
from sluice.ports import Outcomes
from sluice.runtime.ab_ledger import Draw, Ledger, News
from sluice.runtime.checkpoint import plain
from sluice.runtime.core import Core

READ_EVERY_MS = 5_000
"""Time between two reads of a source: users come in hours, and a read costs its database."""
PAGES_A_LOOK = 5
"""So that a large file does not keep the other releases waiting."""
FAULTS_SAID = 5
FEW_ROWS = 2_000
"""Rows up to which they are taken in the event loop; more would keep it for too long."""

_STATE: TypeAdapter[AbState] = TypeAdapter(AbState)


@dataclass(kw_only=True)
class _Test:
    """One test as it runs in this process; all but the ledger is written down."""

    place: str
    config: AbConfig
    draw: Draw
    ledger: Ledger
    source: Outcomes
    state: AbState
    cursor: str = ""
    outside: int = 0
    nameless: bool = False
    """Whether there were predictions without a user."""
    learnt: bool = True
    """False after a restart, until the ledger knows again whom it knew."""
    read_ms: int | None = None
    problem: str = ""
    """Why the last read failed."""

    def record(self) -> dict[str, Any]:
        """What outlives the process."""
        return {
            "place": self.place,
            "beganMs": self.draw.began_ms,
            "cursor": self.cursor,
            "outside": self.outside,
            "nameless": self.nameless,
            "state": plain(self.state),
        }


class AbTest:
    """Decides rungs that have goals.

    Args:
        open_source: The source that ``GoalRules.outcomes`` names.
        every_ms: Time between two reads of a source.
    """

    name = "abtest"

    def __init__(
        self, open_source: Callable[[str], Outcomes], *, every_ms: int = READ_EVERY_MS
    ) -> None:
        self._open = open_source
        self._every_ms = every_ms
        self._tests: dict[str, _Test] = {}

    async def look(self, core: Core, at_ms: int) -> Verdict | None:
        """See ``sluice.runtime.judges.Judge``.

        A source that cannot be read makes the verdict ``error`` and is not raised: the counters
        guard the users meanwhile.
        """
        state = core.state
        rules = state.at_rung.goals if state.mode is Mode.RUNNING else None
        if rules is None:
            await self._forget(state.release)
            return None
        test = self._tests.get(state.release)
        known = core.apart.get(self.name, {}).get("place") == _place(state)
        if not known and state.acknowledged < state.generation:
            # Who is exposed before every router serves the test is not drawn by it.
            return _undecided(at_ms, "the test begins when every router serves it")
        try:
            if test is None or test.place != _place(state) or not known:
                await self._forget(state.release)
                test = self._begin(core, rules, at_ms)
                self._tests[state.release] = test
        except (SpecError, StateError) as error:
            return _cannot(at_ms, str(error))
        await self._read(test, at_ms)
        core.apart[self.name] = test.record()
        if test.problem:
            return replace(_cannot(at_ms, test.problem), checks=checks(test.config, test.state))
        verdict = judged(test.config, test.state, rules, at_ms=at_ms, elapsed_ms=state.rung_ms)
        return replace(verdict, reason=verdict.reason + _left_out(test))

    async def close(self) -> None:
        """Let go of all sources."""
        for release in list(self._tests):
            await self._forget(release)

    async def _forget(self, release: str) -> None:
        test = self._tests.pop(release, None)
        if test is not None:
            await test.source.close()

    def _begin(self, core: Core, rules: GoalRules, at_ms: int) -> _Test:
        """The test of the present rung: a new one, or the one that was written down.

        Raises:
            SpecError: it cannot be judged: its source, its arms.
            StateError: what was written down cannot be read.
        """
        state = core.state
        kept = core.apart.get(self.name)
        if kept is not None and kept.get("place") != _place(state):
            kept = None
        try:
            began_ms = int(kept["beganMs"]) if kept else at_ms
            config, draw = _rules_of(state, rules, began_ms)
            return _Test(
                place=_place(state),
                config=config,
                draw=draw,
                ledger=Ledger(draw),
                source=self._open(rules.outcomes),
                state=_STATE.validate_python(kept["state"]) if kept else begin(config),
                cursor=str(kept["cursor"]) if kept else "",
                outside=int(kept["outside"]) if kept else 0,
                nameless=bool(kept["nameless"]) if kept else False,
                learnt=kept is None,
            )
        except (KeyError, TypeError, ValidationError) as error:
            raise StateError(
                f"release {state.release}: its A/B test cannot be read back: {error}"
            ) from error

    async def _read(self, test: _Test, at_ms: int) -> None:
        """Learn what is new; what cannot be read or used is said, and tried again."""
        if test.read_ms is not None and 0 <= at_ms - test.read_ms < self._every_ms:
            return
        test.read_ms = at_ms
        try:
            if not test.learnt:
                await _remember(test)
            for _ in range(PAGES_A_LOOK):
                page = await test.source.read(test.cursor)
                await _take(test, page)
                if not page.more:
                    break
        except SpecError as error:
            lines = str(error).splitlines()
            more = f" (and {len(lines) - FAULTS_SAID} more)" if len(lines) > FAULTS_SAID else ""
            test.problem = "; ".join(lines[:FAULTS_SAID]) + more
        except TransientError as error:
            test.problem = str(error)
        else:
            test.problem = ""


async def _remember(test: _Test) -> None:
    """Fill the ledger with what was known when the test was last written down."""
    ledger, cursor, more = Ledger(test.draw), "", bool(test.cursor)
    while more:
        page = await test.source.read(cursor, until=test.cursor)
        await _learn(ledger, page)
        cursor, more = page.cursor, page.more
    test.ledger, test.learnt = ledger, True


async def _take(test: _Test, page: OutcomePage) -> None:
    news = await _learn(test.ledger, page)
    test.state = absorb(test.config, test.state, news.exposed, news.changes)
    test.outside += news.outside
    test.nameless = test.nameless or page.nameless > 0
    test.cursor = page.cursor


async def _learn(ledger: Ledger, page: OutcomePage) -> News:
    if len(page.rows) <= FEW_ROWS:
        return ledger.take(page.rows)
    return await asyncio.to_thread(ledger.take, page.rows)


def _place(state: State) -> str:
    return f"{state.pass_number}/{state.stage}/{state.rung}"


def _rules_of(state: State, rules: GoalRules, began_ms: int) -> tuple[AbConfig, Draw]:
    """How the test of the present rung is judged and dealt.

    By the planned shares: while a variant has no ready replica its users are served by stable, and
    are left out where the source says so.

    Raises:
        SpecError: the rung is no test: no fixed weights, no arms, no sticky users.
    """
    rung = state.at_rung
    names, shares_bp = _arms(rung)
    known = dict(state.candidates)
    missing = [name for name in names if name not in known]
    sticky = state.routing.sticky if state.routing else None
    if missing or sticky is None or state.stable is None:
        what = f"no revision for {', '.join(missing)}" if missing else "users are not sticky"
        raise SpecError(_fault(f"the A/B test of {state.release} cannot be judged: {what}"))
    control = BP_TOTAL - sum(shares_bp)
    if not names or min(*shares_bp, control) <= 0:
        raise SpecError(_fault(f"the A/B test of {state.release} has an arm without a weight"))
    every = (*shares_bp, control)
    config = AbConfig(
        goals=rules.goals,
        variants=names,
        shares=tuple(share / BP_TOTAL for share in every),
        alpha=rules.alpha,
        horizon_users=rules.horizon_users,
    )
    revisions: tuple[RevisionId, ...] = (*(known[name] for name in names), state.stable)
    draw = Draw(
        salt=sticky.salt,
        shares_bp=every,
        revisions=revisions,
        goals=rules.goals,
        began_ms=began_ms,
    )
    return config, draw


def _arms(rung: Rung) -> tuple[tuple[str, ...], tuple[int, ...]]:
    weight = rung.weight.weight_bp if isinstance(rung.weight, Fixed) else 0
    shares = live_shares(rung, weight)
    return tuple(name for name, _ in shares), tuple(bp for _, bp in shares)


def _fault(reason: str) -> list[Fault]:
    return [Fault(path="strategy.abTest", reason=reason)]


def _undecided(at_ms: int, reason: str) -> Verdict:
    return Verdict(kind=VerdictKind.INCONCLUSIVE, reason=reason, taken_ms=at_ms)


def _cannot(at_ms: int, reason: str) -> Verdict:
    return Verdict(
        kind=VerdictKind.ERROR, reason=f"outcomes cannot be used: {reason}", taken_ms=at_ms
    )


def _left_out(test: _Test) -> str:
    parts = []
    if test.outside:
        parts.append(f"{test.outside:,} users first served by another arm than they were drawn for")
    if test.nameless:
        parts.append("predictions without a user")
    return f"; left out: {', '.join(parts)}" if parts else ""
