"""What Prometheus reads: requests and latency by model, version, route and code."""

import os
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

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

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class _Series:
    __slots__ = ("buckets", "sum_s")

    def __init__(self, size: int) -> None:
        self.sum_s = 0.0
        self.buckets = [0] * size


class Metrics:
    """Counters of one process, written by the event loop alone, and their text form.

    Not prometheus_client: its histogram takes a lock for every bucket (5 µs of a request's 150),
    and importing it costs 1.5 MB of HTTP servers that nobody here starts.

    Args:
        repository: For the info metric and readiness.
        thresholds_ms: Latency thresholds that must be bucket boundaries besides the grid.
    """

    def __init__(self, repository: Repository, *, thresholds_ms: Sequence[float] = ()) -> None:
        self._repository = repository
        self._bounds_s = sorted({bound / 1000 for bound in (*GRID_MS, *thresholds_ms)})
        self._series: dict[Key, _Series] = {}
        self._started_s = time.time()
        self.in_flight = 0
        self.draining = False
        self.log: PredictionLog | None = None

    def observe(self, key: Key, seconds: float) -> None:
        """Count one answered request and its time."""
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series(len(self._bounds_s) + 1)
        series.sum_s += seconds
        series.buckets[bisect_left(self._bounds_s, seconds)] += 1

    def render(self) -> bytes:
        """The text that Prometheus reads (exposition format 0.0.4)."""
        return "\n".join((*self._requests(), *self._state(), *self._process(), "")).encode()

    def _requests(self) -> Iterator[str]:
        name = "model_api_requests_total"
        yield from _head(name, "counter", "Requests answered; 499: the client gave up.")
        for key, series in self._series.items():
            yield f"{name}{_labels(key)} {sum(series.buckets)}"
        name = "model_api_request_seconds"
        yield from _head(name, "histogram", "Time from request to answer, seconds.")
        for key, series in self._series.items():
            labels = _labels(key)
            total = 0
            for bound, count in zip(self._bounds_s, series.buckets, strict=False):
                total += count
                yield f'{name}_bucket{labels[:-1]},le="{bound!r}"}} {total}'
            total += series.buckets[-1]
            yield f'{name}_bucket{labels[:-1]},le="+Inf"}} {total}'
            yield f"{name}_count{labels} {total}"
            yield f"{name}_sum{labels} {series.sum_s!r}"

    def _state(self) -> Iterator[str]:
        yield from _one("model_api_requests_in_flight", "Requests not yet answered", self.in_flight)
        ready = self._repository.ready and not self.draining
        yield from _one("model_api_ready", "1 when readiness says so", int(ready))
        name = "model_api_model_info"
        yield from _head(name, "gauge", "1 for each version that is served.")
        for entry in self._repository.entries():
            manifest = entry.manifest
            labels = {
                "model": manifest.name,
                "version": manifest.version,
                "digest": entry.digest,
                "platform": manifest.platform,
                "features": manifest.features.id,
                "state": entry.state.value,
            }
            yield f"{name}{_braces(labels)} 1"
        if self.log is not None:
            name = "model_api_predictions_logged_total"
            yield from _head(name, "counter", "Predictions for the log: written or dropped.")
            yield f'{name}{{result="written"}} {self.log.written}'
            yield f'{name}{{result="dropped"}} {self.log.dropped}'

    def _process(self) -> Iterator[str]:
        used = os.times()
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
        name = "process_cpu_seconds_total"
        yield from _head(name, "counter", "CPU time of this process, seconds.")
        yield f"{name} {used.user + used.system:.2f}"
        yield from _one("process_resident_memory_bytes", "Memory of this process", resident)
        yield from _one(
            "process_start_time_seconds", "Start of this process, Unix time", self._started_s
        )


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _one(name: str, text: str, value: float) -> Iterator[str]:
    yield from _head(name, "gauge", f"{text}.")
    yield f"{name} {value!r}"


def _labels(key: Key) -> str:
    model, version, route, code = key
    return _braces({"model": model, "version": version, "route": route, "code": str(code)})


def _braces(labels: Mapping[str, str]) -> str:
    # Names, versions, routes and digests are of a safe alphabet (the manifest's pattern).
    inside = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return f"{{{inside}}}"
