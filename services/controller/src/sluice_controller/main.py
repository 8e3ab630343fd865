"""``sluice-controller``: settings, logs, and the controller until it is told to stop."""

import asyncio
import logging
import sys

import structlog
from pydantic import ValidationError

from sluice.cluster.controller import Controller
from sluice.cluster.settings import Settings
from sluice.cluster.wiring import Clients, parts_of
from sluice.errors import SluiceError
from sluice.platforms.clock import SystemClock
from sluice_controller.watching import Watching, quiet_logs

TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)
"""Without the values of variables: tokens are among them."""
EXIT_FAILED = 1
EXIT_USAGE = 64


def main() -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.stderr.write(f"sluice-controller: {error}\n")
        return EXIT_USAGE
    configure_logs(settings.log_level)
    try:
        asyncio.run(run(settings))
    except SluiceError as error:
        sys.stderr.write(f"sluice-controller: {error}\n")
        return EXIT_FAILED
    return 0


async def run(settings: Settings) -> None:
    """The controller's whole life.

    Raises:
        StateError: there is no API server to talk to.
    """
    clock = SystemClock()
    async with Clients.connect(settings) as clients:
        controller = Controller(
            settings,
            clock,
            lease=clients.lease,
            parts=lambda epoch: parts_of(settings, clients, clock, epoch),
            watch=Watching(settings.namespaces).follow,
        )
        await controller.serve()


def configure_logs(level: str) -> None:
    """JSON lines, one each event, and those of libraries in the same form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    least = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, TRACEBACKS, rendering],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                TRACEBACKS,
                rendering,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    quiet_logs()


if __name__ == "__main__":
    sys.exit(main())
