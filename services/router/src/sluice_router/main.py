"""The router's image: one entry point for each of its two containers, and its files."""

import argparse
import sys
from pathlib import Path

import orjson
from pydantic import ValidationError

from sluice.agent.__main__ import EXIT_FAILED, EXIT_USAGE
from sluice.agent.__main__ import main as run_agent
from sluice.agent.launch import exec_envoy
from sluice.agent.settings import Settings
from sluice.dataplanes.bootstrap import bootstrap
from sluice.dataplanes.envoyfiles import replace_file
from sluice.errors import SluiceError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sluice-router", description="Envoy, and the agent beside it; see SLUICE_ROUTER_*."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("agent", help="run the agent")
    commands.add_parser("envoy", help="write Envoy's files where they are missing, and become it")
    write = commands.add_parser("bootstrap", help="print Envoy's bootstrap, or write it")
    write.add_argument("--out", type=Path, help="file to write; standard output by default")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = _parser().parse_args(arguments)
    if given.command == "agent":
        return run_agent([])
    try:
        settings = Settings()
    except ValidationError as error:
        sys.stderr.write(f"sluice-router: {error}\n")
        return EXIT_USAGE
    try:
        if given.command == "envoy":
            exec_envoy(settings)
        document = orjson.dumps(
            bootstrap(settings.layout, settings.listen), option=orjson.OPT_INDENT_2
        )
        if given.out is None:
            sys.stdout.write(document.decode() + "\n")
        else:
            replace_file(given.out, document)
    except SluiceError as error:
        sys.stderr.write(f"sluice-router: {error}\n")
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
