from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.agent.counting import ArmTally, Counting
from sluice.agent.ledger import Ledger
from sluice.agent.reading import ClusterReading, HostReading, Reading
from sluice.dataplanes.bootstrap import BUCKETS_MS
from sluice.dataplanes.names import ClusterName, Use
from sluice.nouns import LATENCY_GRID_MS, Purpose, RevisionId

V2 = RevisionId("v2")
LIVE = ClusterName("taxi", V2, Use.LIVE)
KEY = ("taxi", V2, Purpose.LIVE)
GUARDED = ClusterName("taxi", V2, Use.GUARDED)
SHIELD = ClusterName("taxi", V2, Use.SHIELD)


def cluster(*, active: int = 0, timed: int | None = None, **counters: int) -> ClusterReading:
    """A cluster whose answered requests took 100 to 125 ms."""
    reading = ClusterReading(active=active)
    names = {f"{name.removeprefix('c')}": value for name, value in counters.items()}
    reading.counters |= names
    answered = sum(value for name, value in names.items() if name.endswith("xx"))
    timed = answered if timed is None else timed
    reading.buckets = tuple(timed if boundary > 120 else 0 for boundary in BUCKETS_MS)
    return reading


def take(counting: Counting, at_s: float, reading: ClusterReading, *, epoch: str = "a") -> ArmTally:
    arms = counting.take(
        Reading(epoch=epoch, clusters={LIVE: reading}), at_ms=round(at_s * 1000), shield_ms={}
    )
    return arms[KEY]


@pytest.fixture
def counting(tmp_path: Path) -> Counting:
    return Counting(Ledger(tmp_path / "ledger.json"))


def test_answers_are_counted_by_class(counting: Counting) -> None:
    tally = take(counting, 0, cluster(total=10, c2xx=6, c4xx=1, c5xx=3))
    assert (tally.counts.total, tally.counts.errors, tally.counts.client_errors) == (10, 3, 1)
    assert tally.counts.slow[LATENCY_GRID_MS.index(100)] == 10
    assert tally.counts.slow[LATENCY_GRID_MS.index(125)] == 0


def test_a_request_without_an_end_is_neither_good_nor_bad(counting: Counting) -> None:
    for second in range(5):
        tally = take(counting, second, cluster(total=10, active=4, c2xx=6))
    assert (tally.counts.total, tally.counts.errors, tally.active) == (6, 0, 4)


def test_a_client_that_left_counts_as_an_error_one_reading_later(counting: Counting) -> None:
    take(counting, 0, cluster(total=10, active=4, c2xx=6))
    tally = take(counting, 1, cluster(total=10, active=1, c2xx=6))
    assert (tally.counts.errors, tally.gave_up) == (3, 3)


def test_requests_begun_between_two_pages_are_no_phantom_errors(counting: Counting) -> None:
    take(counting, 0, cluster(total=100, c2xx=100))
    # 50 began and ended while the page was written: begun is new, answered is old.
    tally = take(counting, 1, cluster(total=150, c2xx=100))
    assert tally.counts.errors == 0


def test_what_was_repeated_counts_once(counting: Counting) -> None:
    take(counting, 0, cluster(total=12, c2xx=10, retry=2))
    assert take(counting, 1, cluster(total=12, c2xx=10, retry=2)).counts.total == 10


def test_requests_without_an_answer_are_slow_once_the_histogram_is_complete(
    counting: Counting,
) -> None:
    reading = cluster(total=10, c2xx=6, c5xx=4, timed=6)
    early = take(counting, 0, reading)
    assert early.counts.timed == 6
    assert take(counting, 1, reading).counts.timed == 6
    late = take(counting, 3, reading)
    assert late.counts.timed == 10
    assert late.counts.slow[-1] == 4


def test_counts_go_on_when_a_cluster_begins_anew(counting: Counting) -> None:
    take(counting, 0, cluster(total=10, c2xx=10))
    take(counting, 1, cluster(total=11, c2xx=11))
    assert not counting.began_anew
    assert take(counting, 2, cluster(total=3, c2xx=3)).counts.total == 14
    assert counting.began_anew


def test_a_new_epoch_begins_at_zero(counting: Counting) -> None:
    take(counting, 0, cluster(total=10, c2xx=8, c5xx=2))
    tally = take(counting, 1, cluster(total=3, c2xx=3), epoch="b")
    assert (tally.counts.total, tally.counts.errors) == (3, 0)


def test_a_restarted_agent_goes_on_from_its_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    first = Counting(Ledger.load(path))
    take(first, 0, cluster(total=10, active=4, c2xx=6))
    take(first, 1, cluster(total=10, c2xx=6))
    take(first, 2, cluster(total=2, c2xx=2))
    first.ledger.save()
    second = Counting(Ledger.load(path))
    tally = take(second, 0, cluster(total=2, c2xx=2))
    assert (tally.counts.total, tally.counts.errors) == (12, 4)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"epoch": 1, "entries": {"x": 3}}'])
def test_a_ledger_that_makes_no_sense_is_a_new_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ledger.json"
    path.write_text(content)
    assert Ledger.load(path).entries == {}


def test_a_pod_that_leaves_with_requests_under_way_is_not_blamed(counting: Counting) -> None:
    def read(at_s: float, hosts: dict[str, HostReading]) -> ArmTally:
        reading = cluster(total=10, active=3, c2xx=7)
        reading.hosts = hosts
        return take(counting, at_s, reading)

    read(0, {"pod": HostReading(total=10, success=7, active=3)})
    tally = read(1, {})
    assert (tally.endpoints["pod"].total, tally.endpoints["pod"].errors) == (7, 0)


@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 5), st.integers(0, 10)),
        min_size=2,
        max_size=12,
    )
)
def test_counts_only_grow_whatever_is_read(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, int, int]]
) -> None:
    counting = Counting(Ledger(tmp_path_factory.getbasetemp() / "unused.json"))
    good = bad = left = running = 0
    before = None
    for second, (ok, failed, gone, active) in enumerate(steps):
        good, bad, left = good + ok + running, bad + failed, left + gone
        running = active
        page = cluster(total=good + bad + left + active, active=active, c2xx=good, c5xx=bad)
        tally = take(counting, second, page)
        assert tally.counts.plausible
        assert tally.counts.errors <= bad + left
        if before is not None:
            assert (tally.counts - before).plausible
        before = tally.counts


def guarded(
    counting: Counting, at_s: float, *, fine_ms: list[float], cut_ms: list[float], cut: int
) -> ArmTally:
    """A shielded candidate whose tries end after 150 ms: answers in time, and those that were cut.

    ``cut_ms`` are the users' times that the histogram has already, ``cut`` the cuts that are
    counted already.
    """
    member, outer = ClusterReading(), ClusterReading()
    member.counters |= {"total": len(fine_ms) + cut, "max_duration_reached": cut}
    outer.counters |= {"2xx": len(fine_ms) + cut, "retry": cut, "retry_success": cut}
    times = [*fine_ms, *cut_ms]
    outer.buckets = tuple(sum(time < boundary for time in times) for boundary in BUCKETS_MS)
    arms = counting.take(
        Reading(epoch="a", clusters={GUARDED: member, SHIELD: outer}),
        at_ms=round(at_s * 1000),
        shield_ms={("taxi", V2): 150},
    )
    return arms[KEY]


def slow(tally: ArmTally, threshold_ms: int) -> int:
    return tally.counts.slow[LATENCY_GRID_MS.index(threshold_ms)]


@pytest.mark.parametrize("user_ms", [141, 149, 150, 151, 640])
def test_a_try_that_was_cut_is_slow_at_every_threshold(counting: Counting, user_ms: int) -> None:
    tally = guarded(counting, 0, fine_ms=[20] * 4, cut_ms=[user_ms] * 3, cut=3)
    assert {slow(tally, threshold) for threshold in (25, 125, 150, 200, 60_000)} == {3}
    assert tally.counts.timed == 7


def test_a_cut_that_the_histogram_has_not_yet_makes_no_other_request_slow(
    counting: Counting,
) -> None:
    fine = [20.0] * 4 + [130.0] * 5
    before = guarded(counting, 0, fine_ms=fine, cut_ms=[], cut=0)
    ahead = guarded(counting, 1, fine_ms=fine, cut_ms=[], cut=2)
    assert (slow(ahead, 125), slow(ahead, 200)) == (5, 0)
    assert (ahead.counts - before.counts).plausible
    merged = guarded(counting, 2, fine_ms=fine, cut_ms=[149, 151], cut=2)
    assert (slow(merged, 125), slow(merged, 200), merged.counts.timed) == (7, 2, 11)
    assert (merged.counts - ahead.counts).plausible


@settings(max_examples=50, deadline=None)
@given(
    polls=st.lists(
        st.tuples(
            st.lists(st.sampled_from([3.0, 80.0, 130.0, 147.0]), max_size=5),
            st.lists(st.sampled_from([141.0, 149.0, 152.0, 900.0]), max_size=5),
        ),
        min_size=2,
        max_size=8,
    )
)
def test_times_behind_a_shield_only_grow_and_end_right(
    tmp_path_factory: pytest.TempPathFactory, polls: list[tuple[list[float], list[float]]]
) -> None:
    counting = Counting(Ledger(tmp_path_factory.getbasetemp() / "unused.json"))
    fine: list[float] = []
    cut: list[float] = []
    seen: list[float] = []
    before = None
    for second, (more, late) in enumerate([*polls, ([], [])]):
        # The histogram has what was there a second ago.
        fine, seen = [*fine, *more], list(cut)
        cut = [*cut, *late]
        tally = guarded(counting, second, fine_ms=fine, cut_ms=seen, cut=len(cut))
        assert tally.counts.plausible
        if before is not None:
            assert (tally.counts - before).plausible
        before = tally.counts
    assert before is not None
    assert before.slow[-1] == len(cut)
