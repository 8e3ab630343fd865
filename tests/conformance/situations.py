"""Each strategy in each situation: what becomes of the candidate, and what it costs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.conformance.catalog import Scenario
from tests.conformance.story import Story, Then

RPS = 50

End = Callable[[Then], Then]


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What is the matter with a candidate, or with the world round it."""

    faults: Mapping[str, float] = field(default_factory=dict)
    """Of the candidate."""
    during: Callable[[Story], None] | None = None
    """What happens after the candidate was deployed."""
    policy: Mapping[str, Any] = field(default_factory=dict)
    rps: float = RPS


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What must come of it."""

    end: End
    within_s: float
    harmed: float = 0.0
    lost: int = 0


def _flapping(story: Story) -> None:
    story.when.taken()
    for _ in range(4):
        story.when.after(3).killed("v2").after(3)


def _incident(story: Story) -> None:
    when = story.when
    when.taken()
    when.faults("v1", error_rate=0.3).faults("v2", error_rate=0.3, **story.well)
    when.after(15)
    when.faults("v1").faults("v2", **story.well)


SITUATIONS: Mapping[str, Situation] = {
    "good": Situation(),
    "failing": Situation(faults={"error_rate": 0.2}),
    "slow": Situation(faults={"latency_ms": 2_000.0}),
    "dead": Situation(faults={"error_rate": 1.0}),
    "wrong predictions": Situation(faults={"wrong_rate": 1.0, "buys": 0.02}),
    "no traffic": Situation(rps=0.0, policy={"deadline": "20s"}),
    "flapping": Situation(during=_flapping),
    "one sick pod": Situation(faults={"pod_error_rate": 0.5}),
    "cold start": Situation(
        faults={"latency_ms": 2_000.0, "slow_rate": 0.08, "cold_s": 5.0, "start_s": 4.0},
        policy={"warmUp": "10s"},
    ),
    "shared incident": Situation(during=_incident),
    "never ready": Situation(faults={"start_s": 1_000.0}),
}

POLICY = {"minBake": "5s", "warmUp": "0s", "deadline": "2m"}


def _promoted(then: Then) -> Then:
    return then.promoted()


def _stays(then: Then) -> Then:
    """Promoted, and still stable while the old one is warm."""
    then.promoted()
    then.story.when.after(15)
    return then.promoted()


def _pod_replaced(then: Then) -> Then:
    """The version is not to blame: its sick replica is replaced, and it goes on."""
    return _stays(then).decided("OnlyThisPodFails")


def _failed(then: Then) -> Then:
    return then.aborted("CheckFailed")


def _switched_back(then: Then) -> Then:
    return then.aborted("FailedAfterSwitch")


def _control_won(then: Then) -> Then:
    return then.aborted("ControlWon")


def _at_horizon(then: Then) -> Then:
    return then.held("HorizonReached")


def _never_ready(then: Then) -> Then:
    return then.aborted("ProgressDeadlineExceeded")


def _undecided(then: Then) -> Then:
    return then.held("DeadlineExceeded")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A strategy, and what it makes of each situation."""

    spec: Mapping[str, Any]
    expected: Mapping[str, Expected]
    replicas: int = 2
    release: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the release's spec."""
    policy: Mapping[str, Any] = field(default_factory=dict)
    faults: Mapping[str, float] = field(default_factory=dict)
    """Of a candidate that is as it should be: what its users do."""
    laptop: frozenset[str] = frozenset()
    """Situations that are told with real processes too."""


CANARY = Row(
    spec={"canary": {}},
    # Proof after a sick pod takes as many requests as its failures were: minutes at this rate.
    laptop=frozenset(SITUATIONS) - {"wrong predictions", "one sick pod"},
    expected={
        "good": Expected(end=_promoted, within_s=60),
        "failing": Expected(end=_failed, within_s=30, harmed=20),
        # Nobody knows of an answer that takes two seconds before they are over.
        "slow": Expected(end=_failed, within_s=30, harmed=60),
        "dead": Expected(end=_failed, within_s=20, harmed=20),
        "wrong predictions": Expected(end=_promoted, within_s=60),
        "no traffic": Expected(end=_undecided, within_s=40),
        "flapping": Expected(end=_promoted, within_s=90),
        "one sick pod": Expected(end=_pod_replaced, within_s=60, harmed=40),
        "cold start": Expected(end=_promoted, within_s=60, harmed=40),
        "shared incident": Expected(end=_promoted, within_s=120, harmed=400),
        "never ready": Expected(end=_never_ready, within_s=70),
    },
)

BLUE_GREEN = Row(
    spec={"blueGreen": {}},
    laptop=frozenset({"good", "failing", "dead", "slow"}),
    expected={
        "good": Expected(end=_stays, within_s=60),
        "failing": Expected(end=_switched_back, within_s=30, harmed=RPS * 5),
        "slow": Expected(end=_switched_back, within_s=30, harmed=RPS * 5),
        "dead": Expected(end=_switched_back, within_s=20, harmed=RPS * 5),
        "wrong predictions": Expected(end=_stays, within_s=60),
        "no traffic": Expected(end=_stays, within_s=30),
        "flapping": Expected(end=_stays, within_s=90),
        "one sick pod": Expected(end=_pod_replaced, within_s=60, harmed=RPS * 5),
        "cold start": Expected(end=_stays, within_s=60, harmed=40),
        "shared incident": Expected(end=_switched_back, within_s=120, harmed=400),
        "never ready": Expected(end=_never_ready, within_s=70),
    },
)
ROLLING = Row(
    replicas=4,
    spec={"rolling": {}},
    laptop=frozenset({"good", "failing", "dead", "slow"}),
    expected={
        "good": Expected(end=_promoted, within_s=60),
        "failing": Expected(end=_failed, within_s=30, harmed=60),
        "slow": Expected(end=_failed, within_s=30, harmed=RPS * 3),
        # Half of the replicas in the first batch, and at most three looks.
        "dead": Expected(end=_failed, within_s=20, harmed=RPS * 1.5),
        "wrong predictions": Expected(end=_promoted, within_s=60),
        "no traffic": Expected(end=_undecided, within_s=40),
        "flapping": Expected(end=_promoted, within_s=90),
        "one sick pod": Expected(end=_pod_replaced, within_s=60, harmed=60),
        "cold start": Expected(end=_promoted, within_s=60, harmed=40),
        "shared incident": Expected(end=_promoted, within_s=120, harmed=400),
        "never ready": Expected(end=_never_ready, within_s=70),
    },
)

SHADOW = Row(
    laptop=frozenset({"good", "failing", "dead", "wrong predictions"}),
    spec={
        "stages": [
            {"shadow": {"percent": 100, "until": {"pairs": 300}}},
            {"canary": {}},
        ]
    },
    expected={
        "good": Expected(end=_promoted, within_s=60),
        "failing": Expected(end=_failed, within_s=30),
        "slow": Expected(end=_failed, within_s=30, harmed=60),
        "dead": Expected(end=_failed, within_s=20),
        "wrong predictions": Expected(end=_failed, within_s=60),
        "no traffic": Expected(end=_undecided, within_s=40),
        "flapping": Expected(end=_promoted, within_s=90),
        "one sick pod": Expected(end=_failed, within_s=30),
        "cold start": Expected(end=_promoted, within_s=60),
        "shared incident": Expected(end=_promoted, within_s=120, harmed=400),
        "never ready": Expected(end=_never_ready, within_s=70),
    },
)
AB_TEST = Row(
    laptop=frozenset({"good", "failing", "dead", "wrong predictions"}),
    spec={
        "abTest": {
            "goals": [{"name": "bought", "kind": "binary"}],
            "horizon": {"users": 3_000, "duration": "60s"},
            "outcomes": "outcomes.jsonl",
        }
    },
    release={"traffic": {"sticky": {"header": "x-user-id"}}},
    faults={"buys": 0.25},
    expected={
        "good": Expected(end=_promoted, within_s=60),
        "failing": Expected(end=_failed, within_s=30, harmed=RPS * 3),
        "slow": Expected(end=_failed, within_s=30, harmed=RPS * 3),
        "dead": Expected(end=_failed, within_s=20, harmed=RPS * 3),
        "wrong predictions": Expected(end=_control_won, within_s=60),
        "no traffic": Expected(end=_at_horizon, within_s=80),
        "flapping": Expected(end=_promoted, within_s=90),
        "one sick pod": Expected(end=_pod_replaced, within_s=60, harmed=RPS * 3),
        "cold start": Expected(end=_promoted, within_s=60, harmed=40),
        "shared incident": Expected(end=_promoted, within_s=120, harmed=400),
        "never ready": Expected(end=_never_ready, within_s=70),
    },
)

STRATEGIES: Mapping[str, Row] = {
    "canary": CANARY,
    "blueGreen": BLUE_GREEN,
    "rolling": ROLLING,
    "shadow": SHADOW,
    "abTest": AB_TEST,
}


def _tell(row: Row, situation: Situation, expected: Expected, story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    given.strategy(**row.spec).slo(0.95).slo(0.9, le_s="1")
    story.papers.replicas = row.replicas
    given.spec(**row.release).policy(**{**POLICY, **situation.policy, **row.policy})
    given.stable("v1").traffic(situation.rps)
    story.well = row.faults
    when.candidate("v2", **{**row.faults, **situation.faults})
    if situation.during is not None:
        situation.during(story)
    expected.end(then.within(expected.within_s))
    then.harmed(at_most=expected.harmed).lost(expected.lost)


def scenarios() -> list[Scenario]:
    """One scenario a strategy and situation."""
    return [
        Scenario(
            group="situations",
            row=strategy,
            column=name,
            tell=partial(_tell, row, SITUATIONS[name], expected),
            laptop=name in row.laptop,
        )
        for strategy, row in STRATEGIES.items()
        for name, expected in row.expected.items()
    ]
