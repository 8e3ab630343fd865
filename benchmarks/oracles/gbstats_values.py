"""Prints what GrowthBook's statistics engine says of four small samples.

Its values stand in ``tests/unit/analysis/test_ab_oracle.py``. It pins old versions of numpy and
pandas, so it runs in an environment of its own and knows nothing of Sluice:

    uv venv --python 3.11 /tmp/gbstats && uv pip install --python /tmp/gbstats gbstats==0.8.0
    /tmp/gbstats/bin/python benchmarks/oracles/gbstats_values.py
"""

import json
from typing import Any

from gbstats.frequentist.tests import (  # type: ignore[import-not-found]  # in its own environment
    SequentialConfig,
    SequentialTwoSidedTTest,
)
from gbstats.models.statistics import (  # type: ignore[import-not-found]  # likewise
    RegressionAdjustedStatistic,
    SampleMeanStatistic,
    compute_theta,
)


def sample(n: int, shift: float, slope: float) -> tuple[list[float], list[float]]:
    """Outcomes and covariates without a random number: two sawtooths that do not keep step."""
    x = [float(i * 7 % 23) for i in range(n)]
    y = [shift + slope * x[i] + (i * 13 % 31) / 3.0 for i in range(n)]
    return y, x


def mean_of(values: list[float]) -> Any:
    squares = sum(value * value for value in values)
    return SampleMeanStatistic(n=len(values), sum=sum(values), sum_squares=squares)


def adjusted(y: list[float], x: list[float], theta: float) -> Any:
    return RegressionAdjustedStatistic(
        n=len(y),
        post_statistic=mean_of(y),
        pre_statistic=mean_of(x),
        post_pre_sum_of_products=sum(a * b for a, b in zip(y, x, strict=True)),
        theta=theta,
    )


def judged(control: Any, variant: Any, *, alpha: float, planned: float) -> dict[str, Any]:
    config = SequentialConfig(
        difference_type="absolute", alpha=alpha, sequential_tuning_parameter=planned
    )
    test = SequentialTwoSidedTTest(control, variant, config)
    low, high = test.confidence_interval
    return {
        "estimate": test.point_estimate,
        "variance": test.variance,
        "low": low,
        "high": high,
        "p": test.p_value,
    }


def main() -> None:
    found: dict[str, Any] = {}
    for name, n_control, n_variant, shift, alpha, planned in (
        ("equal", 600, 600, 0.2, 0.05, 5_000.0),
        ("unequal", 900, 300, 1.5, 0.01, 40_000.0),
    ):
        (y_s, x_s), (y_v, x_v) = sample(n_control, 0.0, 0.4), sample(n_variant, shift, 0.4)
        plain = judged(mean_of(y_s), mean_of(y_v), alpha=alpha, planned=planned)
        theta = compute_theta(adjusted(y_s, x_s, 0.0), adjusted(y_v, x_v, 0.0))
        control, variant = adjusted(y_s, x_s, theta), adjusted(y_v, x_v, theta)
        cuped = judged(control, variant, alpha=alpha, planned=planned)
        found[name] = {"plain": plain, "cuped": {**cuped, "theta": theta}}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
