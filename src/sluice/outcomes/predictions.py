"""Rows of a model API's prediction store, as its reference page documents them.

Predictions are exposures: ``prediction_id``, ``user_id``, ``revision``, ``ts_ms``. Feedback is an
outcome of a prediction: ``prediction_id``, ``outcome``, ``ts_ms``. An outcome is a number, true or
false, for the first goal; or an object of goals and covariates by name.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sluice.nouns import OutcomeRow
from sluice.outcomes.fields import number


def exposure(user: str, revision: str, ts_ms: int) -> OutcomeRow:
    """A prediction was made for a user."""
    return OutcomeRow(user=user, revision=revision, at_ms=ts_ms)


def outcomes(user: str, revision: str, ts_ms: int, outcome: object) -> Iterator[OutcomeRow]:
    """What a user's feedback says: one row a goal that it may be of.

    Values of an object go out under their names twice, as outcome and as covariate: which it is,
    the test's goals say. What is no number is not an outcome of a test and is passed over.
    """
    if not isinstance(outcome, Mapping):
        value = _number(outcome)
        if value is not None:
            yield OutcomeRow(user=user, revision=revision, at_ms=ts_ms, value=value)
        return
    numbers = {str(name): _number(value) for name, value in outcome.items()}
    known = tuple((name, value) for name, value in numbers.items() if value is not None)
    for name, value in known:
        yield OutcomeRow(
            user=user, revision=revision, at_ms=ts_ms, goal=name, value=value, covariates=known
        )


def _number(value: Any) -> float | None:
    try:
        return number(value)
    except ValueError:
        return None
