"""The releases of a cluster: asked of the API server, changed by the controller."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, TypeVar

from sluice.cli import output
from sluice.cli.cluster import applying, controller
from sluice.cli.cluster.commands import LOOK_S, command
from sluice.cli.cluster.logs import read_logs
from sluice.cli.cluster.seen import Seen, is_observed, seen
from sluice.cli.where import Where
from sluice.errors import TransientError, UnknownRelease
from sluice.kube.client import KubeClient
from sluice.kube.errors import NotThere
from sluice.kube.kinds import RELEASE
from sluice.reports.model import Decision, ReleaseStatus
from sluice.reports.traffic import Poll

T = TypeVar("T")

NOT_INSTALLED = "this cluster knows no Releases: `make install` (or the chart) installs Sluice"

Object = dict[str, Any]


class ClusterClient:
    """``Backend`` of a cluster.

    Args:
        kube: The way to its API server; closed with this.
        where: Namespace and context that were asked for.
        timeout_s: The longest wait for the controller's answer to a verb.
    """

    poll_s = 1.0
    keeper = "the cluster"
    unkept = "a cluster keeps decisions, not every poll"

    def __init__(self, kube: KubeClient, where: Where, *, timeout_s: float) -> None:
        self._kube = kube
        self._where = where
        self._timeout_s = timeout_s
        self._runner = asyncio.Runner()
        self.namespace = where.namespace or kube.namespace

    @classmethod
    def connect(cls, where: Where, *, timeout_s: float) -> "ClusterClient":
        """The cluster of a context.

        Raises:
            StateError: there is no usable kubeconfig, or no such context.
        """
        return cls(KubeClient.connect(context=where.context), where, timeout_s=timeout_s)

    def __enter__(self) -> "ClusterClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runner.run(self._kube.close())
        self._runner.close()

    def health(self) -> Mapping[str, Any]:
        """Context, namespace, and the versions of API server and controller."""
        return self._do(self._health())

    def releases(self) -> tuple[ReleaseStatus, ...]:
        """Every release of the namespace, or of all, by namespace and name."""
        return tuple(self._seen(obj).status for obj in self._do(self._list()))

    def release(self, name: str) -> ReleaseStatus:
        """One release: ``taxi`` of the namespace, or ``ml/taxi``."""
        return self._seen(self._do(self._get(name))).status

    def some(self, names: Sequence[str]) -> tuple[ReleaseStatus, ...]:
        """These releases: one question for one, and one a namespace for several."""
        if len(names) == 1:
            return (self.release(names[0]),)
        objects = self._do(self._several({self._place(name)[0] for name in names}))
        there = {self._place(self._name(obj)): obj for obj in objects}
        return tuple(
            self._seen(there[self._place(name)]).status
            if self._place(name) in there
            else self.release(name)
            for name in names
        )

    def history(self, name: str) -> tuple[Decision, ...]:
        """Every decision that the controller keeps, oldest first."""
        return self._seen(self._do(self._get(name))).decisions

    def polls(self, name: str) -> tuple[Poll, ...]:
        """None: the polls of a pass stay with the controller."""
        return ()

    def kept(self, name: str, pass_number: int) -> list[dict[str, Any]]:
        """Nothing, for the same reason: a pass is judged again from its decisions."""
        return []

    def logs(
        self, name: str, *, revision: str | None = None, tail: int = 100, since: str | None = None
    ) -> tuple[list[tuple[str, str]], str | None]:
        """(pod, line) of the newest lines, and the cursor to ask on with ``since``."""
        namespace, plain = self._place(name)
        if since is None:
            self._do(self._get(name))
        return self._do(
            read_logs(self._kube, namespace, plain, revision=revision, tail=tail, since=since)
        )

    def standing(self, files: Sequence[tuple[str, str]]) -> dict[str, ReleaseStatus]:
        """Releases of the namespaces that the files name, by name."""
        homes = applying.namespaces_of(files) | {self.namespace}
        found = [self._seen(obj).status for obj in self._do(self._several(homes))]
        return {status.name: status for status in found}

    def apply(
        self, files: Sequence[tuple[str, str]], *, by: str, patience_s: float
    ) -> Mapping[str, Any]:
        """Check everything here, ask the server about everything, then apply everything."""
        return self._do(self._apply(files, patience_s))

    def verb(self, name: str, verb: str, body: Mapping[str, Any]) -> tuple[str, ReleaseStatus]:
        """Do something to a release; returns what happened in one line, and the new status."""
        namespace, plain = self._place(name)
        self._do(self._get(name))
        asked = {"verb": verb, **body}
        message, obj = self._do(
            command(self._kube, namespace, plain, asked, timeout_s=self._timeout_s)
        )
        return message, self._seen(obj).status

    def delete(self, name: str, *, by: str) -> tuple[str, ReleaseStatus]:
        """Delete a release and wait until it is gone: traffic first, then replicas."""
        return self._do(self._delete(name))

    async def _health(self) -> Mapping[str, Any]:
        return {
            "context": self._where.context or "current",
            "namespace": self.namespace,
            "server": await self._kube.version(),
            "version": await controller.version(self._kube),
        }

    async def _list(self) -> list[Object]:
        place = None if self._where.everywhere else self.namespace
        try:
            return await self._kube.list(RELEASE, place)
        except NotThere as error:
            raise UnknownRelease(NOT_INSTALLED) from error

    async def _several(self, namespaces: set[str]) -> list[Object]:
        try:
            lists = [await self._kube.list(RELEASE, place) for place in sorted(namespaces)]
        except NotThere as error:
            raise UnknownRelease(NOT_INSTALLED) from error
        return [obj for found in lists for obj in found]

    async def _get(self, name: str) -> Object:
        namespace, plain = self._place(name)
        obj = await self._kube.get(RELEASE, plain, namespace)
        if obj is None:
            known = ", ".join(self._name(item) for item in await self._several({namespace}))
            raise UnknownRelease(
                f"no release {plain} in namespace {namespace}; there is {known or 'none'}"
            )
        return obj

    async def _apply(
        self, files: Sequence[tuple[str, str]], patience_s: float
    ) -> Mapping[str, Any]:
        documents = await applying.checked(self._kube, files, self.namespace)
        made = await applying.make(self._kube, documents, self.namespace)
        rows: dict[str, dict[str, Any]] = {}
        for item in made:
            kind = item.after["kind"].replace("ConfigMap", "SLO")
            name = self._name(item.after)
            shown = name.removeprefix("slo-") if kind == "SLO" else name
            rows[f"{kind}/{name}"] = {"kind": kind, "name": shown, "changed": item.is_changed}
        notices = []
        for obj in await applying.settled(self._kube, made, patience_s=patience_s):
            name = self._name(obj)
            if not is_observed(obj, int(obj["metadata"].get("generation") or 0)):
                notices.append(await applying.unseen(self._kube, name))
                continue
            status = self._seen(obj).status
            rows[f"Release/{name}"]["revision"] = status.candidate or status.stable
            notices += [f"{name}: {line}" for line in status.notices]
        return {"applied": list(rows.values()), "notices": notices}

    async def _delete(self, name: str) -> tuple[str, ReleaseStatus]:
        namespace, plain = self._place(name)
        last = self._seen(await self._get(name)).status
        await self._kube.delete(RELEASE, plain, namespace)
        end = monotonic() + self._timeout_s
        while await self._kube.get(RELEASE, plain, namespace) is not None:
            if monotonic() >= end:
                raise TransientError(
                    f"{name} is being deleted and is not gone after {self._timeout_s:g} s: "
                    f"{await controller.whereabouts(self._kube)}"
                )
            await asyncio.sleep(LOOK_S)
        return "deleted", last

    def _place(self, name: str) -> tuple[str, str]:
        """(namespace, name)."""
        namespace, _, plain = name.rpartition("/")
        return namespace or self.namespace, plain

    def _name(self, obj: Mapping[str, Any]) -> str:
        metadata = obj["metadata"]
        if metadata["namespace"] == self.namespace and not self._where.everywhere:
            return str(metadata["name"])
        return f"{metadata['namespace']}/{metadata['name']}"

    def _seen(self, obj: Mapping[str, Any]) -> Seen:
        return seen(obj, name=self._name(obj), now_ms=output.now_ms())

    def _do(self, question: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(question)
