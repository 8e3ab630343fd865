import pytest

from sluice.errors import SpecError
from sluice.nouns import Objective
from sluice.spec.thresholds import objective_of_threshold


@pytest.mark.parametrize(
    ("text", "kind", "target", "ms"),
    [
        pytest.param("p(95)<200", "latency", 0.95, 200, id="percentile"),
        pytest.param("p(99.9) <= 500", "latency", 0.999, 500, id="spaces"),
        pytest.param("http_req_duration: p(90)<1000", "latency", 0.9, 1000, id="metric"),
        pytest.param("med<100", "latency", 0.5, 100, id="median"),
        pytest.param("rate<0.01", "availability", 0.99, None, id="rate"),
        pytest.param("http_req_failed: rate<=0.005", "availability", 0.995, None, id="failed"),
        pytest.param("checks:rate>0.99", "availability", 0.99, None, id="checks"),
    ],
)
def test_a_threshold_is_an_objective(text: str, kind: str, target: float, ms: int | None) -> None:
    found = objective_of_threshold(text)
    assert isinstance(found, Objective)
    assert (found.kind, found.target, found.threshold_ms) == (kind, target, ms)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("fast please", "is not a threshold", id="words"),
        pytest.param("avg<200", "no count of requests can prove", id="average"),
        pytest.param("max<200", "no count of requests can prove", id="maximum"),
        pytest.param("p(95)<201", "near", id="off-grid"),
        pytest.param("p(100)<200", "outside 0 to 100", id="hundred"),
        pytest.param("p(95)>200", "write < or <=", id="slow"),
        pytest.param("rate>0.01", "asks for failures", id="failures"),
        pytest.param("rate<1.5", "between 0 and 1", id="no-share"),
        pytest.param("rate<0.1.2", "has no number", id="number"),
        pytest.param("http_req_waiting:p(95)<200", "only http_req_duration", id="other-metric"),
        pytest.param("data_sent:rate<0.2", "is about data_sent", id="other-rate"),
    ],
)
def test_others_are_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=r"--threshold") as caught:
        objective_of_threshold(text)
    assert said in str(caught.value)
