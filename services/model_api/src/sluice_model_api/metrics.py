"""What Prometheus reads: requests and latency by model, version, route and code."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sluice_model_api.predictions.log import PredictionLog
from sluice_model_api.repository import Repository

GRID_MS: Final = (
    1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 100, 125, 150, 200, 250, 300,
    400, 500, 600, 750, 1_000, 1_250, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 7_500, 10_000,
    15_000, 20_000, 30_000, 60_000,
)  # fmt: skip
"""Bucket boundaries, milliseconds: where latency objectives of releases may lie."""

Key = tuple[str, str, str, int]
"""Model, version, route, code; model and version are empty where none is asked."""


class _Series:
    __slots__ = ("buckets", "sum_s")

    def __init__(self, size: int) -> None:
        self.sum_s = 0.0
        self.buckets = [0] * size


class Metrics(Collector):
    """Counters of one process; written by the event loop alone, so they need no lock.

    prometheus_client's own histogram takes a lock for every bucket: 5 µs of a request's 150.

    Args:
        repository: For the info metric and readiness.
        thresholds_ms: Latency thresholds that must be bucket boundaries besides the grid.
    """

    def __init__(self, repository: Repository, *, thresholds_ms: Sequence[float] = ()) -> None:
        self._repository = repository
        self._bounds_s = sorted({bound / 1000 for bound in (*GRID_MS, *thresholds_ms)})
        self._series: dict[Key, _Series] = {}
        self.in_flight = 0
        self.draining = False
        self.log: PredictionLog | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def observe(self, key: Key, seconds: float) -> None:
        """Count one answered request and its time."""
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series(len(self._bounds_s) + 1)
        series.sum_s += seconds
        series.buckets[bisect_left(self._bounds_s, seconds)] += 1

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        labels = ("model", "version", "route", "code")
        requests = CounterMetricFamily(
            "model_api_requests", "Requests answered; 499: the client gave up.", labels=labels
        )
        seconds = HistogramMetricFamily(
            "model_api_request_seconds", "Time from request to answer, seconds.", labels=labels
        )
        for (model, version, route, code), series in self._series.items():
            values = (model, version, route, str(code))
            cumulative, total = [], 0
            for bound, count in zip((*self._bounds_s, None), series.buckets, strict=True):
                total += count
                cumulative.append(("+Inf" if bound is None else repr(bound), float(total)))
            requests.add_metric(values, total)
            seconds.add_metric(values, cumulative, series.sum_s)
        yield requests
        yield seconds
        yield _gauge("model_api_requests_in_flight", "Requests not yet answered.", self.in_flight)
        info = GaugeMetricFamily(
            "model_api_model_info",
            "1 for each version that is served.",
            labels=("model", "version", "digest", "platform", "features", "state"),
        )
        for entry in self._repository.entries():
            manifest = entry.manifest
            info.add_metric(
                (
                    manifest.name,
                    manifest.version,
                    entry.digest,
                    manifest.platform,
                    manifest.features.id,
                    entry.state.value,
                ),
                1,
            )
        yield info
        ready = self._repository.ready and not self.draining
        yield _gauge("model_api_ready", "1 when readiness says so.", int(ready))
        if self.log is not None:
            yield _log_counter(self.log)


def _log_counter(log: PredictionLog) -> Metric:
    family = CounterMetricFamily(
        "model_api_predictions_logged",
        "Predictions for the log: written, or dropped for want of room or of a store.",
        labels=("result",),
    )
    family.add_metric(("written",), log.written)
    family.add_metric(("dropped",), log.dropped)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, text)
    family.add_metric((), value)
    return family
