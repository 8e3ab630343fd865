"""The routers of a laptop: Envoys and their agents, daemons that outlive the supervisor."""

import asyncio
import hashlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
from pydantic import SecretStr, ValidationError

from sluice.agent.launch import check_port_free, envoy_argv, write_files
from sluice.agent.settings import Settings
from sluice.connections import AgentAddress
from sluice.dataplanes.agents import AgentDataPlane
from sluice.errors import StateError, TransientError
from sluice.metrics.pairs import RouterPairs
from sluice.metrics.routers import RouterCounters
from sluice.platforms.local.daemon import Daemon, is_running, stop_daemons
from sluice.platforms.local.folder import StateFolder, private_folder, replace_file, state_errors

DEFAULT_PORT = 8_080
NAMES = ("a", "b")
"""Routers on the one port."""
READY_TIMEOUT_S = 30.0
LONGEST_FOLDER = 60
"""Bytes: a unix socket's path has at most 107, and ours lie two folders deep."""
DRAIN_CAP_S = 10.0


class _Pair:
    """One Envoy and the agent beside it."""

    def __init__(self, folder: StateFolder, settings: Settings) -> None:
        assert settings.uds is not None  # noqa: S101  # set by _settings
        self.settings = settings
        self.uds = settings.uds
        self._folder = folder
        self.envoy = Daemon(folder, name=f"envoy-{settings.name}", argv=envoy_argv(settings))
        self.agent = Daemon(
            folder,
            name=f"agent-{settings.name}",
            argv=_agent_argv(settings),
            env={"SLUICE_ROUTER_TOKEN": settings.token.get_secret_value()},
        )

    async def start(self) -> None:
        """Adopt or start both; returns when they serve."""
        write_files(self.settings)
        await self.envoy.start()
        await self.agent.start()
        end = time.monotonic() + READY_TIMEOUT_S
        async with self._client() as client:
            while True:
                try:
                    answer = await client.get("/readyz")
                    if answer.status_code == httpx.codes.OK:
                        return
                    said = answer.text
                except httpx.HTTPError as error:
                    said = str(error)
                if time.monotonic() > end:
                    last = self.envoy.message or self.agent.message or said
                    raise TransientError(
                        f"the router did not get ready in {READY_TIMEOUT_S:g} s: {last}; "
                        f"see {self._folder.logs}/envoy-*.log and agent-*.log"
                    )
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Finish what is under way, then end both."""
        try:
            async with self._client() as client:
                await client.post("/v1/drain", params={"wait_s": 0.5, "cap_s": DRAIN_CAP_S})
        except httpx.HTTPError:
            pass  # an agent that is gone cannot drain; Envoy still ends in its own order
        await self.envoy.stop()
        await self.agent.stop()

    async def leave(self) -> None:
        """Look after both no longer; they run on."""
        await self.envoy.leave()
        await self.agent.leave()

    def _client(self) -> httpx.AsyncClient:
        token = self.settings.token.get_secret_value()
        return httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(self.uds)),
            base_url="http://agent",
            headers={"authorization": f"Bearer {token}"},
            timeout=DRAIN_CAP_S + 5,
        )


class LaptopRouter:
    """Two Envoys on one port, each with its agent; the data plane and the counters behind them.

    Two, because the kernel sends new connections to the one that is left when the other is killed:
    only what was in flight in the dead one is lost (decision 43).
    """

    def __init__(self, folder: StateFolder, settings: Sequence[Settings]) -> None:
        """Use :meth:`start`."""
        self._pairs = [_Pair(folder, item) for item in settings]
        self._first = settings[0]
        token = self._first.token
        agents = [
            AgentAddress(name=pair.settings.name, url="http://agent", uds=pair.uds)
            for pair in self._pairs
        ]
        self.dataplane = AgentDataPlane(lambda: agents, token=token)
        self.metrics = RouterCounters(lambda: agents, token=token)
        self.answers = RouterPairs(lambda: agents, token=token)

    @property
    def url(self) -> str:
        """Where users connect."""
        return f"http://{self._first.traffic_host}:{self._first.traffic_port}"

    @property
    def pids(self) -> dict[str, int | None]:
        """Process ids of all daemons, by name."""
        return {
            f"{kind}-{pair.settings.name}": daemon.pid
            for pair in self._pairs
            for kind, daemon in (("envoy", pair.envoy), ("agent", pair.agent))
        }

    @classmethod
    async def start(cls, folder: StateFolder, *, port: int | None) -> "LaptopRouter":
        """Adopt the routers of an earlier supervisor, or start them; returns when they serve.

        Args:
            folder: The state folder, claimed by this process.
            port: Where users connect; None: as before, at first 8080.

        Raises:
            StateError: the port is taken, or the folder cannot be written.
            TransientError: one did not get ready in time; says what it wrote last.
        """
        home = private_folder(folder.path / "router")
        known = _known_port(home)
        if port is not None and known is not None and port != known:
            await stop_daemons(folder)
        chosen = port or known or DEFAULT_PORT
        settings = [_settings(folder, home, name, chosen) for name in NAMES]
        if not any(is_running(folder, f"envoy-{name}") for name in NAMES):
            check_port_free(settings[0])
        with state_errors("write", home):
            replace_file(home / "port", str(chosen), durable=False)
        router = cls(folder, settings)
        await asyncio.gather(*(pair.start() for pair in router._pairs))
        return router

    async def stop(self) -> None:
        """Finish what is under way, then end all."""
        await asyncio.gather(*(pair.stop() for pair in self._pairs))
        await self.close()

    async def leave(self) -> None:
        """Look after them no longer; they run on."""
        await asyncio.gather(*(pair.leave() for pair in self._pairs))
        await self.close()

    async def close(self) -> None:
        """Close the connections to the agents."""
        await self.dataplane.close()
        await self.metrics.close()
        await self.answers.close()


def _settings(folder: StateFolder, home: Path, name: str, port: int) -> Settings:
    root = home if len(os.fsencode(home)) <= LONGEST_FOLDER else _short(home)
    root = private_folder(root / name)
    try:
        return Settings(
            config_dir=root,
            name=name,
            token=SecretStr(_token(home)),
            uds=root / "run" / "agent.sock",
            traffic_port=port,
        )
    except ValidationError as error:
        reasons = "; ".join(item["msg"] for item in error.errors(include_url=False))
        raise StateError(f"the router of {folder.path} cannot be set up: {reasons}") from error


def _short(home: Path) -> Path:
    """A folder whose name is short enough for sockets, always the same for this state folder."""
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return private_folder(Path(tempfile.gettempdir()) / f"sluice-{os.getuid()}-{digest}")


def _token(home: Path) -> str:
    path = home / "token"
    with state_errors("read", path):
        if path.exists():
            return path.read_text().strip()
    token = secrets.token_urlsafe(32)
    with state_errors("write", path):
        replace_file(path, token, durable=True)
    return token


def _known_port(home: Path) -> int | None:
    path = home / "port"
    with state_errors("read", path):
        text = path.read_text().strip() if path.exists() else ""
    return int(text) if text.isdecimal() else None


def _agent_argv(settings: Settings) -> tuple[str, ...]:
    """Everything but the token in the arguments: a changed setting then means a new process."""
    return (
        sys.executable,
        "-m",
        "sluice.agent",
        "--config-dir",
        str(settings.config_dir),
        "--name",
        settings.name,
        "--uds",
        str(settings.uds),
        "--traffic-port",
        str(settings.traffic_port),
    )
