"""The revisions of one leadership: their platform, and what they are made from."""

from sluice.cluster.extras import Described
from sluice.cluster.keys import split
from sluice.cluster.settings import Settings
from sluice.hooks.kube_jobs import JobPlace, KubeJobs, place_like
from sluice.kube.client import KubeClient
from sluice.nouns import Job, RevisionId, Workload
from sluice.platforms.kubernetes.caches import Caches
from sluice.platforms.kubernetes.names import MANAGER
from sluice.platforms.kubernetes.objects import MadeFrom, deployment
from sluice.platforms.kubernetes.platform import KubePlatform
from sluice.platforms.kubernetes.tracked import TrackedReader
from sluice.ports import Clock
from sluice.spec import Release


class Cluster:
    """What runs in a cluster.

    Args:
        settings: Of the controller.
        client: The API server.
        described: What is known of releases.
        clock: Time.
    """

    def __init__(
        self, settings: Settings, client: KubeClient, described: Described, clock: Clock
    ) -> None:
        namespaces = tuple(name for name in settings.namespaces if name is not None)
        self._client = client
        self._described = described
        self._caches = Caches(client, namespaces=namespaces)
        self._tracked = TrackedReader(client)
        self.platform = KubePlatform(client, self._caches, describe=described, clock=clock)
        self.jobs = KubeJobs(client, place=self.place)

    async def start(self) -> None:
        """Return once everything has been seen.

        Raises:
            RefusedError: it could not be listed in time.
        """
        await self._caches.start()

    async def close(self) -> None:
        """Follow no more; everything runs on."""
        await self.platform.close()
        await self._caches.stop()

    async def digest(self, key: str, release: Release) -> str:
        """Of what a release's tracked config holds now.

        Raises:
            SpecError: some of it is not there.
            TransientError: it cannot be read now.
            RefusedError: we may not read it.
        """
        tracked = release.spec.tracked
        if tracked is None:
            return ""
        config = await self._tracked.read(
            key, split(key)[0], config_maps=tracked.config_maps, secrets=tracked.secrets
        )
        self._described.read(key, config)
        return config.digest

    def place(self, job: Job) -> JobPlace | None:
        """Where a program that checks a candidate runs: like the candidate's own pods."""
        namespace, name = job.env["SLUICE_NAMESPACE"], job.env["SLUICE_RELEASE"]
        key = f"{namespace}/{name}"
        workload = self.platform.workload(key, RevisionId(job.env["SLUICE_REVISION"]))
        extras = self._described(key)
        if workload is None or extras is None:
            return None
        owner = extras.owner.reference() | {"controller": False}
        return place_like(workload.template, namespace=namespace, owner=owner)

    async def admit(self, workload: Workload) -> None:
        """Ask whether the API server takes a revision's Deployment.

        Raises:
            SpecError: it does not: every cause, by its path in the Release.
            TransientError: it cannot be asked now.
            RefusedError: a quota or an admission rule is against it.
        """
        extras = self._described(workload.release)
        if extras is None:
            return
        config = extras.tracked.get(workload.revision)
        made_from = MadeFrom(
            config_maps=extras.config_maps, secrets_hash=config.secrets_hash if config else ""
        )
        obj = deployment(workload, 0, extras.owner, made_from, sized=True)
        await self._client.apply(obj, manager=MANAGER, dry_run=True)
