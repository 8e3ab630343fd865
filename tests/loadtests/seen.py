"""A server in this process that notes what it was asked, and answers fast, slowly or never."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at_s: float


@dataclass
class Seen:
    """What came so far."""

    url: str = ""
    requests: list[Asked] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    """Answers wait for it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


@contextmanager
def seeing(*, held: bool = False) -> Iterator[Seen]:
    """Serve until the context is left; ``held``: nobody is answered before ``release`` is set."""
    seen = Seen()
    if not held:
        seen.release.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # the library gives the name
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            at_s = monotonic()
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if "x-sluice-probe" not in self.headers:
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen.requests.append(Asked(self.path, headers, body, at_s))
                seen.release.wait(60)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield seen
    finally:
        seen.release.set()
        server.shutdown()
        thread.join()
        server.server_close()
