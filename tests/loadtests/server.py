"""A server whose true answer times are known: every answer takes SERVICE_MS, and while it stalls
(from 8 s to 10 s of every ten, counted from the first request) answers wait for the end of it.

Run as a process: ``python -m tests.loadtests.server [--stall] [--status 500] [--share 0.1]``.
Prints its port.
"""

import argparse
import asyncio
import random
import sys
import time

SERVICE_S = 0.005
PERIOD_S, FREE_S = 10.0, 8.0


class Server:
    def __init__(self, asked: argparse.Namespace) -> None:
        self._asked = asked
        self._begun: float | None = None
        self._random = random.Random(3)
        self._number = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                probe = b"x-sluice-probe" in head.lower()
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length")
                    ),
                    0,
                )
                await reader.readexactly(length)
                writer.write(await self._answer(head, probe=probe))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, *, probe: bool) -> bytes:
        now = time.monotonic()
        if not probe:
            self._begun = self._begun or now
            self._number += 1
        wait = SERVICE_S
        if self._asked.stall and self._begun is not None and not probe:
            wait += stalled_s(now - self._begun)
        await asyncio.sleep(wait)
        status = self._asked.status if self._random.random() < self._asked.share else 200
        if self._asked.path and f" {self._asked.path} ".encode() not in head:
            status = 404
        version = f"v{1 + self._number % 2}"
        body = b"ok"
        return (
            f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n"
            f"x-sluice-version: {version}\r\n\r\n"
        ).encode() + body


def stalled_s(at: float) -> float:
    """How long an arrival waits for the end of a stall, seconds."""
    phase = at % PERIOD_S
    return PERIOD_S - phase if phase >= FREE_S else 0.0


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stall", action="store_true")
    parser.add_argument("--status", type=int, default=500)
    parser.add_argument("--share", type=float, default=0.0)
    parser.add_argument("--path", default="")
    server = Server(parser.parse_args())
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=2048)
    sys.stdout.write(f"{listening.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with listening:
        await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
