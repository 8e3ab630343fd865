"""The router's image: an entry point for each of its two containers, their probes, their end."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sluice_router import again, probes

if TYPE_CHECKING:
    from sluice.agent.settings import Settings

EXIT_FAILED = 69
QUIET_S = 1.0
"""A pod ends when nobody has come for a second."""
EXIT_USAGE = 64


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sluice-router", description="Envoy, and the agent beside it; see SLUICE_ROUTER_*."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("agent", help="run the agent")
    commands.add_parser("envoy", help="write Envoy's files where they are missing, and become it")
    write = commands.add_parser("bootstrap", help="print Envoy's bootstrap, or write it")
    write.add_argument("--out", type=Path, help="file to write; standard output by default")
    commands.add_parser("ready", help="exit 0 when users may come, 1 with the reason when not")
    commands.add_parser("alive", help="exit 0 when Envoy answers, 1 with the reason when not")
    drain = commands.add_parser(
        "drain", help="take no new users, wait for those there are (preStop)"
    )
    drain.add_argument("--wait-s", type=float, help="seconds (SLUICE_ROUTER_DRAIN_WAIT_S)")
    drain.add_argument("--cap-s", type=float, help="seconds (SLUICE_ROUTER_DRAIN_CAP_S)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = _parser().parse_args(arguments)
    if given.command in ("ready", "alive"):
        missing = probes.ready() if given.command == "ready" else probes.alive()
        sys.stderr.write(f"{missing}\n" if missing else "")
        return 1 if missing else 0
    if given.command == "envoy" and (argv := again.remembered()):
        os.execv(argv[0], argv)  # noqa: S606  # no shell wanted: signals must reach Envoy itself
    return _run(given)


def _run(given: argparse.Namespace) -> int:
    # Half a second of imports that a probe must not pay.
    from pydantic import ValidationError

    from sluice.agent.__main__ import main as run_agent
    from sluice.errors import SluiceError

    if given.command == "agent":
        return run_agent([])
    try:
        settings = _settings()
    except ValidationError as error:
        sys.stderr.write(f"sluice-router: {error}\n")
        return EXIT_USAGE
    try:
        return _with(settings, given)
    except SluiceError as error:
        sys.stderr.write(f"sluice-router: {error}\n")
        return EXIT_FAILED


def _settings() -> "Settings":
    from pydantic import SecretStr

    from sluice.agent.settings import Settings

    if os.environ.get("SLUICE_ROUTER_TOKEN"):
        return Settings()
    # Only the agent shows or checks the token: Envoy's container need not have it.
    return Settings(token=SecretStr(""))


def _with(settings: "Settings", given: argparse.Namespace) -> int:
    import orjson

    from sluice.agent.launch import exec_envoy
    from sluice.dataplanes.bootstrap import bootstrap
    from sluice.dataplanes.envoyfiles import replace_file

    if given.command == "envoy":
        layout = settings.layout
        files = (layout.bootstrap, layout.clusters, layout.routes)
        exec_envoy(settings, lambda argv: again.remember(layout.root, argv, files))
    if given.command == "drain":
        wait_s = settings.drain_wait_s if given.wait_s is None else given.wait_s
        cap_s = settings.drain_cap_s if given.cap_s is None else given.cap_s
        return asyncio.run(_drain(settings, wait_s, cap_s))
    document = orjson.dumps(bootstrap(settings.layout, settings.listen), option=orjson.OPT_INDENT_2)
    if given.out is None:
        sys.stdout.write(document.decode() + "\n")
    else:
        replace_file(given.out, document)
    return 0


async def _drain(settings: "Settings", wait_s: float, cap_s: float) -> int:
    from sluice.agent.drain import drain
    from sluice.dataplanes.envoyadmin import EnvoyAdmin

    async with EnvoyAdmin(settings.layout.admin_socket) as admin:
        active = await drain(admin, wait_s=wait_s, cap_s=cap_s, quiet_s=QUIET_S)
    if active:
        sys.stderr.write(f"sluice-router: {active} requests still under way after {cap_s:g} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
