"""A model server of a few lines for platform tests; run as a script, configured by variables.

``PORT``; ``VERSION`` goes into ``x-sluice-version``; ``UNREADY`` and ``DEAD`` name files that make
``/ready`` and ``/live`` answer 503 while they exist; ``WORK_S`` is how long an answer takes;
``STUBBORN`` ignores SIGTERM. SIGTERM finishes what has begun and leaves.
"""

import asyncio
import os
import signal

ANSWER = (
    "HTTP/1.1 {status}\r\nx-sluice-version: {version}\r\nx-pid: {pid}\r\n"
    "content-length: 2\r\nconnection: {connection}\r\n\r\nok"
)


class Server:
    def __init__(self) -> None:
        self.leaving = asyncio.Event()
        self.idle: set[asyncio.StreamWriter] = set()
        self.busy = 0
        self.quiet = asyncio.Event()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.idle.add(writer)
                head = await reader.readuntil(b"\r\n\r\n")
                self.idle.discard(writer)
                self.busy += 1
                try:
                    await self.answer(head.split(b" ", 2)[1].decode(), writer)
                finally:
                    self.busy -= 1
                if self.leaving.is_set():
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.idle.discard(writer)
            writer.close()
            if self.leaving.is_set() and not self.busy:
                self.quiet.set()

    async def answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        status = "200 OK"
        for name, variable in (("/ready", "UNREADY"), ("/live", "DEAD")):
            file = os.environ.get(variable)
            if path == name and file and os.path.exists(file):
                status = "503 No"
        if path == "/predict":
            await asyncio.sleep(float(os.environ.get("WORK_S", "0")))
        text = ANSWER.format(
            status=status,
            version=os.environ.get("VERSION", "v1"),
            pid=os.getpid(),
            connection="close" if self.leaving.is_set() else "keep-alive",
        )
        writer.write(text.encode())
        await writer.drain()


async def main() -> None:
    server = Server()
    listener = await asyncio.start_server(server.handle, "127.0.0.1", int(os.environ["PORT"]))
    loop = asyncio.get_running_loop()
    if os.environ.get("STUBBORN"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        loop.add_signal_handler(signal.SIGTERM, server.leaving.set)
    os.write(1, f"serving on {os.environ['PORT']}\n".encode())
    await server.leaving.wait()
    listener.close()
    for writer in list(server.idle):
        writer.close()
    if server.busy:
        await server.quiet.wait()


asyncio.run(main())
