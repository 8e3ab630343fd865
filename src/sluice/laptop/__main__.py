"""``python -m sluice.laptop``: run the supervisor in the foreground; ``sluice up`` starts it."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import structlog

from sluice.agent.stderr import log_stream
from sluice.errors import SluiceError
from sluice.laptop.supervisor import run

EXIT_FAILED = 69


def main() -> int:
    """Run until told to stop; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sluice.laptop", description="The supervisor of one state folder."
    )
    parser.add_argument("--dir", type=Path, default=Path(".sluice"), help="the state folder")
    parser.add_argument("--port", type=int, default=None, help="where users connect")
    asked = parser.parse_args()
    # Commands that are installed beside sluice are found without an activated environment.
    beside = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join((beside, os.environ.get("PATH", os.defpath)))
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(log_stream()),
    )
    try:
        asyncio.run(run(asked.dir, port=asked.port))
    except SluiceError as error:
        print(f"sluice: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
