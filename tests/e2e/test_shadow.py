"""A shadow on the laptop: two real models answer the same requests, and users meet one of them."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.e2e.test_verdicts import served, taxi

from sluice.testing.story import Story

__all__ = ["served", "taxi"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]


def shadow(**compare: float) -> dict[str, Any]:
    """Every request is copied; 100 pairs are enough; then a canary."""
    field: Mapping[str, Any] = {"field": "prediction", **compare}
    first = {"shadow": {"percent": 100, "until": {"pairs": 100}, "compare": [field]}}
    return {"stages": [first, {"canary": {"steps": [{"setWeight": 5}, {"pause": {}}]}}]}


def test_version_that_predicts_otherwise_is_turned_back_unseen(served: Story) -> None:
    given, when, then = served.given, served.when, served.then
    served.strategy = shadow(atol=1e-9)
    given.stable("v1").traffic(rps=60)
    when.candidate("v2")
    then.within(120).aborted().because("candidate differs in").harmed(at_most=0).lost(0)


def test_version_that_predicts_alike_goes_on_to_users(served: Story) -> None:
    given, when, then = served.given, served.when, served.then
    served.strategy = shadow(rtol=0.9)
    given.stable("v1").traffic(rps=60)
    when.candidate("v2")
    then.within(120).stands_at("pause").harmed(at_most=0).lost(0)
