"""A supervisor in memory on a real unix socket: the API that the commands talk to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sluice.reports import document
from sluice.reports.model import Decision, ReleaseStatus
from sluice.reports.traffic import Poll


class _Server(uvicorn.Server):
    """Says when it serves, so that no test has to guess."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serves = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.serves.set()


@dataclass
class FakeSupervisor:
    """What it answers, and what it was asked."""

    folder: Path
    releases: dict[str, ReleaseStatus] = field(default_factory=dict)
    later: list[ReleaseStatus] = field(default_factory=list)
    """Statuses that come one after the other with each question after an apply."""
    applied: dict[str, Any] = field(default_factory=dict)
    """Answer of apply."""
    refuse: tuple[int, dict[str, Any]] | None = None
    """Status and problem that every change is answered with."""
    decisions: tuple[Decision, ...] = ()
    kept: tuple[Poll, ...] = ()
    entries: list[dict[str, Any]] = field(default_factory=list)
    """What the journal kept of how a pass was judged."""
    lines: list[tuple[str, str]] = field(default_factory=list)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    port: int = 8080
    garbage: bool = False
    pid: int = 0
    version: str = "0.1.0"
    over: threading.Event | None = None
    """Set when it is told to go down."""

    def app(self) -> Starlette:
        async def health(_: Request) -> Response:
            url = f"http://127.0.0.1:{self.port}"
            about = {"pid": self.pid, "version": self.version, "started_ms": 0}
            return _json({**about, "router": {"url": url}})

        async def every(_: Request) -> Response:
            return _json(list(self.releases.values()))

        async def one(request: Request) -> Response:
            name = request.path_params["name"]
            if self.garbage:
                return Response(b'{"name": 3}')
            if name not in self.releases:
                known = ", ".join(self.releases) or "none"
                return _problem(404, f"no release {name}; there is {known}")
            if self.later and any(path == "/v1/apply" for _, path, _ in self.asked):
                self.releases[name] = self.later.pop(0)
            return _json(self.releases[name])

        async def history(_: Request) -> Response:
            return _json(list(self.decisions))

        async def polls(_: Request) -> Response:
            return _json([{"entry": "poll", **document.dump(poll)} for poll in self.kept])

        async def kept(request: Request) -> Response:
            self.asked.append(("GET", request.url.path, dict(request.query_params)))
            return _json(list(self.entries))

        async def logs(request: Request) -> Response:
            self.asked.append(("GET", request.url.path, dict(request.query_params)))
            lines = [{"replica": replica, "line": line} for replica, line in self.lines]
            return _json({"lines": lines, "cursor": "7"})

        async def apply(request: Request) -> Response:
            return await self._change(request, self.applied)

        async def verb(request: Request) -> Response:
            name, done = request.path_params["name"], request.path_params["verb"]
            if name not in self.releases:
                return _problem(404, f"no release {name}")
            answer = {"message": f"{done} done", "status": self.releases[name]}
            return await self._change(request, answer)

        async def down(request: Request) -> Response:
            if self.over is not None:
                self.over.set()
            return await self._change(request, {}, status=202)

        return Starlette(
            routes=[
                Route("/v1/healthz", health),
                Route("/v1/releases", every),
                Route("/v1/releases/{name}", one),
                Route("/v1/releases/{name}/history", history),
                Route("/v1/releases/{name}/polls", polls),
                Route("/v1/releases/{name}/kept", kept),
                Route("/v1/releases/{name}/logs", logs),
                Route("/v1/apply", apply, methods=["POST"]),
                Route("/v1/releases/{name}/{verb}", verb, methods=["POST"]),
                Route("/v1/down", down, methods=["POST"]),
            ]
        )

    async def _change(self, request: Request, answer: Any, *, status: int = 200) -> Response:
        body = json.loads(await request.body())
        self.asked.append(("POST", request.url.path, body))
        if self.refuse is not None:
            code, problem = self.refuse
            return Response(json.dumps(problem), status_code=code)
        return _json(answer, status=status)

    @property
    def last(self) -> tuple[str, str, Any]:
        return self.asked[-1]


def _json(value: object, *, status: int = 200) -> Response:
    return Response(document.dump_json(value), status_code=status)


def _problem(status: int, detail: str, **more: Any) -> Response:
    body = {"type": "about:blank", "title": "problem", "status": status, "detail": detail, **more}
    return Response(json.dumps(body), status_code=status)


class Stage:
    """One server for many supervisors: starting one takes longer than most tests."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "supervisor.sock"
        self._app: Starlette | None = None
        config = uvicorn.Config(
            self, uds=str(self.socket), log_level="error", lifespan="off", loop="asyncio"
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        assert self._server.serves.wait(10)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert self._app is not None
        await self._app(scope, receive, send)

    def show(self, supervisor: FakeSupervisor) -> None:
        """Serve this one from now on, in its folder."""
        supervisor.folder.mkdir(parents=True, exist_ok=True)
        self._app = supervisor.app()
        link = supervisor.folder / "supervisor.sock"
        if link != self.socket:
            link.symlink_to(self.socket)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self.socket.unlink(missing_ok=True)


@contextmanager
def serving(supervisor: FakeSupervisor) -> Iterator[FakeSupervisor]:
    """Serve it on the folder's own socket while the block lasts."""
    supervisor.folder.mkdir(parents=True, exist_ok=True)
    stage = Stage(supervisor.folder)
    try:
        stage.show(supervisor)
        yield supervisor
    finally:
        stage.close()


def named(status: ReleaseStatus, name: str) -> ReleaseStatus:
    return replace(status, name=name)
