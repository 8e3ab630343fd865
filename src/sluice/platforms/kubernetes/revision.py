"""One revision in the cluster: what it should be, and how it is made so."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sluice.errors import TransientError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import CONFIG_MAP, DEPLOYMENT, HPA, PDB, SERVICE, Kind
from sluice.nouns import Workload
from sluice.platforms.kubernetes import objects
from sluice.platforms.kubernetes.applying import Applier, Wanted
from sluice.platforms.kubernetes.caches import Caches
from sluice.platforms.kubernetes.extras import RevisionExtras
from sluice.platforms.kubernetes.names import (
    MANAGER,
    RETIRED,
    SCALED_BY,
    SIZE,
    SIZE_MANAGER,
    copy_name,
    object_name,
    split,
)
from sluice.platforms.kubernetes.objects import MadeFrom

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A revision at a size above 0, with its objects as they should be."""

    workload: Workload
    size: int
    extras: RevisionExtras
    made_from: MadeFrom
    deployment: Wanted
    others: tuple[tuple[Kind, Wanted], ...]
    """What must be there before and beside it: copies of config, Service, budget, autoscaler."""
    unwanted: tuple[Kind, ...]
    """Kinds of which it should have none."""

    @property
    def place(self) -> tuple[str, str]:
        """Namespace, and name of the Deployment."""
        return split(self.workload.release)[0], object_name(
            self.workload.release, self.workload.revision
        )


class Revisions:
    """Makes and unmakes the objects of single revisions.

    Args:
        client: The API server.
        caches: What was last seen there.
    """

    def __init__(self, client: KubeClient, caches: Caches) -> None:
        self._client = client
        self._caches = caches
        self._applier = Applier(client)

    def hold(self, workload: Workload, size: int, extras: RevisionExtras) -> Held:
        """What a revision should be.

        Raises:
            SpecError: the template has no such port.
            TransientError: the content of tracked config that it was made from is not known.
        """
        owner = extras.owner
        made_from = self._made_from(workload, extras)
        others = [(CONFIG_MAP, item) for item in self._copies(workload, extras, made_from)]
        others.append((SERVICE, Wanted.of(objects.service(workload, owner))))
        unwanted = []
        if extras.disruption_budget:
            others.append((PDB, Wanted.of(objects.budget(workload, owner, extras.budget))))
        else:
            unwanted.append(PDB)
        if extras.autoscaling is not None:
            scaler = objects.autoscaler(workload, size, owner, extras.autoscaling)
            others.append((HPA, Wanted.of(scaler)))
        else:
            unwanted.append(HPA)
        return Held(
            workload=workload,
            size=size,
            extras=extras,
            deployment=Wanted.of(
                objects.deployment(
                    workload, size, owner, made_from, sized=extras.autoscaling is None
                )
            ),
            made_from=made_from,
            others=tuple(others),
            unwanted=tuple(unwanted),
        )

    def holds(self, held: Held) -> bool:
        """Whether all of it is as it should be, as far as was seen; asks nobody."""
        seen = self._seen(DEPLOYMENT, held.deployment)
        if not self._applier.holds(held.deployment, seen) or _asleep(held, seen):
            return False
        return all(
            self._applier.holds(wanted, self._seen(kind, wanted)) for kind, wanted in held.others
        ) and not any(True for _ in self._surplus(held))

    async def ensure(self, held: Held) -> None:
        """Make it so."""
        for kind, wanted in held.others:
            if kind != HPA:
                await self._applier.ensure(wanted, self._seen(kind, wanted))
        for kind in self._surplus(held):
            await self._delete(kind, *held.place)
        await self._ensure_deployment(held)
        for kind, wanted in held.others:
            if kind == HPA:
                await self._applier.ensure(wanted, self._seen(kind, wanted))

    async def empty(self, namespace: str, name: str, at: str) -> None:
        """Size 0; everything that could come in the way of it goes.

        Args:
            namespace: Of the Deployment.
            name: Of the Deployment.
            at: Now, RFC 3339: revisions that came to 0 first are forgotten first.
        """
        for kind in (HPA, PDB):
            if self._caches.get(kind, namespace, name) is not None:
                await self._delete(kind, namespace, name)
        annotations = {SIZE: "0", RETIRED: at}
        body = {"metadata": {"annotations": annotations}, "spec": {"replicas": 0}}
        self._applier.forget((DEPLOYMENT.resource, namespace, name))
        await self._client.patch(DEPLOYMENT, name, namespace, body)

    async def erase(self, release: str, deployment: Mapping[str, Any]) -> None:
        """Take away all objects of a revision."""
        namespace, name = split(release)[0], deployment["metadata"]["name"]
        made_from = MadeFrom.read(deployment) or MadeFrom()
        revision = name.removeprefix(f"{split(release)[1]}-")
        for kind in (HPA, PDB, SERVICE, DEPLOYMENT):
            await self._delete(kind, namespace, name)
        for config_map in made_from.config_maps:
            await self._delete(CONFIG_MAP, namespace, copy_name(config_map, revision))

    async def _ensure_deployment(self, held: Held) -> None:
        seen = self._seen(DEPLOYMENT, held.deployment)
        wanted = held.deployment
        if "replicas" in wanted.obj["spec"]:
            await self._applier.ensure(wanted, seen)
            return
        await self._hand_over(held, seen)
        await self._applier.ensure(wanted, seen)

    async def _hand_over(self, held: Held, seen: Mapping[str, Any] | None) -> None:
        """A size to begin with; from then on it is the autoscaler's.

        A field that its last manager lets go of falls back to its default, here 1: so another
        manager holds it before the main one does not name it any more.
        """
        if seen is None and self._applier.holds(held.deployment, None):
            return  # just done
        present = _replicas(seen)
        if seen is not None and _scaled_by(seen) == "autoscaler" and present >= held.size:
            return
        if seen is None:
            made = objects.deployment(
                held.workload, held.size, held.extras.owner, held.made_from, sized=True
            )
            await self._client.apply(made, manager=MANAGER)
        namespace, name = held.place
        size = max(held.size, present)
        obj = DEPLOYMENT.new(name, namespace, spec={"replicas": size})
        await self._client.apply(obj, manager=SIZE_MANAGER)

    async def _delete(self, kind: Kind, namespace: str, name: str) -> None:
        self._applier.forget((kind.resource, namespace, name))
        await self._client.delete(kind, name, namespace)

    def _surplus(self, held: Held) -> Iterator[Kind]:
        for kind in held.unwanted:
            if self._caches.get(kind, *held.place) is not None:
                yield kind

    def _seen(self, kind: Kind, wanted: Wanted) -> Object | None:
        return self._caches.get(kind, *wanted.key[1:])

    def _made_from(self, workload: Workload, extras: RevisionExtras) -> MadeFrom:
        """What the Deployment was made from, and else what the controller knows."""
        namespace, name = (
            split(workload.release)[0],
            object_name(workload.release, workload.revision),
        )
        there = self._caches.get(DEPLOYMENT, namespace, name)
        made_from = MadeFrom.read(there) if there else None
        if made_from is not None:
            return made_from
        if not (extras.config_maps or extras.secrets):
            return MadeFrom()
        tracked = extras.tracked.get(workload.revision)
        if tracked is None:
            raise TransientError(
                f"what the tracked ConfigMaps and Secrets held for revision {workload.revision} is"
                " not known any more: its objects are gone; apply the Release again",
                retry_after_s=5.0,
            )
        return MadeFrom(
            config_maps=tuple(sorted(tracked.config_maps)), secrets_hash=tracked.secrets_hash
        )

    def _copies(
        self, workload: Workload, extras: RevisionExtras, made_from: MadeFrom
    ) -> Iterator[Wanted]:
        """Copies that can be made; one that is there stays as it is: nobody can change it."""
        tracked = extras.tracked.get(workload.revision)
        for name in made_from.config_maps:
            content = tracked.config_maps.get(name) if tracked else None
            if content is not None:
                release, revision = workload.release, workload.revision
                yield Wanted.of(objects.config_copy(release, revision, name, content, extras.owner))


def _asleep(held: Held, seen: Mapping[str, Any] | None) -> bool:
    """An autoscaler does not wake what has size 0, and is slow to grow what is too small."""
    if seen is None or "replicas" in held.deployment.obj["spec"]:
        return False
    return _replicas(seen) < held.size


def _replicas(deployment: Mapping[str, Any] | None) -> int:
    return int(deployment["spec"].get("replicas", 1)) if deployment else 0


def _scaled_by(deployment: Mapping[str, Any]) -> str:
    return str((deployment["metadata"].get("annotations") or {}).get(SCALED_BY, ""))
