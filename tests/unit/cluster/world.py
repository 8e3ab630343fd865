"""A cluster in memory on a virtual clock: API server, platform, router, and a controller's parts.

Steps are driven by hand, so that nothing happens between two of them.
"""

import asyncio
import json
import random
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr
from tests.unit.spec.documents import ANSWERED, RELEASE

from sluice.cluster.gauges import Gauges
from sluice.cluster.keys import key_of, stamp
from sluice.cluster.leading import Leadership
from sluice.cluster.parts import Parts
from sluice.cluster.settings import Settings
from sluice.cluster.wanted import Wanted
from sluice.dataplanes.memory import MemoryDataPlane
from sluice.errors import Fault, SpecError, UnknownRelease
from sluice.kube.kinds import EVENT
from sluice.kube.kinds import RELEASE as RELEASES
from sluice.metrics.memory import MemoryMetricSource, MemoryPairs
from sluice.nouns import AnswerKind, GateAnswer, Question, RevisionId, Workload
from sluice.platforms.memory import MemoryPlatform
from sluice.reports.model import ReleaseStatus
from sluice.spec import Release
from sluice.testing.clock import VirtualClock
from sluice.testing.kube import MemoryApi

NAMESPACE, NAME = "ml", "taxi"
KEY = f"{NAMESPACE}/{NAME}"
POLICY: dict[str, Any] = {
    "apiVersion": "sluice.dev/v1alpha1",
    "kind": "ReleasePolicy",
    "metadata": {"name": "taxi", "namespace": NAMESPACE},
    "spec": {
        "minBake": "5s",
        "deadline": "2m",
        "objectives": [{"sloRef": "answered"}],
        "lease": "10s",
    },
}


def release(
    version: str = "1", name: str = NAME, namespace: str = NAMESPACE, **spec: Any
) -> dict[str, Any]:
    """A Release whose image has this version."""
    obj = deepcopy(RELEASE)
    obj["metadata"] = {"name": name, "namespace": namespace}
    obj["spec"] |= {"keepWarm": "30s", **spec}
    obj["spec"]["template"]["spec"]["containers"][0]["image"] = f"model:{version}"
    return obj


def slos(text: str | None = None) -> dict[str, Any]:
    """The ConfigMap of SLOs."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "slos",
            "namespace": NAMESPACE,
            "labels": {"sluice.dev/slo": "true"},
        },
        "data": {"answered.yaml": text if text is not None else json.dumps(ANSWERED)},
    }


STEPS = {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]}}


class Silent:
    """``ports.Hook`` that nobody answers."""

    async def ask(self, question: Question) -> GateAnswer:
        return GateAnswer(kind=AnswerKind.SILENT, reason="nobody is asked in this test")


async def never(_: int) -> int:
    await asyncio.Event().wait()
    return 0


@dataclass(kw_only=True)
class World:
    """One API server; leaderships come and go."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    settings: Settings = field(
        default_factory=lambda: Settings(token=SecretStr("t"), name="controller-a")
    )
    bad: dict[str, float] = field(default_factory=dict)
    """Share of bad answers by image version."""
    digest: str = ""
    refused_images: dict[str, str] = field(default_factory=dict)
    """Why the API server would not run pods of an image, by version."""

    def __post_init__(self) -> None:
        self.api = MemoryApi(now=lambda: stamp(self.clock.now_ms()))
        self.client = self.api.client()
        self.random = random.Random(1)
        self.platform = MemoryPlatform(self.clock, ready_after_s=1.0)
        self.plane = MemoryDataPlane(self.clock)
        self.described: dict[str, str] = {}
        self.admitted: list[str] = []
        self.lead = self._leadership()

    def parts(self) -> Parts:
        """What a leadership works with: memory, but for the client."""
        return Parts(
            objects=self.client,
            status=self.client,
            platform=self.platform,
            changes=never,
            dataplane=self.plane,
            metrics=MemoryMetricSource(lambda: self.plane.snapshots()),
            answers=MemoryPairs(),
            hook=Silent(),
            digest=self._digest,
            describe=self._describe,
            assume=lambda obj: self.described.setdefault(key_of(obj), obj["metadata"]["uid"]),
            admit=self._admit,
            leave=self._leave,
            routers=lambda: None,
            router_url="http://router",
        )

    def _leadership(self) -> Leadership:
        return Leadership(self.settings, self.parts(), self.clock, Gauges())

    async def _digest(self, key: str, release: Release) -> str:
        return self.digest if release.spec.tracked is not None else ""

    def _describe(self, item: Wanted, uid: str) -> None:
        self.described[item.key] = uid

    async def _leave(self, key: str) -> None:
        self.described.pop(key, None)

    async def _admit(self, workload: Workload) -> None:
        image = str(workload.template["spec"]["containers"][0]["image"])
        self.admitted.append(image)
        reason = self.refused_images.get(image.partition(":")[2])
        if reason:
            raise SpecError([Fault(path="spec.template", reason=reason)])

    # --- what happens ---

    async def apply(self, *objects: Mapping[str, Any]) -> None:
        """A person applies objects."""
        for obj in objects:
            await self.client.apply(obj, manager="kubectl")
        await self.settle()

    async def annotate(self, manager: str = "kubectl-annotate", /, **verbs: str | None) -> None:
        """A person annotates the release: verb (underscores for dashes) and value."""
        annotations = {f"sluice.dev/{k.replace('_', '-')}": v for k, v in verbs.items()}
        await self.client.patch(
            RELEASES, NAME, NAMESPACE, {"metadata": {"annotations": annotations}}
        )
        await self.settle()

    async def delete(self, name: str = NAME, namespace: str = NAMESPACE) -> None:
        """A person deletes a release."""
        await self.client.delete(RELEASES, name, namespace)
        await self.settle()

    async def begin(self) -> None:
        """The leadership reads back what there is."""
        await self.lead.loop.load()
        await self.settle()

    async def crash(self) -> None:
        """The controller is gone without a word; another leads."""
        self.lead = self._leadership()
        await self.begin()

    async def settle(self) -> None:
        """Everything that a change brings, without time going by."""
        if not self.api.unreachable:
            await self.lead.list_all()
        await self.lead.follower.settle()
        await self.lead.presenter.look()
        await self.send_events()

    async def send_events(self) -> None:
        news = self.lead.news
        while news._waiting:
            await news._send(news._waiting.popleft())

    async def second(self, rps: int = 50) -> None:
        """Requests come in, a second goes by, the controller looks."""
        self.traffic(rps)
        await self.clock.advance(1.0)
        await self.lead.loop.turn(poll=True)
        await self.settle()

    async def seconds(self, count: int, rps: int = 50) -> None:
        for _ in range(count):
            await self.second(rps)

    async def until(self, condition: str, *, at_most_s: int = 300, rps: int = 50) -> None:
        """Go on until a condition is true, as ``kubectl wait`` sees it."""
        for _ in range(at_most_s):
            if await self.holds(condition):
                return
            await self.second(rps)
        raise AssertionError(f"{condition} never: {await self.status()}")

    def traffic(self, requests: int) -> None:
        for name in list(self.lead.loop.releases):
            core = self.lead.loop.releases[name].core
            for _ in range(requests):
                try:
                    pick = self.plane.pick(name, rng=self.random)
                except UnknownRelease:
                    break
                workload = core.workloads.get(pick.revision)
                image = workload.template["spec"]["containers"][0]["image"] if workload else ""
                bad = self.random.random() < self.bad.get(image.partition(":")[2], 0.0)
                self.plane.record(name, pick, status=500 if bad else 200)

    # --- what is to be seen ---

    async def object(self, name: str = NAME, namespace: str = NAMESPACE) -> dict[str, Any]:
        found = await self.client.get(RELEASES, name, namespace)
        assert found is not None
        return found

    async def status(self, name: str = NAME, namespace: str = NAMESPACE) -> dict[str, Any]:
        return (await self.object(name, namespace)).get("status", {})

    async def condition(self, kind: str, name: str = NAME) -> dict[str, Any]:
        found = (await self.status(name)).get("conditions", ())
        return next((item for item in found if item["type"] == kind), {})

    async def holds(self, kind: str) -> bool:
        """As ``kubectl wait`` sees it: true, and said of the newest generation."""
        obj = await self.object()
        found = await self.condition(kind)
        current = found.get("observedGeneration", 0) >= obj["metadata"]["generation"]
        return bool(found.get("status") == "True" and current)

    async def events(self) -> list[dict[str, Any]]:
        return await self.client.list(EVENT, NAMESPACE)

    def shown(self) -> ReleaseStatus:
        return self.lead.loop.status(KEY)

    def revision(self) -> RevisionId:
        """What the spec asks for."""
        found = self.lead.loop.releases[KEY].core.state.spec_revision
        assert found is not None
        return found

    async def stable(self, **spec: Any) -> None:
        """Version 1 serves everything, with policy and SLO."""
        await self.begin()
        await self.apply(slos(), POLICY, release("1", **spec))
        await self.until("Promoted", at_most_s=10)
