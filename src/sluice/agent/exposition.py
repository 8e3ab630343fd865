"""What Prometheus sees of a router."""

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sluice.agent.counting import ArmKey, ArmTally
from sluice.nouns import LATENCY_GRID_MS, Ack, Counts, Fragment, Purpose

_ARM = ("release", "revision", "purpose")


def exposition(
    arms: Mapping[ArmKey, ArmTally], acks: Sequence[Ack], fragments: Mapping[str, Fragment]
) -> bytes:
    """The text of ``GET /metrics``."""
    registry = CollectorRegistry()
    registry.register(_Router(arms, acks, fragments))
    return generate_latest(registry)


class _Router(Collector):
    def __init__(
        self,
        arms: Mapping[ArmKey, ArmTally],
        acks: Sequence[Ack],
        fragments: Mapping[str, Fragment],
    ) -> None:
        self._arms = arms
        self._acks = acks
        self._fragments = fragments

    def collect(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "sluice_requests",
            "Requests that ended, by class of answer; none: the client left before one began.",
            labels=[*_ARM, "code_class"],
        )
        shielded = CounterMetricFamily(
            "sluice_requests_shielded",
            "Failures of a candidate that stable answered instead.",
            labels=_ARM,
        )
        active = GaugeMetricFamily("sluice_requests_active", "Requests under way.", labels=_ARM)
        duration = HistogramMetricFamily(
            "sluice_request_duration_milliseconds",
            "Time to the whole answer; a request without one lies above every boundary.",
            labels=_ARM,
        )
        for (release, revision, purpose), tally in self._arms.items():
            labels = [release, revision, purpose]
            for code_class, count in _by_class(tally).items():
                requests.add_metric([*labels, code_class], count)
            shielded.add_metric(labels, tally.shielded)
            active.add_metric(labels, tally.active)
            duration.add_metric(labels, _buckets(tally.counts), sum_value=None)
        yield from (requests, shielded, active, duration)
        yield from self._routing()

    def _routing(self) -> Iterable[Metric]:
        generation = GaugeMetricFamily(
            "sluice_routing_generation", "Generation that Envoy serves.", labels=["release"]
        )
        lease = GaugeMetricFamily(
            "sluice_lease_expired",
            "1 while candidates' weight is back at stable because nobody renewed the lease.",
            labels=["release"],
        )
        weight = GaugeMetricFamily(
            "sluice_weight_ratio",
            "Share of live requests, as asked for.",
            labels=["release", "revision"],
        )
        for ack in self._acks:
            generation.add_metric([ack.release], ack.generation)
            lease.add_metric([ack.release], ack.lease_expired)
        for release, fragment in self._fragments.items():
            for arm in fragment.routing.arms:
                if arm.purpose is Purpose.LIVE:
                    weight.add_metric([release, arm.revision], arm.weight_bp / 10_000)
        yield from (generation, lease, weight)


def _by_class(tally: ArmTally) -> dict[str, int]:
    counts = tally.counts
    return {
        "2xx": counts.total - counts.errors - counts.client_errors,
        "4xx": counts.client_errors,
        "5xx": counts.errors - tally.gave_up,
        "none": tally.gave_up,
    }


def _buckets(counts: Counts) -> list[tuple[str, float]]:
    slow = counts.slow or (0,) * len(LATENCY_GRID_MS)
    in_time = [
        (str(threshold), float(counts.timed - late))
        for threshold, late in zip(LATENCY_GRID_MS, slow, strict=True)
    ]
    return [*in_time, ("+Inf", float(counts.timed))]
