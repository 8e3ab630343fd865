"""Users of a test: dealt by hash, counted once, their last outcome wins."""

from dataclasses import replace

import pytest

from sluice.analysis.ab import Change
from sluice.dataplanes.assignment import bucket
from sluice.errors import SpecError
from sluice.nouns import Goal, OutcomeRow, RevisionId
from sluice.runtime.ab_ledger import Draw, Ledger

DRAW = Draw(
    salt="taxi:2",
    shares_bp=(3_000, 7_000),
    revisions=(RevisionId("v2"), RevisionId("v1")),
    goals=(
        Goal(name="bought", kind="binary"),
        Goal(name="tip", kind="continuous", covariate="age"),
    ),
    began_ms=1_000,
)


def user_of(arm: int, number: int = 0) -> str:
    found = [
        str(index)
        for index in range(200)
        if (bucket(DRAW.salt, str(index)) < DRAW.shares_bp[0]) == (arm == 0)
    ]
    return found[number]


A, B = user_of(0), user_of(1)


def row(user: str, value: float | None = None, **more: object) -> OutcomeRow:
    return replace(OutcomeRow(user=user, value=value), **more)  # type: ignore[arg-type]


def test_users_are_dealt_as_the_router_deals_them() -> None:
    news = Ledger(DRAW).take([row(str(index)) for index in range(10_000)])
    assert sum(news.exposed) == 10_000
    assert news.exposed[0] == pytest.approx(3_000, abs=150)
    assert news.changes == ()


def test_a_user_is_exposed_once_however_often_he_comes() -> None:
    ledger = Ledger(DRAW)
    assert ledger.take([row(A), row(A, 0.0), row(f" {A} ")]).exposed == (1, 0)
    assert ledger.take([row(A)]).exposed == (0, 0)


def test_the_first_outcome_is_news_and_a_later_one_takes_its_place() -> None:
    ledger = Ledger(DRAW)
    assert ledger.take([row(B, 0.0)]).changes == (Change(arm=1, goal=0, after=0.0),)
    assert ledger.take([row(B, 0.0)]).changes == ()
    assert ledger.take([row(B, 1.0)]).changes == (Change(arm=1, goal=0, after=1.0, before=0.0),)


def test_of_several_outcomes_in_one_look_the_last_one_counts() -> None:
    news = Ledger(DRAW).take([row(B, 0.0), row(B, 1.0)])
    assert news.changes == (Change(arm=1, goal=0, after=1.0),)


def test_outcomes_go_to_the_goal_they_name() -> None:
    news = Ledger(DRAW).take([row(A, 2.5, goal="tip"), row(A, 9.0, goal="unknown")])
    assert news.changes == (Change(arm=0, goal=1, after=2.5),)


@pytest.mark.parametrize("name", ["age", "covariate"])
def test_the_first_covariate_stays_and_may_come_late(name: str) -> None:
    ledger = Ledger(DRAW)
    ledger.take([row(A, 2.5, goal="tip")])
    late = ledger.take([row(A, covariates=((name, 40.0),))])
    assert late.changes == (Change(arm=0, goal=1, after=2.5, before=2.5, covariate=40.0),)
    assert ledger.take([row(A, covariates=((name, 99.0),))]).changes == ()


def test_who_was_first_served_by_another_arm_is_left_out_for_good() -> None:
    ledger = Ledger(DRAW)
    news = ledger.take([row(A, 1.0, revision="v1"), row(B, 1.0, revision="v1")])
    assert (news.exposed, news.outside) == ((0, 1), 1)
    again = ledger.take([row(A, 1.0, revision="v2")])
    assert (again.exposed, again.outside, again.changes) == ((0, 0), 0, ())


def test_who_was_served_elsewhere_later_stays() -> None:
    ledger = Ledger(DRAW)
    ledger.take([row(A, revision="v2")])
    assert ledger.take([row(A, 1.0, revision="v1")]).changes == (Change(arm=0, goal=0, after=1.0),)


def test_rows_from_before_the_test_are_not_of_it() -> None:
    news = Ledger(DRAW).take([row(A, 1.0, at_ms=999), row(B, 1.0, at_ms=1_000)])
    assert news.exposed == (0, 1)


def test_a_binary_outcome_that_is_neither_is_named_and_nothing_is_learnt() -> None:
    ledger = Ledger(DRAW)
    with pytest.raises(SpecError) as caught:
        ledger.take([row(A, 1.0), row(B, 2.0), row("x", 0.5), row("y", 3.0, goal="tip")])
    assert [fault.path for fault in caught.value.faults] == [
        f"outcome of user {B}",
        "outcome of user x",
    ]
    assert ledger.take([row(A)]).exposed == (1, 0)
