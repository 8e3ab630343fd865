"""What each strategy needs to be rehearsed under load: its file, and who acts beside the engine."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from sluice.cli.client import Client
from sluice.dataplanes.assignment import arm_for, bucket
from sluice.errors import Fault, SpecError
from sluice.reports.model import ReleaseStatus
from sluice.spec.words import nearest

Stands = Callable[[Client, ReleaseStatus], None]
"""Looks at the release once a second and does what somebody would do."""
WHO = "loadtests"
USERS = 1_000
"""Users of the load test, as its locustfile names them."""
TIP, BETTER_TIP = 3.0, 3.8
"""Mean tips of stable's and of the candidate's users in a rehearsed A/B test."""
SHAPE = 9.0
"""Of the gamma distribution of tips: their standard deviation is a third of their mean."""
_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """How one strategy is rehearsed."""

    strategy: str
    file: str
    """Release of version 2 by this strategy, in ``examples/taxi``."""
    beside: str = ""
    """Who acts beside the engine, for people; empty: nobody."""


KNOWN = tuple(
    sorted(
        (
            Rehearsal(strategy="canary", file="release-v2.yaml"),
            Rehearsal(
                strategy="steps",
                file="release-v2-steps.yaml",
                beside="the gate is approved as soon as it is open",
            ),
            Rehearsal(strategy="bluegreen", file="release-bluegreen.yaml"),
            Rehearsal(strategy="rolling", file="release-rolling.yaml"),
            Rehearsal(
                strategy="shadow",
                file="release-shadow.yaml",
                beside="who has seen enough pairs promotes it",
            ),
            Rehearsal(
                strategy="ab",
                file="release-ab.yaml",
                beside=f"outcomes are drawn: {USERS:,} users tip {TIP:g} on average, "
                f"{BETTER_TIP:g} with the candidate",
            ),
            Rehearsal(strategy="bad", file="release-v2-bad.yaml"),
        ),
        key=lambda item: item.strategy,
    )
)


def rehearsal_of(strategy: str) -> Rehearsal:
    """The rehearsal of a strategy.

    Raises:
        SpecError: there is none; names those that there are.
    """
    for item in KNOWN:
        if item.strategy == strategy:
            return item
    known = [item.strategy for item in KNOWN]
    reason = f'"{strategy}" is none of {", ".join(known)}{nearest(strategy, known)}'
    raise SpecError([Fault(path="--strategy", reason=reason)])


def prepared(rehearsal: Rehearsal, examples: Path, folder: Path) -> tuple[Path, Stands]:
    """The file to deploy, and who stands beside it.

    Args:
        rehearsal: Of the strategy.
        examples: Where its file is.
        folder: Where files for this run may be written.
    """
    path = examples / rehearsal.file
    if rehearsal.strategy != "ab":
        return path, person
    outcomes = folder.absolute() / "outcomes.csv"
    outcomes.write_text("user,outcome,goal\n", encoding="utf-8")
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["spec"]["strategy"]["abTest"]["outcomes"] = str(outcomes)
    written = folder / "release-ab.yaml"
    written.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return written, Shop(outcomes)


def person(client: Client, status: ReleaseStatus) -> None:
    """Says yes where only a person can: at gates of people, and after a shadow."""
    for gate in status.gates:
        if not gate.asked:
            client.verb(status.name, "approve", {"gate": gate.name, "by": WHO})
            return
    at = [rung for rung in status.rungs if rung.state == "active"]
    if at and (at[0].strategy, at[0].name) == ("shadow", "promote"):
        client.verb(status.name, "promote", {"full": True, "by": WHO})


class Shop:
    """Where users of an A/B test leave their tips: more of them at every look.

    Args:
        outcomes: The file that the test reads.
    """

    def __init__(self, outcomes: Path) -> None:
        self._outcomes = outcomes
        self._waiting = [f"user-{number}" for number in range(USERS)]
        self._draw = random.Random(11)  # noqa: S311  # tips, not secrets

    def __call__(self, client: Client, status: ReleaseStatus) -> None:
        """Write the tips of the next users, by the arm that each of them is on."""
        live = status.sticky is not None and 0 < status.weight_bp < 10_000
        if status.sticky is None or not live or status.acknowledged < status.generation:
            return
        arms = [(arm.variant, arm.weight_bp) for arm in status.sticky.arms]
        came, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
        with self._outcomes.open("a", encoding="utf-8") as file:
            for user in came:
                variant = arm_for(bucket(status.sticky.salt, user), arms)
                mean = TIP if variant == "stable" else BETTER_TIP
                tip = self._draw.gammavariate(SHAPE, mean / SHAPE)
                file.write(f"{user},{tip:.2f},tip\n")
