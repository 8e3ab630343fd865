import random

import orjson
import pytest
from benchmarks.fuzzing import counters as fuzzing
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.errors import SpecError
from sluice.metrics.codec import decode_snapshots


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"errors": 10}, "larger than its whole", id="more-errors-than-requests"),
        pytest.param({"slow": [10] + [3] * 40}, "larger than its whole", id="more-slow-than-timed"),
        pytest.param({"slow": [3]}, "thresholds", id="another-grid"),
        pytest.param({"total": -1}, "greater than or equal to 0", id="negative"),
        pytest.param({"total": 9.0}, "valid integer", id="no-integer"),
        pytest.param({"errors": 0}, "more than all errors", id="more-shielded-than-errors"),
    ],
)
def test_counts_that_cannot_be_are_refused(change: dict[str, object], reason: str) -> None:
    document = orjson.loads(orjson.dumps(fuzzing.SEED))
    document["releases"]["taxi"]["arms"][0]["counts"] |= change
    with pytest.raises(SpecError, match=reason):
        decode_snapshots(orjson.dumps(document))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_by_name(data: bytes) -> None:
    fuzzing.fuzz_counters(data)


def test_mutated_counters_are_refused_or_kept_whole() -> None:
    for seed in range(500):
        fuzzing.check(random.Random(seed))
