"""A model server that costs next to nothing, for stories with hundreds of requests per second.

``PORT``; ``HOST``, the address to listen on; ``POD``, the name of the replica; ``FAULTS`` names a
JSON file that is read again whenever it changes, or the URL of one that is asked twice a second:
``error_rate`` (share of answers that are 500), ``pod_error_rate`` (the same, of the first replica
only), ``wrong_rate`` (share of answers that say something else), ``latency_ms`` (added to a
``slow_rate`` of all answers, in the first ``cold_s`` only when that is given), ``start_s`` (time
until ``/ready`` says so), ``buys`` (share of users of whom the file ``OUTCOMES`` is told a good
outcome). ``/ready`` has no other fault. ``/last``: when the newest of all other requests came, UNIX
seconds. SIGTERM finishes what has begun and leaves.
"""

import asyncio
import json
import os
import random
import signal
import sys
import threading
import time

ASK_S = 0.5
BEGAN_S = time.monotonic()
RANDOM = random.Random(os.getpid())
OPEN: set["Connection"] = set()
LEAVING = asyncio.Event()
QUIET = asyncio.Event()


class Faults:
    """What goes wrong now, from the file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.seen = -1
        self.first = os.environ.get("POD", "").endswith("-0")
        self.error_rate = 0.0
        self.latency_s = 0.0
        self.slow_rate = 1.0
        self.cold_s = 0.0
        self.start_s = 0.0
        self.wrong_rate = 0.0
        self.buys = 0.1

    def read(self) -> None:
        if "://" in self.path:
            return  # a thread asks: an answer must not wait for it
        try:
            changed = os.stat(self.path).st_mtime_ns
        except OSError:
            return
        if changed != self.seen:
            with open(self.path, encoding="utf-8") as file:
                self.take(json.load(file))
            self.seen = changed

    def ask(self) -> None:
        """Once from the URL; what cannot be had changes nothing."""
        import urllib.request  # costs more than all the rest, and a laptop has files

        try:
            with urllib.request.urlopen(self.path, timeout=2) as answer:  # noqa: S310  # ours
                self.take(json.load(answer))
        except (OSError, ValueError):
            return

    def ask_on(self) -> None:
        while True:
            time.sleep(ASK_S)
            self.ask()

    def take(self, value: dict[str, float]) -> None:
        pod_rate = value.get("pod_error_rate", 0.0) if self.first else 0.0
        self.error_rate = max(value.get("error_rate", 0.0), pod_rate)
        self.latency_s = value.get("latency_ms", 0.0) / 1000
        self.slow_rate = value.get("slow_rate", 1.0)
        self.cold_s = value.get("cold_s", 0.0)
        self.start_s = value.get("start_s", 0.0)
        self.wrong_rate = value.get("wrong_rate", 0.0)
        self.buys = value.get("buys", 0.1)

    def delay_s(self) -> float:
        age_s = time.monotonic() - BEGAN_S
        warm = self.cold_s and age_s >= self.start_s + self.cold_s
        if not self.latency_s or warm or RANDOM.random() >= self.slow_rate:
            return 0.0
        return self.latency_s


FAULTS = Faults(os.environ.get("FAULTS", ""))
OUTCOMES = os.environ.get("OUTCOMES", "")


def tell(user: str) -> None:
    """Write down what became of a user: one short line, which no other replica's breaks."""
    outcome = float(RANDOM.random() < FAULTS.buys)
    known = {"at": int(time.time() * 1000), "revision": os.environ.get("SLUICE_REVISION", "")}
    line = json.dumps({"user": user, "outcome": outcome, **known})
    with open(OUTCOMES, "a", encoding="utf-8") as file:
        file.write(line + "\n")


class Connection(asyncio.Protocol):
    """One request after the other; a body is read by its Content-Length and ignored."""

    last_s = 0.0

    def __init__(self) -> None:
        self.buffer = b""
        self.waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        OPEN.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        OPEN.discard(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.take()

    def take(self) -> None:
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end or self.waiting:
            return
        length, user = 0, ""
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            elif name.lower() == b"x-user-id":
                user = value.decode().strip()
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        path = head.split(b" ", 2)[1]
        if path == b"/last":
            self.answer(b"200 OK", repr(Connection.last_s).encode())
            return
        if path == b"/ready":
            FAULTS.read()
            early = time.monotonic() - BEGAN_S < FAULTS.start_s
            self.answer(b"503 Service Unavailable" if early else b"200 OK")
            return
        Connection.last_s = time.time()
        FAULTS.read()
        if OUTCOMES and user:
            tell(user)
        bad = FAULTS.error_rate and RANDOM.random() < FAULTS.error_rate
        status = b"500 Internal Server Error" if bad else b"200 OK"
        delay_s = FAULTS.delay_s()
        if delay_s:
            self.waiting = True
            asyncio.get_running_loop().call_later(delay_s, self.answer, status)
        else:
            self.answer(status)

    def answer(self, status: bytes, body: bytes = b"") -> None:
        self.waiting = False
        last = LEAVING.is_set()
        connection = b"close" if last else b"keep-alive"
        wrong = FAULTS.wrong_rate and RANDOM.random() < FAULTS.wrong_rate
        body = body or (b'{"minutes": 99.0}' if wrong else b'{"minutes": 12.5}')
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\ncontent-length: "
            + str(len(body)).encode() + b"\r\nconnection: " + connection + b"\r\n\r\n" + body
        )  # fmt: skip
        if last:
            self.transport.close()
            if not any(item.waiting for item in OPEN):
                QUIET.set()
        else:
            self.take()


async def main() -> None:
    loop = asyncio.get_running_loop()
    if "://" in FAULTS.path:
        FAULTS.ask()
        threading.Thread(target=FAULTS.ask_on, daemon=True).start()
    host = os.environ.get("HOST", "127.0.0.1")
    server = await loop.create_server(Connection, host, int(os.environ["PORT"]))
    loop.add_signal_handler(signal.SIGTERM, LEAVING.set)
    sys.stdout.write(f"serving {os.environ.get('VERSION', '')}\n")
    sys.stdout.flush()
    await LEAVING.wait()
    server.close()
    if any(item.waiting for item in OPEN):
        await QUIET.wait()
    for item in list(OPEN):
        item.transport.close()
    await asyncio.sleep(0)


asyncio.run(main())
