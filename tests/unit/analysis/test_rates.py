from tests.unit.analysis.traffic import CANDIDATE, STABLE, Router

from sluice.analysis.rates import Rates, update
from sluice.nouns import Purpose


def test_nothing_is_known_before_the_second_reading() -> None:
    router = Router()
    router.serve(STABLE, 1_000_000, 0)
    rates = update(Rates(), 0, (router.snapshot(),))
    assert rates.highest_rps is None
    assert rates.longest_interval_s == 0.0


def test_the_rate_is_that_of_all_live_arms_on_all_routers() -> None:
    one, two = Router(name="r1"), Router(name="r2")
    for router in (one, two):
        router.serve(STABLE, 5, 0)
        router.serve(CANDIDATE, 5, 0)
    rates = update(Rates(), 0, (one.snapshot(), two.snapshot(), one.snapshot(Purpose.MIRROR)))
    for router in (one, two):
        router.serve(STABLE, 90, 0)
        router.serve(CANDIDATE, 10, 0)
    rates = update(rates, 2_000, (one.snapshot(), two.snapshot(), one.snapshot(Purpose.MIRROR)))
    assert rates.highest_rps == 100.0
    assert rates.longest_interval_s == 2.0


def test_the_highest_rate_and_the_longest_interval_are_forgotten_after_60_s() -> None:
    router, rates = Router(), Rates()
    rates = update(rates, 0, (router.snapshot(),))
    router.serve(STABLE, 3_000, 0)
    rates = update(rates, 3_000, (router.snapshot(),))
    for second in range(4, 64):
        router.serve(STABLE, 10, 0)
        rates = update(rates, second * 1_000, (router.snapshot(),))
        if second < 63:
            assert (rates.highest_rps, rates.longest_interval_s) == (1_000.0, 3.0)
    assert (rates.highest_rps, rates.longest_interval_s) == (10.0, 1.0)


def test_a_router_seen_for_the_first_time_only_sets_a_mark() -> None:
    old, new = Router(name="r1"), Router(name="r2")
    rates = update(Rates(), 0, (old.snapshot(),))
    old.serve(STABLE, 10, 0)
    new.serve(STABLE, 1_000_000, 0)
    rates = update(rates, 1_000, (old.snapshot(), new.snapshot()))
    assert rates.highest_rps == 10.0


def test_a_new_epoch_began_at_zero() -> None:
    router = Router()
    router.serve(STABLE, 1_000, 0)
    rates = update(Rates(), 0, (router.snapshot(),))
    router.restart("e2")
    router.serve(STABLE, 20, 0)
    rates = update(rates, 1_000, (router.snapshot(),))
    assert rates.highest_rps == 20.0


def test_an_arm_that_appears_on_a_known_router_is_counted_from_zero() -> None:
    router = Router()
    router.serve(STABLE, 1_000, 0)
    rates = update(Rates(), 0, (router.snapshot(),))
    router.serve(CANDIDATE, 30, 0)
    rates = update(rates, 1_000, (router.snapshot(),))
    assert rates.highest_rps == 30.0


def test_counters_that_went_backwards_are_no_traffic() -> None:
    router = Router()
    router.serve(STABLE, 1_000, 0)
    rates = update(Rates(), 0, (router.snapshot(),))
    lower = Router()
    lower.serve(STABLE, 10, 0)
    rates = update(rates, 1_000, (lower.snapshot(),))
    assert rates.highest_rps == 0.0


def test_a_reading_too_close_or_back_in_time_is_part_of_the_next() -> None:
    router, rates = Router(), Rates()
    rates = update(rates, 1_000, (router.snapshot(),))
    router.serve(STABLE, 1, 0)
    assert update(rates, 1_001, (router.snapshot(),)) is rates
    assert update(rates, 500, (router.snapshot(),)) is rates
    assert update(rates, 9_000, ()) is rates
    rates = update(rates, 2_000, (router.snapshot(),))
    assert rates.highest_rps == 1.0


def test_a_gap_counts_as_the_interval_it_was() -> None:
    router, rates = Router(), Rates()
    rates = update(rates, 0, (router.snapshot(),))
    router.serve(STABLE, 600, 0)
    rates = update(rates, 300_000, (router.snapshot(),))
    assert (rates.highest_rps, rates.longest_interval_s) == (2.0, 300.0)
