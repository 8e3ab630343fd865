"""The API server over the network: the official client's connections, read in threads."""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from sluice.errors import StateError, TransientError
from sluice.kube.errors import error_of
from sluice.kube.transport import Answer

THREADS = 8
"""Calls at the same time; each waits on a socket most of its life."""
CONNECT_S = 5.0
READ_S = 30.0
QUIET_S = 100.0
"""A watch without a word for so long is dead: bookmarks come about every minute."""
CHUNK_BYTES = 65_536
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class HttpTransport:
    """``Transport`` over HTTPS with the credentials of a pod or a kubeconfig."""

    def __init__(self, configuration: client.Configuration, namespace: str) -> None:
        self.namespace = namespace
        self._configuration = configuration
        self._api = client.ApiClient(configuration)
        self._pool: urllib3.PoolManager = self._api.rest_client.pool_manager
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="kube")
        self._streams: set[urllib3.BaseHTTPResponse] = set()

    @classmethod
    def open(cls, *, context: str | None, kubeconfig: Path | None) -> Self:
        """Find an API server; does not ask it anything yet.

        Raises:
            StateError: no usable account or kubeconfig; says which was looked for.
        """
        configuration = client.Configuration()
        configuration.keep_alive = True
        configuration.connection_pool_maxsize = THREADS + 16  # watches keep theirs
        inside = context is None and kubeconfig is None and (ACCOUNT / "token").exists()
        try:
            if inside:
                config.load_incluster_config(client_configuration=configuration)
                namespace = (ACCOUNT / "namespace").read_text().strip()
            else:
                namespace = _from_kubeconfig(configuration, context, kubeconfig)
        except (ConfigException, OSError, ValueError, TypeError) as error:
            where = f"the account of this pod ({ACCOUNT})" if inside else _place(kubeconfig)
            raise StateError(f"{where} leads to no cluster: {error}") from error
        return cls(configuration, namespace)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        """See :class:`sluice.kube.transport.Transport`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, self._request, method, self._url(path, query), body, content_type
        )

    async def lines(self, path: str, *, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """See :class:`sluice.kube.transport.Transport`."""
        stream = _Stream(asyncio.get_running_loop())
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(
            self._threads, self._open_stream, self._url(path, query)
        )
        self._streams.add(response)
        thread = threading.Thread(
            target=stream.read, args=(response,), daemon=True, name=f"watch {path}"
        )
        thread.start()
        try:
            yield b""
            while (line := await stream.next()) is not None:
                yield line
        finally:
            self._streams.discard(response)
            _shut(response)

    async def close(self) -> None:
        """See :class:`sluice.kube.transport.Transport`."""
        for response in tuple(self._streams):
            _shut(response)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._api.close()

    def _url(self, path: str, query: Mapping[str, str]) -> str:
        asked = f"?{urlencode(query)}" if query else ""
        return f"{self._configuration.host}{path}{asked}"

    def _headers(self, content_type: str) -> dict[str, str]:
        headers = {"Accept": "application/json, */*", "User-Agent": "sluice"}
        headers["Content-Type"] = content_type
        try:  # asks for a fresh token where the account's is about to end
            for setting in self._configuration.auth_settings().values():
                if setting["value"]:
                    headers[setting["key"]] = setting["value"]
        except (ConfigException, OSError) as error:
            raise TransientError(f"the account's token cannot be read: {error}") from error
        return headers

    def _request(self, method: str, url: str, body: bytes | None, content_type: str) -> Answer:
        try:
            answer = self._pool.request(
                method,
                url,
                body=body,
                headers=self._headers(content_type),
                timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
                retries=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        return Answer(
            status=answer.status,
            body=answer.data,
            retry_after_s=_seconds(answer.headers.get("Retry-After")),
        )

    def _open_stream(self, url: str) -> urllib3.BaseHTTPResponse:
        try:
            response = self._pool.request(
                "GET",
                url,
                headers=self._headers("application/json"),
                timeout=urllib3.Timeout(connect=CONNECT_S, read=QUIET_S),
                retries=False,
                preload_content=False,
            )
            if response.status < 400:
                return response
            body, after_s = response.data, _seconds(response.headers.get("Retry-After"))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        raise error_of(response.status, body, what="watch", retry_after_s=after_s)

    def _unreachable(self, error: Exception) -> TransientError:
        reason = str(error) or type(error).__name__
        host = self._configuration.host
        return TransientError(f"API server {host} cannot be reached: {reason}", retry_after_s=2.0)


class _Stream:
    """Lines that a thread reads and a task takes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def read(self, response: urllib3.BaseHTTPResponse) -> None:
        """In the thread: until the server ends it, or somebody shuts the connection."""
        rest = b""
        end: Exception | None = None
        try:
            for chunk in response.stream(CHUNK_BYTES, decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._put(line)
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
            # ValueError and AttributeError: the connection was shut while it was read
            end = TransientError(f"the watch broke off: {error}", retry_after_s=0.0)
        finally:
            response.close()
        self._put(end)

    def _put(self, item: bytes | Exception | None) -> None:
        if not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(self._queue.put_nowait, item)
            except RuntimeError:  # it was closed in between
                return

    async def next(self) -> bytes | None:
        """The next line; None at the end."""
        item = await self._queue.get()
        if isinstance(item, Exception):
            raise item
        return item


def _shut(response: urllib3.BaseHTTPResponse) -> None:
    """End the reading of a thread that waits for the server's next word."""
    try:
        if isinstance(response, urllib3.HTTPResponse):
            response.shutdown()
    except (ValueError, OSError, RuntimeError):  # closed already, at either end
        return


def _from_kubeconfig(
    configuration: client.Configuration, context: str | None, kubeconfig: Path | None
) -> str:
    file = str(kubeconfig) if kubeconfig else None
    config.load_kube_config(
        config_file=file,
        context=context,
        client_configuration=configuration,
        persist_config=False,
    )
    contexts, active = config.list_kube_config_contexts(config_file=file)
    chosen = next((item for item in contexts if item["name"] == context), active)
    return str(chosen["context"].get("namespace") or "default")


def _place(kubeconfig: Path | None) -> str:
    named = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    return f"kubeconfig {named}"


def _seconds(value: str | None) -> float | None:
    try:
        return None if value is None else max(0.0, float(value))
    except ValueError:  # a date: not what API servers send
        return None
