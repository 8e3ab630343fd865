"""Mutated counters, from agents and from Envoy's page: refused by name, or counts that can be."""

import random
from typing import Any

import orjson

from benchmarks.fuzzing.routing import explained, mutate
from sluice.agent.reading import parse_hosts, parse_stats
from sluice.dataplanes.bootstrap import BUCKETS_MS
from sluice.errors import SpecError
from sluice.metrics.codec import decode_snapshots, encode_snapshots
from sluice.nouns import LATENCY_GRID_MS

SEED: dict[str, Any] = {
    "router": "router-0",
    "releases": {
        "taxi": {
            "epoch": "19b",
            "taken_ms": 1_700_000_000_000,
            "arms": [
                {
                    "revision": "v1",
                    "purpose": "live",
                    "counts": {
                        "total": 9,
                        "errors": 2,
                        "client_errors": 1,
                        "timed": 9,
                        "slow": [3] * len(LATENCY_GRID_MS),
                    },
                    "endpoints": {"taxi-v1-0": {"total": 9, "errors": 2}},
                    "active": 1,
                    "shielded": 1,
                }
            ],
        }
    },
}
BUCKETS = " ".join(f"B{boundary:g}(0,{index})" for index, boundary in enumerate(BUCKETS_MS))
STATS = {
    "cluster.taxi/v1/live.upstream_rq_total": "9",
    "cluster.taxi/v1/live.upstream_rq_2xx": "7",
    "cluster.taxi/v1/live.upstream_rq_active": "1",
    "cluster.taxi/v1/live.upstream_cx_none_healthy": "0",
    "cluster.taxi/v1/live.upstream_rq_time": BUCKETS,
}
HOSTS: dict[str, Any] = {
    "cluster_statuses": [
        {
            "name": "taxi/v1/live",
            "host_statuses": [
                {"hostname": "taxi-v1-0", "stats": [{"name": "rq_total", "value": "9"}]}
            ],
        }
    ]
}


def check(rng: random.Random) -> None:
    """Decode one mutated reading of each kind.

    Raises:
        AssertionError: accepted although no counts can be so.
    """
    document = orjson.loads(orjson.dumps(SEED))
    for _ in range(rng.randrange(4)):
        mutate(document, rng)
    data = bytearray(orjson.dumps(document))
    if rng.random() < 0.3:
        data[rng.randrange(len(data))] = rng.randrange(256)
    fuzz_counters(bytes(data))
    _envoy(rng)


def fuzz_counters(data: bytes) -> None:
    """Give any bytes to the parser of counters.

    Raises:
        AssertionError: accepted although no counts can be so, or not kept whole.
    """
    try:
        router, snapshots = decode_snapshots(data)
    except SpecError as error:
        explained(error)
        return
    assert decode_snapshots(encode_snapshots(router, snapshots)) == (router, snapshots)
    for snapshot in snapshots.values():
        assert all(arm.counts.plausible for arm in snapshot.arms)
        assert all(arm.shielded <= arm.counts.errors for arm in snapshot.arms)


def _envoy(rng: random.Random) -> None:
    stats = dict(STATS)
    name = rng.choice(list(stats))
    text = stats.pop(name)
    cut = rng.randrange(len(text) + 1)
    stats[name] = text[:cut] + rng.choice(("", "x", "-1", "(", "9" * 50, "B1(")) + text[cut:]
    try:
        clusters = parse_stats(stats)
    except ValueError:
        clusters = {}
    assert all(len(cluster.buckets) == len(BUCKETS_MS) for cluster in clusters.values())
    page = orjson.loads(orjson.dumps(HOSTS))
    mutate(page, rng)
    try:
        parse_hosts(orjson.dumps(page).decode())
    except ValueError:
        return
