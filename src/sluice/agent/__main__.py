"""``python -m sluice.agent``: run the agent of one router."""

import argparse
import asyncio
import logging
import sys

import structlog
from pydantic import ValidationError

from sluice.agent.launch import write_files
from sluice.agent.service import serve
from sluice.agent.settings import Settings
from sluice.agent.stderr import log_stream
from sluice.errors import SluiceError

EXIT_USAGE = 64
EXIT_FAILED = 69


def read_settings(arguments: list[str]) -> Settings:
    """Settings from arguments over environment.

    Raises:
        ValidationError: a setting is missing or wrong.
    """
    parser = argparse.ArgumentParser(
        prog="python -m sluice.agent",
        description="The agent of one router: routing in, counters out.",
        epilog="Every setting can also be an environment variable SLUICE_ROUTER_NAME; the token"
        " only that.",
    )
    for name, info in Settings.model_fields.items():
        if name != "token":
            flag = "--" + name.replace("_", "-")
            parser.add_argument(flag, dest=name, help=info.description)
    given = vars(parser.parse_args(arguments))
    return Settings(**{name: value for name, value in given.items() if value is not None})


def configure_logging(level: str) -> None:
    """One line per event: JSON, or for people on a terminal."""
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
        ),
        logger_factory=structlog.WriteLoggerFactory(log_stream()),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop; returns the exit code."""
    try:
        settings = read_settings(sys.argv[1:] if arguments is None else arguments)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            name = ".".join(map(str, item["loc"])).upper() or "SETTINGS"
            print(f"SLUICE_ROUTER_{name}: {item['msg']}", file=sys.stderr)  # noqa: T201
        return EXIT_USAGE
    configure_logging(settings.log_level)
    try:
        write_files(settings)
        asyncio.run(serve(settings))
    except SluiceError as error:
        print(f"sluice agent: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
