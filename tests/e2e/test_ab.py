"""An A/B test on a laptop: real router, real users, outcomes in a file, a supervisor that dies."""

import json
import random
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from sluice.nouns import Phase
from sluice.testing.story import Story

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

USERS = [f"user-{index}" for index in range(900)]


def strategy_with(goal: Mapping[str, object]) -> dict[str, object]:
    return {
        "abTest": {
            "variants": [{"name": "candidate", "weight": 50}],
            "forcedHeader": "x-sluice-arm",
            "goals": [goal],
            "horizon": {"users": 100_000},
            "outcomes": "outcomes.csv",
        }
    }


def visit(story: Story, *, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Every user asks once; the revision that answered each."""
    seen = {}
    with httpx.Client(base_url=story.laptop.url) as http:
        for user in USERS:
            answer = http.post("/predict", json={}, headers={"x-user-id": user, **(more or {})})
            assert answer.status_code == 200
            seen[user] = answer.headers["x-sluice-version"]
    return seen


def assigned(story: Story) -> dict[str, str]:
    """What `sluice assign` says of all users."""
    words = ("assign", *USERS, "--release", story.release, "-o", "json")
    return {item["user"]: item["revision"] for item in json.loads(story.laptop.must(*words))}


def write(path: Path, bought: Mapping[str, float]) -> None:
    with path.open("a") as file:
        for user, outcome in bought.items():
            file.write(f"{user},{outcome:g}\n")


def buy(story: Story, seen: Mapping[str, str], v1: float, v2: float) -> dict[str, float]:
    draw = random.Random(5)
    rates = {story.revisions["v1"]: v1, story.revisions["v2"]: v2}
    return {
        user: float(draw.random() < rates[revision])  # type: ignore[index]  # ids are text
        for user, revision in seen.items()
    }


@pytest.mark.parametrize(
    ("v1", "v2", "phase", "winner", "reason"),
    [
        pytest.param(0.1, 0.4, Phase.HEALTHY, "v2", "Promoted", id="variant-wins"),
        pytest.param(0.4, 0.1, Phase.ABORTED, "v1", "ControlWon", id="control-wins"),
    ],
)
def test_outcomes_of_real_users_decide(
    story: Story, v1: float, v2: float, phase: Phase, winner: str, reason: str
) -> None:
    story.strategy = strategy_with({"name": "bought", "kind": "binary"})
    story.spec["traffic"] = {"sticky": {"header": "x-user-id"}}
    outcomes = story.laptop.folder / "outcomes.csv"
    outcomes.write_text("user,outcome\n")
    story.given.stable("v1").traffic(rps=20)
    story.deploy("v2", {})
    half = story.revisions["v2"]
    story.wait(lambda s: s.weight_bp == 5_000, within_s=60, what="the test to begin")

    seen = visit(story)
    assert seen == assigned(story)
    assert 0.4 < list(seen.values()).count(half) / len(USERS) < 0.6
    forced = visit(story, more={"x-sluice-arm": "stable"})
    assert set(forced.values()) == {story.revisions["v1"]}

    bought = buy(story, seen, v1, v2)
    first = dict(list(bought.items())[:60])
    write(outcomes, first)
    story.wait(
        lambda s: s.verdict is not None and "users" in s.verdict.reason,
        within_s=30,
        what="the first outcomes to be read",
    )
    story.laptop.kill_supervisor()
    story.laptop.up()
    assert visit(story) == seen

    write(outcomes, dict(list(bought.items())[60:]))
    end = story.wait(lambda s: s.phase is phase, within_s=60, what=f"{phase}")
    assert end.stable == story.revisions[winner]
    assert end.reason == reason
    told = [item for item in story.laptop.history(story.release) if item.verdict][-1]
    assert told.verdict is not None
    assert {"srm", "goal"} <= {check.check for check in told.verdict.checks}
    explained = story.laptop.must("explain", story.release)
    assert "bought" in explained
    if phase is Phase.HEALTHY:
        assert set(visit(story).values()) == {story.revisions["v2"]}
    story.then.lost(0)
