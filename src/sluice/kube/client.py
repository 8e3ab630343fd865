"""The Kubernetes API: objects are plain dicts, errors say what the caller can do."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

from sluice.errors import TransientError
from sluice.kube.errors import error_of
from sluice.kube.kinds import POD, Kind, kind_of
from sluice.kube.limits import TokenBucket
from sluice.kube.transport import Answer, Transport
from sluice.kube.watching import Watched

PAGE = 500
"""Objects of one answer to a listing."""
WATCH_S = 290
"""After so long the server ends a watch, which goes on from where it was: a change of API servers
is then noticed by itself."""

Object = dict[str, Any]
Objects = list[Object]


class KubeClient:
    """Talks to one API server.

    Every method raises ``TransientError`` (unreachable, too many requests, the server's own
    faults), ``RefusedError`` (not allowed: says what the account lacks) and, where it sends an
    object, ``SpecError`` (the server's causes as faults).

    Args:
        transport: The way there.
        namespace: Of the pod or of the kubeconfig's context.
        qps: Calls a second in the long run; twice as many may come at once. Watches are free.
            What must never wait behind others, such as the renewal of a lease, has a client of
            its own.
    """

    def __init__(self, transport: Transport, *, namespace: str, qps: float = 20.0) -> None:
        self.namespace = namespace
        self.calls = 0
        """Requests since the start; watches are none of them."""
        self._transport = transport
        self._bucket = TokenBucket(qps, max(1.0, 2 * qps))

    @classmethod
    def connect(
        cls, *, context: str | None = None, kubeconfig: Path | None = None, qps: float = 20.0
    ) -> "KubeClient":
        """A client with the account of the pod it runs in, or of a kubeconfig.

        Raises:
            StateError: neither is usable; says which was looked for and what is wrong.
        """
        # 0.7 s and 40 MB that a laptop never needs.
        from sluice.kube.http import HttpTransport

        transport = HttpTransport.open(context=context, kubeconfig=kubeconfig)
        return cls(transport, namespace=transport.namespace, qps=qps)

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object | None:
        """An object; None when it is not there."""
        place = namespace or self.namespace
        answer = await self._ask("GET", kind.path(place, name))
        what = f"get {_named(kind, place, name)}"
        return None if answer.status == 404 else _object(answer, what)

    async def list(self, kind: Kind, namespace: str | None = None, *, labels: str = "") -> Objects:
        """All objects of a kind that carry these labels.

        Args:
            kind: Which.
            namespace: None: of all namespaces.
            labels: A label selector.
        """
        objects, _ = await self._list(kind, namespace, labels)
        return objects

    async def apply(
        self, obj: Mapping[str, Any], *, manager: str, force: bool = True, dry_run: bool = False
    ) -> Object:
        """Server-side apply: fields that are named become so, fields named earlier and no more go.

        Args:
            obj: The fields that are this manager's business.
            manager: Who owns these fields.
            force: Take fields from other managers; otherwise ``Conflict``.
            dry_run: Only ask whether it would be accepted, and what it would become.
        """
        kind, name, namespace = self._place(obj)
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        answer = await self._ask(
            "PATCH", kind.path(namespace, name), query, obj, "application/apply-patch+yaml"
        )
        return _object(answer, f"apply {_named(kind, namespace, name)}")

    async def create(self, obj: Mapping[str, Any]) -> Object:
        """Make an object.

        Raises:
            Conflict: one of this name is there.
        """
        kind, name, namespace = self._place(obj)
        answer = await self._ask("POST", kind.path(namespace), {}, obj)
        return _object(answer, f"create {_named(kind, namespace, name)}")

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str | None,
        body: Mapping[str, Any],
        *,
        subresource: str = "",
    ) -> Object:
        """JSON merge patch: what is named changes, what is null goes.

        Raises:
            NotThere: there is nothing to change.
            Conflict: the body names a ``resourceVersion`` that is not the present one.
        """
        place = namespace or self.namespace
        path = kind.path(place, name, subresource)
        answer = await self._ask("PATCH", path, {}, body, "application/merge-patch+json")
        return _object(answer, f"patch {_named(kind, place, name)}")

    async def replace(self, obj: Mapping[str, Any], *, subresource: str = "") -> Object:
        """Put a whole object in place of the one that was read.

        Raises:
            Conflict: it has changed since, by its ``resourceVersion``.
            NotThere: there is nothing to replace.
        """
        kind, name, namespace = self._place(obj)
        answer = await self._ask("PUT", kind.path(namespace, name, subresource), {}, obj)
        return _object(answer, f"replace {_named(kind, namespace, name)}")

    async def delete(
        self, kind: Kind, name: str, namespace: str | None, *, propagation: str = "Background"
    ) -> bool:
        """Delete an object; False when it was not there.

        Args:
            kind: Of the object.
            name: Of the object.
            namespace: Of the object.
            propagation: What becomes of the objects that it owns: ``Background``, ``Foreground``
                or ``Orphan``.
        """
        place = namespace or self.namespace
        query = {"propagationPolicy": propagation}
        answer = await self._ask("DELETE", kind.path(place, name), query)
        if answer.status == 404:
            return False
        _object(answer, f"delete {_named(kind, place, name)}")
        return True

    async def logs(
        self,
        pod: str,
        namespace: str | None,
        *,
        container: str | None = None,
        tail: int = 100,
        since_s: int | None = None,
        previous: bool = False,
        timestamps: bool = False,
    ) -> str:
        """The last lines that a container wrote.

        Args:
            pod: Name of the pod.
            namespace: Its namespace.
            container: Needed where the pod has several.
            tail: Lines.
            since_s: Only those of the last so many seconds.
            previous: Of the run before the last restart.
            timestamps: Each line begins with its time, RFC 3339 with nanoseconds, and a space.

        Raises:
            NotThere: no such pod.
            SpecError: no such container, or it has not started.
        """
        place = namespace or self.namespace
        query = {"tailLines": str(tail)}
        if container is not None:
            query["container"] = container
        if since_s is not None:
            query["sinceSeconds"] = str(since_s)
        if previous:
            query["previous"] = "true"
        if timestamps:
            query["timestamps"] = "true"
        answer = await self._ask("GET", POD.path(place, pod, "log"), query)
        if answer.status >= 400:
            raise _refusal(answer, f"logs of {_named(POD, place, pod)}")
        return answer.body.decode(errors="replace")

    async def version(self) -> str:
        """What the API server says it is, such as ``v1.33.1``."""
        return str(_object(await self._ask("GET", "/version"), "version").get("gitVersion", ""))

    def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        index: Callable[[Object], str] | None = None,
    ) -> Watched:
        """A cache of these objects that follows the server once it is started.

        Args:
            kind: Which.
            namespace: None: of all namespaces.
            labels: A label selector.
            index: What objects are grouped by, for ``Watched.group``.
        """

        async def listing() -> tuple[Objects, str]:
            return await self._list(kind, namespace, labels)

        def events(version: str) -> AsyncGenerator[bytes, None]:
            query = {
                "watch": "true",
                "resourceVersion": version,
                "allowWatchBookmarks": "true",
                "timeoutSeconds": str(WATCH_S),
            }
            if labels:
                query["labelSelector"] = labels
            return self._transport.lines(kind.path(namespace), query=query)

        return Watched(name=kind.resource, listing=listing, events=events, index=index)

    async def close(self) -> None:
        """Let go of connections and threads; watches are stopped by their owners."""
        await self._transport.close()

    async def _list(self, kind: Kind, namespace: str | None, labels: str) -> tuple[Objects, str]:
        found: Objects = []
        query = {"limit": str(PAGE)}
        if labels:
            query["labelSelector"] = labels
        what = f"list {kind.resource} in {namespace or 'all namespaces'}"
        while True:
            answer = await self._ask("GET", kind.path(namespace), query)
            page = _object(answer, what)
            # The server leaves these two out of the items of a list.
            said = {"apiVersion": kind.api_version, "kind": kind.kind}
            found += [{**said, **item} for item in page.get("items") or ()]
            metadata = page.get("metadata", {})
            if not metadata.get("continue"):
                return found, str(metadata.get("resourceVersion", ""))
            query["continue"] = metadata["continue"]

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        await self._bucket.take()
        self.calls += 1
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        return await self._transport.request(
            method, path, query=query or {}, body=content, content_type=content_type
        )

    def _place(self, obj: Mapping[str, Any]) -> tuple[Kind, str, str | None]:
        kind, metadata = kind_of(obj), obj["metadata"]
        namespace = metadata.get("namespace") or self.namespace if kind.namespaced else None
        return kind, metadata.get("name", ""), namespace


def _named(kind: Kind, namespace: str | None, name: str) -> str:
    return f"{kind.resource} {f'{namespace}/{name}' if kind.namespaced else name}"


def _refusal(answer: Answer, what: str) -> Exception:
    return error_of(answer.status, answer.body, what=what, retry_after_s=answer.retry_after_s)


def _object(answer: Answer, what: str) -> Object:
    if answer.status >= 400:
        raise _refusal(answer, what)
    try:
        value = json.loads(answer.body)
    except ValueError as error:
        raise TransientError(f"{what}: the answer is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise TransientError(f"{what}: the answer is no object")
    return value
