"""An API server in memory, beneath the same client that speaks to a real one."""

import asyncio
import datetime
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any
from urllib.parse import unquote

from sluice.errors import TransientError
from sluice.kube.client import KubeClient
from sluice.kube.errors import error_of
from sluice.kube.kinds import KINDS, POD, Kind
from sluice.kube.transport import Answer
from sluice.testing.kube.fields import merge_patch
from sluice.testing.kube.selectors import selector
from sluice.testing.kube.store import FieldConflict, Store, applied, updated

Object = dict[str, Any]

_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]+))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+))?"
)
_KINDS = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_WITH_STATUS = frozenset(
    {"Release", "Deployment", "Pod", "Job", "HorizontalPodAutoscaler", "HTTPRoute"}
)


class Refusal(Exception):  # noqa: N818  # an answer, not a fault of ours
    """An answer that is no object."""

    def __init__(self, code: int, reason: str, message: str, causes: list[Object] = []) -> None:  # noqa: B006  # never written to
        self.code = code
        self.status = {
            "kind": "Status",
            "status": "Failure",
            "code": code,
            "reason": reason,
            "message": message,
            "details": {"causes": causes},
        }


class MemoryApi:
    """``kube.transport.Transport`` to objects in this process.

    It keeps what an API server keeps (versions, owners of fields and of objects, watches) and runs
    no controllers: what a Deployment would bring is the test's business.

    Args:
        now: Time of creation, RFC 3339.
    """

    def __init__(self, now: Callable[[], str] | None = None) -> None:
        self.store = Store(now or _wall)
        self.unreachable = ""
        """Why nobody can reach it; empty when everybody can."""
        self.calls: list[str] = []
        """``METHOD path`` of every request, watches left out."""
        self.logs: dict[tuple[str, str], str] = {}
        """What pods wrote, by namespace and name."""
        self._refusals: list[tuple[str, str, Answer]] = []
        self._watches: set[asyncio.Queue[str]] = set()

    def client(self, *, namespace: str = "default", qps: float = 10_000.0) -> KubeClient:
        """A client of it."""
        return KubeClient(self, namespace=namespace, qps=qps)

    def refuse(self, method: str, kind: Kind, status: int, message: str, *, times: int = 1) -> None:
        """Answer the next requests of this sort so."""
        body = json.dumps({"kind": "Status", "code": status, "message": message}).encode()
        self._refusals += [(method, kind.resource, Answer(status=status, body=body))] * times

    def refuse_logs(self, status: int, message: str, *, times: int = 1) -> None:
        """Answer the next requests for what pods wrote so."""
        body = json.dumps({"kind": "Status", "code": status, "message": message}).encode()
        self._refusals += [("LOGS", POD.resource, Answer(status=status, body=body))] * times

    def break_watches(self) -> None:
        """End every open watch, as a server that restarts does."""
        self._say("end")

    def bookmark(self) -> None:
        """Tell every open watch what the present version is."""
        self._say("bookmark")

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        """See :class:`sluice.kube.transport.Transport`."""
        await asyncio.sleep(0)
        if self.unreachable:
            raise TransientError(f"API server cannot be reached: {self.unreachable}")
        self.calls.append(f"{method} {path}")
        if path == "/version":
            return _answer({"gitVersion": "v1.33.0-memory"})
        try:
            kind, namespace, name, sub = _parse(path)
            asked = "LOGS" if (kind, sub) == (POD, "log") else method
            refused = self._refused(asked, kind)
            if refused is not None:
                return refused
            given = {} if body is None else json.loads(body)
            if asked == "LOGS":
                return self._log(namespace or "", name)
            found = self._act(method, kind, namespace, name, sub, query, given, content_type)
            return _answer(found, status=201 if method == "POST" else 200)
        except Refusal as refusal:
            return _answer(refusal.status, status=refusal.code)

    async def lines(self, path: str, *, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """See :class:`sluice.kube.transport.Transport`."""
        if self.unreachable:
            raise TransientError(f"API server cannot be reached: {self.unreachable}")
        kind, namespace, _, _ = _parse(path)
        refused = self._refused("WATCH", kind)
        if refused is not None:
            raise error_of(refused.status, refused.body, what="watch")
        chosen = selector(query.get("labelSelector", ""))
        at = int(query["resourceVersion"])
        news: asyncio.Queue[str] = asyncio.Queue()

        def told() -> None:
            news.put_nowait("change")

        self._watches.add(news)
        self.store.told.append(told)
        try:
            yield b""
            while True:
                if at < self.store.oldest:
                    gone = Refusal(410, "Expired", f"too old resource version: {at}")
                    yield _line("ERROR", gone.status)
                    return
                for change in list(self.store.history):
                    if change.version > at and change.resource == kind.resource:
                        line = _seen(change.before, change.after, namespace, chosen, change.version)
                        if line is not None:
                            yield line
                at = max(at, self.store.version)
                word = await news.get()
                if word == "end":
                    return
                if self.unreachable:
                    raise TransientError("the watch broke off", retry_after_s=0.0)
                if word == "bookmark":
                    yield _line(
                        "BOOKMARK", {"metadata": {"resourceVersion": str(self.store.version)}}
                    )
        finally:
            self._watches.discard(news)
            self.store.told.remove(told)

    async def close(self) -> None:
        """See :class:`sluice.kube.transport.Transport`."""
        self.break_watches()

    def _say(self, word: str) -> None:
        for news in tuple(self._watches):
            news.put_nowait(word)

    def _refused(self, method: str, kind: Kind) -> Answer | None:
        for item in self._refusals:
            if item[:2] == (method, kind.resource):
                self._refusals.remove(item)
                return item[2]
        return None

    def _log(self, namespace: str, name: str) -> Answer:
        if self.store.find(POD, namespace, name) is None:
            raise _missing(POD, name)
        return Answer(status=200, body=self.logs.get((namespace, name), "").encode())

    def _act(
        self,
        method: str,
        kind: Kind,
        namespace: str | None,
        name: str,
        sub: str,
        query: Mapping[str, str],
        given: Object,
        content_type: str,
    ) -> Object:
        if method == "GET" and not name:
            return self._listed(kind, namespace, query.get("labelSelector", ""))
        place = namespace or ""
        before = self.store.find(kind, place, name) if name else None
        if method == "GET":
            if before is None:
                raise _missing(kind, name)
            return before.obj
        if method == "DELETE":
            now = query.get("gracePeriodSeconds") == "0"
            gone = self.store.delete(kind, place, name, now=now)
            if gone is None:
                raise _missing(kind, name)
            return gone
        manager = query.get("fieldManager", "somebody")
        if method == "PATCH" and content_type == "application/apply-patch+yaml":
            given = _without_status(kind, given)
            try:
                obj, owners = applied(before, given, manager, force=query.get("force") == "true")
            except FieldConflict as error:
                raise Refusal(409, "Conflict", f"Apply failed with 1 conflict: {error}") from error
            _check(kind, obj, name)
            return self.store.put(kind, obj, owners, dry_run=query.get("dryRun") == "All")
        if method == "POST":
            name = given["metadata"]["name"]
            if self.store.find(kind, place, name) is not None:
                raise Refusal(409, "AlreadyExists", f'{kind.resource} "{name}" already exists')
            _check(kind, given, name)
            obj = _without_status(kind, given)
        elif before is None:
            raise _missing(kind, name)
        else:
            obj = merge_patch(before.obj, given) if method == "PATCH" else dict(given)
            asked = given.get("metadata", {}).get("resourceVersion")
            if asked not in (None, before.obj["metadata"]["resourceVersion"]):
                message = "the object has been modified; please apply your changes to the latest"
                raise Refusal(409, "Conflict", f'"{name}": {message} version and try again')
            obj = _parted(kind, before.obj, obj, sub)
            _check(kind, obj, name)
        return self.store.put(kind, obj, updated(before, obj, manager))

    def _listed(self, kind: Kind, namespace: str | None, labels: str) -> Object:
        chosen = selector(labels)
        items = [
            {key: value for key, value in stored.obj.items() if key not in ("apiVersion", "kind")}
            for stored in self.store.all(kind, namespace)
            if chosen(stored.obj["metadata"].get("labels") or {})
        ]
        return {"metadata": {"resourceVersion": str(self.store.version)}, "items": items}


def _parse(path: str) -> tuple[Kind, str | None, str, str]:
    found = _PATH.fullmatch(path)
    kind = found and _KINDS.get((found["group"] or "", found["version"], found["plural"]))
    if not found or not kind:
        raise Refusal(404, "NotFound", "the server could not find the requested resource")
    namespace = unquote(found["namespace"]) if found["namespace"] else None
    return kind, namespace, unquote(found["name"] or ""), found["sub"] or ""


def _check(kind: Kind, obj: Object, name: str) -> None:
    causes: list[Object] = []
    if not _NAME.fullmatch(name):
        causes.append({"field": "metadata.name", "message": f'Invalid value: "{name}": a name'})
    if kind.kind == "Deployment" and not obj.get("spec", {}).get("selector"):
        causes.append({"field": "spec.selector", "message": "Required value"})
    if causes:
        said = ", ".join(f"{cause['field']}: {cause['message']}" for cause in causes)
        message = f'{kind.kind} "{name}" is invalid: {said}'
        raise Refusal(422, "Invalid", message, causes)


def _parted(kind: Kind, before: Object, after: Object, sub: str) -> Object:
    """Only status through ``/status``, everything else beside it."""
    if kind.kind not in _WITH_STATUS:
        return after
    if sub == "status":
        kept = {**before, "status": after.get("status", {})}
    else:
        kept = {key: value for key, value in after.items() if key != "status"}
        if "status" in before:
            kept["status"] = before["status"]
    return kept


def _without_status(kind: Kind, obj: Object) -> Object:
    hidden = ("status",) if kind.kind in _WITH_STATUS else ()
    return {key: value for key, value in obj.items() if key not in hidden}


def _missing(kind: Kind, name: str) -> Refusal:
    return Refusal(404, "NotFound", f'{kind.resource} "{name}" not found')


def _seen(
    before: Object | None,
    after: Object | None,
    namespace: str | None,
    chosen: Callable[[Mapping[str, str]], bool],
    version: int,
) -> bytes | None:
    """A change as one watch sees it: an object that is no longer chosen is deleted for it."""

    def fits(obj: Object | None) -> bool:
        if obj is None:
            return False
        metadata = obj["metadata"]
        here = namespace in (None, metadata.get("namespace", ""))
        return here and chosen(metadata.get("labels") or {})

    if fits(after) and after is not None:
        return _line("MODIFIED" if fits(before) else "ADDED", after)
    if fits(before) and before is not None:
        metadata = {**before["metadata"], "resourceVersion": str(version)}
        return _line("DELETED", {**before, "metadata": metadata})
    return None


def _line(kind: str, obj: Mapping[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode()


def _answer(obj: Mapping[str, Any], status: int = 200) -> Answer:
    return Answer(status=status, body=json.dumps(obj).encode())


def _wall() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
