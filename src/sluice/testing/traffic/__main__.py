"""Load as a process of its own, so that it shares no event loop with what it measures.

Writes a line of JSON every half second (``Report.summary``, and ``"final": true`` at the end) and
the whole report to ``--json``. SIGINT or SIGTERM end it early, with the same report. Exit status
0, or 64 for arguments that make no sense.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from sluice.testing.traffic.load import Traffic

_PROGRESS_S = 0.5
_USAGE = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load that the arguments describe; its exit status."""
    asked = _parser().parse_args(arguments)
    try:
        asyncio.run(_run(_traffic(asked), asked.json))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"traffic: {error}\n")
        return _USAGE
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_USAGE, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m sluice.testing.traffic", description=__doc__)
    add = parser.add_argument
    add("--url", required=True, help="http://host:port/path")
    add("--rate", type=float, required=True, help="requests per second, on average")
    add("--duration", type=float, default=60.0, help="seconds (default 60)")
    add("--count", type=int, help="no more requests than this")
    add("--constant", action="store_true", help="evenly spaced instead of Poisson arrivals")
    add("--method", default="POST")
    add("--host", help="Host header; default: that of the URL")
    add("--header", action="append", default=[], metavar="NAME:VALUE", help="on every request")
    add("--body-file", type=Path, help="one body a line, used in turn")
    add("--user-header", help="header that names a random user, for instance x-user-id")
    add("--users", type=int, default=1000, help="how many users there are (default 1000)")
    add("--timeout", type=float, default=5.0, help="seconds after which a user gives up")
    add("--seed", type=int, default=0)
    add("--json", type=Path, help="file for the whole report")
    return parser


def _traffic(asked: argparse.Namespace) -> Traffic:
    return Traffic(
        asked.url,
        rate=asked.rate,
        duration_s=asked.duration,
        count=asked.count,
        poisson=not asked.constant,
        method=asked.method,
        host=asked.host,
        headers=_headers(asked),
        body=_bodies(asked.body_file),
        timeout_s=asked.timeout,
        seed=asked.seed,
    )


def _headers(asked: argparse.Namespace) -> Callable[[int], Mapping[str, str]]:
    fixed = {}
    for item in asked.header:
        name, separator, value = item.partition(":")
        if not separator or not name.strip():
            raise ValueError(f"--header {item!r}: must be NAME:VALUE")
        fixed[name.strip()] = value.strip()
    if not asked.user_header:
        return lambda _: fixed
    draw = random.Random(asked.seed + 1)
    return lambda _: {**fixed, asked.user_header: f"user-{draw.randrange(asked.users)}"}


def _bodies(path: Path | None) -> Callable[[int], bytes]:
    lines = [line for line in path.read_bytes().splitlines() if line] if path else [b""]
    if not lines:
        raise ValueError(f"--body-file {path}: has no line")
    endless = itertools.cycle(lines)
    return lambda _: next(endless)


async def _run(traffic: Traffic, path: Path | None) -> None:
    loop = asyncio.get_running_loop()
    async with traffic:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, traffic.stop)
        _say(traffic.report.summary())  # from here on a signal ends it with a report
        work = asyncio.create_task(traffic.finished())
        while not work.done():
            await asyncio.wait([work], timeout=_PROGRESS_S)
            if not work.done():
                _say(traffic.report.summary())
    _say({**traffic.report.summary(), "final": True})
    if path is not None:
        path.write_text(json.dumps(traffic.report.to_json()) + "\n", encoding="utf-8")


def _say(line: Mapping[str, Any]) -> None:
    try:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the progress has gone; the load and its report go on.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # until the end


if __name__ == "__main__":
    sys.exit(main())
