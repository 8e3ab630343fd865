"""Who acts beside the engine while a strategy is rehearsed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from loadtests.rehearsals import KNOWN, Shop, person, prepared, rehearsal_of
from tests.unit.reports import samples

from sluice.cli.client import Client
from sluice.errors import SpecError
from sluice.nouns import RevisionId
from sluice.reports.model import GateStatus, ReleaseStatus, RungStatus, StickyArm, StickyStatus
from sluice.spec import load, to_plan

TAXI = Path(__file__).parents[2] / "examples" / "taxi"
STRATEGIES = ("canary", "bluegreen", "rolling", "shadow", "ab")


@dataclass
class Verbs(Client):
    """Notes what is asked of the supervisor."""

    done: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def verb(self, name: str, verb: str, body: Mapping[str, Any]) -> tuple[str, ReleaseStatus]:
        self.done.append((verb, body))
        return "", status()


def status(**changes: Any) -> ReleaseStatus:
    return replace(samples.RUNNING, gates=(), sticky=None, **changes)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_has_a_file_that_can_be_deployed(strategy: str, tmp_path: Path) -> None:
    path, _ = prepared(rehearsal_of(strategy), TAXI, tmp_path)
    documents = load([str(path), str(TAXI / "policy.yaml"), str(TAXI / "slo.yaml")])
    (release,) = documents.releases
    plan = to_plan(release, documents.policy_of(release))
    wanted = {"bluegreen": "blueGreen", "ab": "abTest"}.get(strategy, strategy)
    assert [stage.strategy for stage in plan.stages] == [wanted]


def test_an_unknown_strategy_is_told_with_those_there_are() -> None:
    with pytest.raises(SpecError, match="ab, bad, bluegreen, canary, rolling, shadow, steps"):
        rehearsal_of("waterfall")
    with pytest.raises(SpecError, match='did you mean "canary"'):
        rehearsal_of("cannary")
    assert {item.strategy for item in KNOWN} >= set(STRATEGIES)


def test_gates_of_people_are_approved_and_those_of_others_are_left_alone() -> None:
    client = Verbs()
    person(client, replace(status(), gates=(GateStatus(name="a"),)))
    assert [verb for verb, _ in client.done] == ["approve"]
    person(client, replace(status(), gates=(GateStatus(name="b", asked="webhook https://x"),)))
    person(client, status())
    assert len(client.done) == 1


def test_a_shadow_that_has_seen_enough_is_promoted() -> None:
    client = Verbs()
    seen = RungStatus(stage=0, strategy="shadow", name="promote", state="active")
    person(client, status(rungs=(replace(seen, name="shadow 20"),)))
    person(client, status(rungs=(seen,)))
    assert [(verb, body["full"]) for verb, body in client.done] == [("promote", True)]


def test_tips_are_written_for_everybody_once_the_test_runs(tmp_path: Path) -> None:
    outcomes = tmp_path / "outcomes.csv"
    outcomes.write_text("user,outcome,goal\n")
    shop, client = Shop(outcomes), Verbs()
    arms = (
        StickyArm(variant="candidate", revision=RevisionId("b"), weight_bp=5_000),
        StickyArm(variant="stable", revision=RevisionId("a"), weight_bp=5_000),
    )
    sticky = StickyStatus(header="x-user-id", cookie=None, salt="taxi:2", arms=arms)
    shop(client, status(weight_bp=5_000))
    assert len(outcomes.read_text().splitlines()) == 1
    running = replace(status(weight_bp=5_000, generation=3, acknowledged=3), sticky=sticky)
    shop(client, replace(running, acknowledged=2))
    assert len(outcomes.read_text().splitlines()) == 1
    for _ in range(130):
        shop(client, running)
    rows = [line.split(",") for line in outcomes.read_text().splitlines()[1:]]
    assert len({user for user, *_ in rows}) == len(rows) == 1_000
    assert {goal for *_, goal in rows} == {"tip"}
