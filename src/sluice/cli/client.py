"""The supervisor's HTTP API over its unix socket, with its problems turned into our errors."""

import http.client
import socket
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from sluice.errors import (
    Fault,
    RefusedError,
    SluiceError,
    SpecError,
    StateError,
    TransientError,
    UnknownRelease,
)
from sluice.reports import document
from sluice.reports.model import Decision, ReleaseStatus
from sluice.reports.traffic import Poll

T = TypeVar("T")

SOCKET = "supervisor.sock"
TIMEOUT_S = 30.0
"""An answer takes milliseconds; ``apply`` of many files and a stalled disk may take seconds."""


class Client:
    """Asks the supervisor of one state folder.

    Raises (every method):
        UnknownRelease: nothing runs in this folder, or no release of this name.
        SpecError: the files cannot be used; nothing was applied.
        RefusedError: the verb makes no sense now; nothing changed.
        StateError: the socket belongs to somebody else.
        TransientError: the supervisor did not answer, or could not do it now.
    """

    poll_s = 0.25
    keeper = "the supervisor"
    unkept = ""

    def __init__(self, folder: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self.folder = folder
        self.socket = folder / SOCKET
        self._timeout_s = timeout_s
        self._http = _UnixConnection(str(self.socket), timeout_s)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def health(self) -> Mapping[str, Any]:
        """Process id, version, start and the router's address."""
        answer: Mapping[str, Any] = self._parse(dict[str, Any], self._ask("GET", "/v1/healthz"))
        return answer

    def releases(self) -> tuple[ReleaseStatus, ...]:
        """Every release, in the supervisor's order."""
        return self._parse(tuple[ReleaseStatus, ...], self._ask("GET", "/v1/releases"))

    def release(self, name: str) -> ReleaseStatus:
        """One release."""
        return self._parse(ReleaseStatus, self._ask("GET", _path(name)))

    def some(self, names: Sequence[str]) -> tuple[ReleaseStatus, ...]:
        """These releases, in this order."""
        return tuple(self.release(name) for name in names)

    def history(self, name: str) -> tuple[Decision, ...]:
        """Every decision, oldest first."""
        return self._parse(tuple[Decision, ...], self._ask("GET", _path(name, "history")))

    def polls(self, name: str) -> tuple[Poll, ...]:
        """Every poll that was used and kept, oldest first."""
        return self._parse(tuple[Poll, ...], self._ask("GET", _path(name, "polls")))

    def kept(self, name: str, pass_number: int) -> list[dict[str, Any]]:
        """What the journal kept of how a pass was judged, oldest first, as it was written."""
        answer = self._ask("GET", _path(name, "kept"), params={"pass": pass_number})
        entries: list[dict[str, Any]] = self._parse(list[dict[str, Any]], answer)
        return entries

    def logs(
        self, name: str, *, revision: str | None = None, tail: int = 100, since: str | None = None
    ) -> tuple[list[tuple[str, str]], str | None]:
        """(replica, line) of the newest lines, and the cursor to ask on with ``since``."""
        params: dict[str, str | int] = {"since": since} if since is not None else {"tail": tail}
        if revision is not None:
            params["revision"] = revision
        answer = self._ask("GET", _path(name, "logs"), params=params)
        body = self._parse(dict[str, Any], answer)
        lines = [(str(entry["replica"]), str(entry["line"])) for entry in body["lines"]]
        cursor = body.get("cursor")
        return lines, None if cursor is None else str(cursor)

    def standing(self, files: Sequence[tuple[str, str]]) -> dict[str, ReleaseStatus]:
        """Every release, by name."""
        return {status.name: status for status in self.releases()}

    def apply(
        self, files: Sequence[tuple[str, str]], *, by: str, patience_s: float = TIMEOUT_S
    ) -> Mapping[str, Any]:
        """Apply (name, text) of files: all of them or, when one has a fault, none.

        The answer always has the revisions: ``patience_s`` is not used.
        """
        body = {"files": [{"name": name, "text": text} for name, text in files], "by": by}
        return self._parse(dict[str, Any], self._ask("POST", "/v1/apply", body=body))

    def verb(self, name: str, verb: str, body: Mapping[str, Any]) -> tuple[str, ReleaseStatus]:
        """Do something to a release; returns what happened in one line, and the new status."""
        answer = self._parse(dict[str, Any], self._ask("POST", _path(name, verb), body=body))
        status = document.parse(ReleaseStatus, document.dump_json(answer["status"]))
        return str(answer["message"]), status

    def delete(self, name: str, *, by: str) -> tuple[str, ReleaseStatus]:
        """Stop and forget a release; returns what happened and its last status."""
        return self.verb(name, "delete", {"by": by})

    def down(self, *, drain: bool = True) -> None:
        """Ask the supervisor to stop everything and then itself."""
        self._ask("POST", "/v1/down", body={"drain": drain})

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: object = None,
    ) -> bytes:
        if not self.socket.exists():
            raise UnknownRelease(
                f"nothing is running in {self.folder}: start it with `sluice up`, "
                "or name another folder with --dir"
            )
        target = f"{path}?{urlencode(params)}" if params else path
        data = None if body is None else document.dump_json(body)
        try:
            status, content = self._send(method, target, data)
        except TimeoutError as error:
            raise TransientError(
                f"the supervisor of {self.folder} did not answer within {self._timeout_s:g} s: "
                f"see {self.folder / 'logs' / 'supervisor.log'}"
            ) from error
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise self._dead() from error
        except PermissionError as error:
            raise StateError(f"{self.socket} belongs to another user") from error
        except (OSError, http.client.HTTPException) as error:
            raise TransientError(
                f"the supervisor of {self.folder} broke off ({type(error).__name__}: {error}): "
                "try again"
            ) from error
        if status >= 400:
            raise _problem(status, content)
        return content

    def _dead(self) -> SluiceError:
        if self.socket.exists() and not stat.S_ISSOCK(self.socket.stat().st_mode):
            return StateError(f"{self.socket} is not a socket: is {self.folder} a state folder?")
        return UnknownRelease(
            f"nothing answers in {self.folder} any more: start it again with `sluice up`"
        )

    def _send(self, method: str, target: str, data: bytes | None) -> tuple[int, bytes]:
        headers = {"Host": "sluice", "Content-Type": "application/json"}
        try:
            self._http.request(method, target, body=data, headers=headers)
            answer = self._http.getresponse()
            return answer.status, answer.read()
        except BaseException:
            # a half-read connection must not give its rest to the next question
            self._http.close()
            raise

    def _parse(self, kind: type[T], content: bytes) -> T:
        try:
            return document.parse(kind, content)
        except ValueError as error:
            first = str(error).splitlines()[0]
            raise TransientError(
                f"the supervisor of {self.folder} gave an answer that this version of sluice "
                f"cannot read ({first}): restart it with `sluice down` and `sluice up`"
            ) from error


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket; the standard library's, because it starts in no time."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("sluice", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _path(name: str, *rest: str) -> str:
    return "/".join(("/v1/releases", quote(name, safe=""), *rest))


def _problem(status: int, content: bytes) -> SluiceError:
    try:
        body = document.parse(dict[str, Any], content)
    except ValueError:
        body = {}
    text = content.decode(errors="replace").strip()
    detail = str(body.get("detail") or body.get("title") or text or "no reason given")
    match status:
        case 404:
            return UnknownRelease(detail)
        case 409:
            return RefusedError(detail)
        case 422:
            entries = body.get("faults") or ()
            faults = [_fault(entry) for entry in entries if isinstance(entry, dict)]
            return SpecError(faults or [Fault(path="request", reason=detail)])
        case 507:
            return StateError(detail)
        case code:
            return TransientError(f"the supervisor could not do it ({code}): {detail}")


def _fault(entry: Mapping[str, Any]) -> Fault:
    line = entry.get("line")
    return Fault(
        path=str(entry.get("path", "")),
        reason=str(entry.get("reason", "")),
        file=str(entry.get("file", "")),
        line=line if isinstance(line, int) else 0,
    )
