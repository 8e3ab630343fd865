"""Who takes part in an A/B test: one entry a user, built again from the source after a restart."""

from collections.abc import Iterable
from dataclasses import dataclass

import xxhash

from sluice.analysis.ab import Change
from sluice.dataplanes.assignment import arm_for, bucket
from sluice.errors import Fault, SpecError
from sluice.nouns import Goal, OutcomeRow, RevisionId

ANY_COVARIATE = "covariate"
"""Name of a file's column that is the covariate of every goal that finds none of its own."""

_OUTSIDE: tuple[float | None, ...] = ()
"""Entry of a user whose first exposure was to another arm than he was drawn for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """How users are dealt to arms; fixed for the test."""

    salt: str
    shares_bp: tuple[int, ...]
    """Variants, then the control; they sum to 10,000."""
    revisions: tuple[RevisionId, ...]
    """What serves each arm."""
    goals: tuple[Goal, ...]
    began_ms: int
    """Rows from before are not of this test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What rows said that was not known."""

    exposed: tuple[int, ...]
    """New users of each arm."""
    changes: tuple[Change, ...]
    outside: int
    """New users who were left out: first served by another arm than they were drawn for."""


class Ledger:
    """Users of one test: the arm of each, and outcome and covariate for each goal.

    About 200 bytes a user, by a 64-bit hash of the name; names are not kept.
    """

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._users: dict[int, tuple[float | None, ...]] = {}
        self._goals = {goal.name: index for index, goal in enumerate(draw.goals)}

    def take(self, rows: Iterable[OutcomeRow]) -> News:
        """Learn rows; the last outcome of a user and goal wins, the first covariate stays.

        Raises:
            SpecError: outcomes of a binary goal that are neither 0 nor 1: all of them. Nothing was
                learnt.
        """
        rows = [row for row in rows if row.at_ms is None or row.at_ms >= self._draw.began_ms]
        self._check(rows)
        exposed = [0] * len(self._draw.shares_bp)
        outside = 0
        before: dict[int, tuple[float | None, ...]] = {}
        for row in rows:
            key = xxhash.xxh64_intdigest(row.user.strip().encode())
            entry = self._users.get(key)
            if entry is None:
                arm = self._arm(row.user)
                if row.revision and row.revision != self._draw.revisions[arm]:
                    self._users[key] = _OUTSIDE
                    outside += 1
                    continue
                exposed[arm] += 1
                entry = (arm, *(None,) * (2 * len(self._draw.goals)))
                self._users[key] = entry
            if not entry:
                continue
            learnt = self._learnt(entry, row)
            if learnt != entry:
                before.setdefault(key, entry)
                self._users[key] = learnt
        changes = tuple(
            change
            for key, entry in before.items()
            for change in _changes(entry, self._users[key], len(self._draw.goals))
        )
        return News(exposed=tuple(exposed), changes=changes, outside=outside)

    def _arm(self, user: str) -> int:
        return arm_for(bucket(self._draw.salt, user), enumerate(self._draw.shares_bp))

    def _learnt(self, entry: tuple[float | None, ...], row: OutcomeRow) -> tuple[float | None, ...]:
        """A user's entry with what a row adds: (arm, outcome, covariate, outcome, ...)."""
        new = list(entry)
        if row.value is not None:
            index = self._goals.get(row.goal) if row.goal else 0
            if index is not None:
                new[1 + 2 * index] = row.value
        if row.covariates:
            known = dict(row.covariates)
            for index, goal in enumerate(self._draw.goals):
                place = 2 + 2 * index
                # A later one may be changed by what the user was shown.
                if goal.covariate and new[place] is None:
                    new[place] = known.get(goal.covariate, known.get(ANY_COVARIATE))
        return tuple(new)

    def _check(self, rows: Iterable[OutcomeRow]) -> None:
        faults = []
        for row in rows:
            index = self._goals.get(row.goal) if row.goal else 0
            if row.value is None or index is None or row.value in (0.0, 1.0):
                continue
            goal = self._draw.goals[index]
            if goal.kind == "binary":
                reason = f"goal {goal.name} is yes or no: 1 or 0, not {row.value:g}"
                faults.append(Fault(path=f"outcome of user {row.user}", reason=reason))
        if faults:
            raise SpecError(faults)


def _changes(
    before: tuple[float | None, ...], after: tuple[float | None, ...], goals: int
) -> Iterable[Change]:
    for index in range(goals):
        outcome, covariate = after[1 + 2 * index], after[2 + 2 * index]
        old, old_covariate = before[1 + 2 * index], before[2 + 2 * index]
        if outcome is None or (outcome, covariate) == (old, old_covariate):
            continue
        yield Change(
            arm=int(after[0] or 0),
            goal=index,
            after=outcome,
            covariate=covariate,
            before=old,
            covariate_before=old_covariate,
        )
