"""The controller's own metrics, in the text format of Prometheus."""

from collections import Counter as Counted
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sluice.nouns import Phase
from sluice.runtime.loop import Loop

TURN_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Gauges:
    """What is measured of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.leader = Gauge(
            "sluice_controller_leader",
            "1 while this controller leads",
            registry=self.registry,
        )
        self.epoch = Gauge(
            "sluice_controller_epoch",
            "Number of the leadership that this controller had last",
            registry=self.registry,
        )
        self.turns = Histogram(
            "sluice_controller_turn_seconds",
            "Time of one look at all releases, seconds",
            buckets=TURN_BUCKETS_S,
            registry=self.registry,
        )
        self.polls_failed = Counter(
            "sluice_controller_polls_failed_total",
            "Polls of the routers' counters that could not be used",
            registry=self.registry,
        )
        self._lead = _Lead()
        self.registry.register(self._lead)

    def leads(
        self, loop: Loop | None, counters: Callable[[], Iterable[tuple[str, str, float]]]
    ) -> None:
        """From now on show these releases, and these further counters (name, help, value)."""
        self._lead.loop, self._lead.counters = loop, counters

    def text(self) -> bytes:
        """All of it, as a scraper reads it."""
        return generate_latest(self.registry)


class _Lead(Collector):
    """What only the leader knows; nothing on a stand-by."""

    def __init__(self) -> None:
        self.loop: Loop | None = None
        self.counters: Callable[[], Iterable[tuple[str, str, float]]] = tuple

    def collect(self) -> Iterator[Metric]:
        """See ``prometheus_client``."""
        phases = GaugeMetricFamily(
            "sluice_releases", "Releases that this controller runs, by phase", labels=["phase"]
        )
        found = Counted(
            item.core.state.phase for item in (self.loop.releases.values() if self.loop else ())
        )
        for phase in Phase:
            phases.add_metric([phase.value], found[phase])
        yield phases
        for name, text, value in self.counters():
            yield CounterMetricFamily(name, text, value=value)
