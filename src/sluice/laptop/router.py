"""The router of a laptop: Envoy and its agent, two daemons that outlive the supervisor."""

import asyncio
import hashlib
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path

import httpx
from pydantic import SecretStr, ValidationError

from sluice.agent.launch import check_port_free, envoy_argv, write_files
from sluice.agent.settings import Settings
from sluice.dataplanes.agents import AgentAddress, AgentDataPlane
from sluice.errors import StateError, TransientError
from sluice.metrics.routers import CounterAddress, RouterCounters
from sluice.platforms.local.daemon import Daemon, is_running, stop_daemons
from sluice.platforms.local.folder import StateFolder, private_folder, replace_file, state_errors

DEFAULT_PORT = 8_080
READY_TIMEOUT_S = 30.0
LONGEST_FOLDER = 60
"""Bytes: a unix socket's path has at most 107, and ours lie two folders deep."""
DRAIN_CAP_S = 10.0


class LaptopRouter:
    """One Envoy with its agent, the data plane and the counters behind them."""

    def __init__(self, folder: StateFolder, settings: Settings) -> None:
        """Use :meth:`start`."""
        self.settings = settings
        assert settings.uds is not None  # noqa: S101  # set by start
        address = AgentAddress(name=settings.name, url="http://agent", uds=settings.uds)
        self.dataplane = AgentDataPlane(lambda: (address,), token=settings.token)
        counters = CounterAddress(name=address.name, url=address.url, uds=address.uds)
        self.metrics = RouterCounters(lambda: (counters,), token=settings.token)
        self._envoy = Daemon(folder, name="envoy", argv=envoy_argv(settings))
        self._agent = Daemon(
            folder,
            name="agent",
            argv=_agent_argv(settings),
            env={"SLUICE_ROUTER_TOKEN": settings.token.get_secret_value()},
        )

    @property
    def url(self) -> str:
        """Where users connect."""
        return f"http://{self.settings.traffic_host}:{self.settings.traffic_port}"

    @property
    def pids(self) -> dict[str, int | None]:
        """Process ids of the two daemons."""
        return {"envoy": self._envoy.pid, "agent": self._agent.pid}

    @classmethod
    async def start(cls, folder: StateFolder, *, port: int | None) -> "LaptopRouter":
        """Adopt the router of an earlier supervisor, or start one; returns when it serves.

        Args:
            folder: The state folder, claimed by this process.
            port: Where users connect; None: as before, at first 8080.

        Raises:
            StateError: the port is taken, or the folder cannot be written.
            TransientError: it did not get ready in time; says what it wrote last.
        """
        home = private_folder(folder.path / "router")
        known = _known_port(home)
        if port is not None and known is not None and port != known:
            await stop_daemons(folder)
        settings = _settings(folder, home, port or known or DEFAULT_PORT)
        if not is_running(folder, "envoy"):
            check_port_free(settings)
        write_files(settings)
        with state_errors("write", home):
            replace_file(home / "port", str(settings.traffic_port), durable=False)
        router = cls(folder, settings)
        await router._envoy.start()
        await router._agent.start()
        await router._wait_ready(folder)
        return router

    async def _wait_ready(self, folder: StateFolder) -> None:
        assert self.settings.uds is not None  # noqa: S101  # set by start
        end = time.monotonic() + READY_TIMEOUT_S
        transport = httpx.AsyncHTTPTransport(uds=str(self.settings.uds))
        async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
            while True:
                try:
                    answer = await client.get("/readyz")
                    if answer.status_code == httpx.codes.OK:
                        return
                    said = answer.text
                except httpx.HTTPError as error:
                    said = str(error)
                if time.monotonic() > end:
                    last = self._envoy.message or self._agent.message or said
                    raise TransientError(
                        f"the router did not get ready in {READY_TIMEOUT_S:g} s: {last}; "
                        f"see {folder.logs}/envoy.log and agent.log"
                    )
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Finish what is under way, then end both."""
        assert self.settings.uds is not None  # noqa: S101  # set by start
        transport = httpx.AsyncHTTPTransport(uds=str(self.settings.uds))
        headers = {"authorization": f"Bearer {self.settings.token.get_secret_value()}"}
        try:
            async with httpx.AsyncClient(
                transport=transport,
                base_url="http://agent",
                headers=headers,
                timeout=DRAIN_CAP_S + 5,
            ) as client:
                await client.post("/v1/drain", params={"wait_s": 0.5, "cap_s": DRAIN_CAP_S})
        except httpx.HTTPError:
            pass  # an agent that is gone cannot drain; Envoy still ends in its own order
        await self._envoy.stop()
        await self._agent.stop()
        await self.close()

    async def leave(self) -> None:
        """Look after it no longer; it runs on."""
        await self._envoy.leave()
        await self._agent.leave()
        await self.close()

    async def close(self) -> None:
        """Close the connections to the agent."""
        await self.dataplane.close()
        await self.metrics.close()


def _settings(folder: StateFolder, home: Path, port: int) -> Settings:
    root = home if len(os.fsencode(home)) <= LONGEST_FOLDER else _short(home)
    try:
        return Settings(
            config_dir=root,
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
        "--uds",
        str(settings.uds),
        "--traffic-port",
        str(settings.traffic_port),
    )
