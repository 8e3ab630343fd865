"""One controller and its releases, measured from inside: prints one line of JSON."""

import argparse
import asyncio
import json
import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import structlog

from sluice.dataplanes.memory import MemoryDataPlane
from sluice.engine.canary import canary_stage
from sluice.engine.plan import Plan, Ramp
from sluice.metrics.codec import decode_snapshots, encode_snapshots
from sluice.nouns import (
    LATENCY_GRID_MS,
    ArmCounts,
    Counts,
    Objective,
    Purpose,
    RevisionId,
    Snapshot,
    Workload,
)
from sluice.platforms.clock import SystemClock
from sluice.platforms.local.journal import FileJournal
from sluice.platforms.memory import MemoryPlatform
from sluice.runtime.loop import Loop
from sluice.spec import AnalysisSettings

V1, V2 = RevisionId("v1"), RevisionId("v2")
RPS = 20
WINDOW_S = 5.0
SETTLE_S = 15.0
SETTINGS = AnalysisSettings(
    objectives=(
        Objective(name="availability", kind="availability", target=0.99),
        Objective(name="latency", kind="latency", target=0.95, threshold_ms=300),
    ),
    alpha=0.001,
    beta=0.05,
    poll_ms=1_000,
    polls=3_600,
    warm_up_ms=0,
)


class Router:
    """Counters of all releases as one router would send them; what making them costs is noted."""

    def __init__(self, plane: MemoryDataPlane, names: list[str]) -> None:
        self._plane = plane
        self._names = names
        self._began_s = time.monotonic()
        self.own_cpu_s = 0.0
        self.reads = 0

    async def read(self) -> Mapping[str, tuple[Snapshot, ...]]:
        """See ``ports.MetricSource``."""
        began = time.process_time()
        content = self._encoded()
        self.own_cpu_s += time.process_time() - began
        self.reads += 1
        _, snapshots = decode_snapshots(content)
        return {name: (snapshot,) for name, snapshot in snapshots.items()}

    def _encoded(self) -> bytes:
        total = int(RPS * (time.monotonic() - self._began_s))
        now_ms = time.time_ns() // 1_000_000
        counts = _counts(total)
        half = Counts(total=counts.total // 2, errors=counts.errors // 2)
        snapshots = {}
        for name in self._names:
            fragment = self._plane.fragment(name)
            live = fragment.routing.live if fragment is not None else ()
            arms = tuple(
                ArmCounts(
                    revision=arm.revision,
                    purpose=Purpose.LIVE,
                    counts=counts,
                    endpoints={f"{name}-{arm.revision}-{pod}": half for pod in range(2)},
                )
                for arm in live
            )
            snapshots[name] = Snapshot(router="router", epoch="1", taken_ms=now_ms, arms=arms)
        return encode_snapshots("router", snapshots)


def _counts(total: int) -> Counts:
    """Two in a thousand fail, two in a hundred are slow; counts only grow."""
    slow = tuple(total if threshold < 20 else total // 50 for threshold in LATENCY_GRID_MS)
    return Counts(total=total, errors=total // 500, timed=total, slow=slow)


def _plan(name: str) -> Plan:
    stage = canary_stage(steps=(), ramp=Ramp(), deadline_ms=7_200_000)
    return Plan(
        release=name,
        replicas=2,
        hosts=(name,),
        stages=(stage,),
        min_bake_ms=3_600_000,
        keep_warm_ms=600_000,
    )


async def measure(
    releases: int, seconds: float, folder: Path, *, judged: bool
) -> dict[str, object]:
    """Bring everything up, let it settle, and measure windows."""
    clock = SystemClock()
    platform, plane = MemoryPlatform(clock), MemoryDataPlane(clock)
    names = [f"release-{index}" for index in range(releases)]
    router = Router(plane, names)
    loop = Loop(
        platform=platform,
        dataplane=plane,
        metrics=router,
        journal=FileJournal(folder),
        clock=clock,
    )
    for revision in (V1, V2) if judged else (V1,):
        for name in names:
            workload = Workload(release=name, revision=revision, template={})
            await loop.deploy(workload, _plan(name), SETTINGS)
        await loop.turn(poll=True)
        await loop.turn(poll=True)
    task = asyncio.create_task(loop.run())
    await asyncio.sleep(SETTLE_S)
    cores = []
    reads, began_s = router.reads, time.monotonic()
    for _ in range(max(1, int(seconds / WINDOW_S))):
        cpu_s, own_s, at_s = time.process_time(), router.own_cpu_s, time.monotonic()
        await asyncio.sleep(WINDOW_S)
        spent_s = time.process_time() - cpu_s - (router.own_cpu_s - own_s)
        cores.append(spent_s / (time.monotonic() - at_s))
    polls = (router.reads - reads) / (time.monotonic() - began_s)
    task.cancel()
    unjudged = [item.name for item in loop.statuses() if judged and item.verdict is None]
    assert not unjudged, f"not in a pass: {unjudged[:3]}"
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cores": cores, "polls": polls, "rss_mb": rss_mb}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--judged", action="store_true")
    words = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory(prefix="sluice-") as folder:
        found = asyncio.run(
            measure(words.releases, words.seconds, Path(folder), judged=words.judged)
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
