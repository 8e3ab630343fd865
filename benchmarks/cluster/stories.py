"""Releases on the cluster whose cost is counted: bad ones, decisions, good ones beside a hog."""

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.cluster.system import LOAD, LOADER, System, kubectl
from tests.conformance.cluster import ClusterWorld, cluster_world
from tests.conformance.story import Story

from sluice.nouns import Phase

RPS = 50.0
FAULTS: Mapping[str, Mapping[str, float]] = {
    "dead": {"error_rate": 1.0},
    "20% errors": {"error_rate": 0.2},
    "5% errors": {"error_rate": 0.05},
    "all slow": {"latency_ms": 2_000.0},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """What a bad version 2 cost."""

    harmed: int
    lost: int
    seconds: float


def _release(world: ClusterWorld, *, min_bake: str) -> Story:
    story = Story(world)
    # Version 1 answers every request: the objectives are those of the comparison with the peers.
    story.given.slo(0.99).slo(0.95, le_s="1").policy(minBake=min_bake, warmUp="0s", deadline="10m")
    story.given.stable("v1").traffic(RPS)
    return story


def harm(system: System, faults: Mapping[str, float]) -> Harm:
    """A bad version 2 on the default ramp: bad (or late) answers that users saw."""
    with cluster_world(system, "harm") as world:
        story = _release(world, min_bake="10m")
        story.when.candidate("v2", **faults)
        story.then.aborted().harmed(at_most=1_000_000).lost(at_most=1_000_000)
        return Harm(harmed=story.facts.harmed, lost=story.facts.lost, seconds=story.facts.seconds)


def effects(system: System, aborts: int) -> list[float]:
    """Milliseconds from a decision to the last request that any candidate pod got."""
    delays: list[float] = []
    with cluster_world(system, "effect") as world:
        story = Story(world)
        story.given.strategy(canary={"steps": [{"setWeight": 50}, {"pause": {}}]})
        story.given.slo(0.9).policy(minBake="10m", warmUp="0s", deadline="30m")
        story.given.stable("v1").traffic(RPS)
        story.when.candidate("v2")
        for number in range(aborts):
            if number:
                story.when.verb("retry")
            story.when.live(5_000).after(0.5)
            story.when.verb("abort")
            story.then.aborted("AbortedByUser")
            decided_s = story.status().decisions[-1].at_ms / 1_000
            world.after(1.0)
            last_s = max(_last(system, world, pod) for pod in world.pods("v2"))
            delays.append(max(0.0, last_s - decided_s) * 1_000)
        story.then.lost(0)
    return delays


def _last(system: System, world: ClusterWorld, pod: str) -> float:
    found = json.loads(kubectl("-n", world.namespace, "get", "pod", pod, "-o", "json"))
    url = f"http://{found['status']['podIP']}:8080/last"
    script = f"import urllib.request; print(urllib.request.urlopen('{url}').read().decode())"
    return float(kubectl("-n", LOAD, "exec", LOADER, "--", "python", "-c", script))


def good(system: System, releases: int, *, at_once: int) -> Sequence[Phase]:
    """How so many releases of a good version 2 end while the nodes are kept busy."""

    def one(_: int) -> Phase:
        with cluster_world(system, "good") as world:
            story = _release(world, min_bake="10s")
            story.when.candidate("v2")
            wanted = world.revisions["v2"]
            status = world.until(
                lambda s: (
                    s.phase is Phase.ABORTED or (s.stable == wanted and s.phase is Phase.HEALTHY)
                ),
                within_s=600,
                what="an end",
            )
            return status.phase

    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(one, range(releases)))


class Hog:
    """Pods that want all the processors there are, for a bounded time."""

    NAME = "hog"

    def __init__(self, pods: int, seconds: int) -> None:
        self._manifest = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": self.NAME, "namespace": LOAD},
            "spec": {
                "parallelism": pods,
                "completions": pods,
                "activeDeadlineSeconds": seconds,
                "template": {
                    "spec": {
                        "restartPolicy": "Never",
                        "terminationGracePeriodSeconds": 1,
                        "containers": [
                            {
                                "name": "hog",
                                "image": "sluice/loadtest:0.1.0",
                                "imagePullPolicy": "IfNotPresent",
                                "command": ["python", "-c", "while True: pass"],
                                "resources": {"requests": {"cpu": "10m"}},
                            }
                        ],
                    }
                },
            },
        }

    def __enter__(self) -> "Hog":
        kubectl("apply", "-f", "-", stdin=json.dumps(self._manifest))
        time.sleep(5.0)
        return self

    def __exit__(self, *_: object) -> None:
        kubectl("-n", LOAD, "delete", "job", self.NAME, "--ignore-not-found", "--wait=true")
