"""The prediction log: bounded, sampled, and never in the way of a request."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from zlib import crc32

import structlog

from sluice_model_api.model import Model
from sluice_model_api.predictions.rows import Scored, table_rows
from sluice_model_api.predictions.stores import Row, Store, StoreError
from sluice_model_api.tensors import Array

_FLUSH_S = 0.2
# The event loop lets go of the interpreter for every row that it scores, and then waits until this
# thread lets go of it: a few rows at a time keep that under half a millisecond. All at once was
# most of the 99th percentile (13 ms instead of 1.5 at 6,000 requests a second). Rows made in the
# loop itself wait for nobody, but cost twice as much CPU there.
_CHUNK = 30
_CHUNKS_LEFT = 20
_PAUSE_S = 0.004
_COMPLAIN_S = 30.0
_FULL_HASH = 2**32


class PredictionLog:
    """Takes predictions from the event loop and writes them from a thread of its own.

    Args:
        store: Where rows go.
        sample: Share of predictions kept, by a hash of the id: every replica and every retry
            decides the same.
        room: Requests that may wait; beyond it they are dropped and counted.
        revision: Revision that every row is marked with.
    """

    def __init__(self, store: Store, *, sample: float, room: int, revision: str = "") -> None:
        self._store = store
        self._keep_below = int(sample * _FULL_HASH)
        self._room = room
        self._revision = revision
        self._waiting: deque[Scored] = deque()
        self._stop = threading.Event()
        self._complained_s = -_COMPLAIN_S
        self._no_room = 0
        self._unwritten = 0
        self.written = 0
        """Predictions in the store."""
        self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Predictions lost: no room, or the store did not take them."""
        return self._no_room + self._unwritten

    def offer(
        self,
        *,
        prediction_id: str,
        rows: int,
        model: Model,
        route: str,
        columns: Mapping[str, Array],
        outputs: Mapping[str, Array],
        request_id: str,
        entity_id: str = "",
        user_id: str = "",
    ) -> None:
        """Take scored rows, or drop and count them; returns at once.

        Args:
            prediction_id: Id of the prediction; of several rows each gets ``:0``, ``:1``, ….
            rows: Rows in ``columns`` and ``outputs``.
            model: What scored them.
            route: ``web``, ``batch`` or ``stream``.
            columns: Inputs by name.
            outputs: Predictions by name.
            request_id: Id of the request, for traces.
            entity_id: What the prediction is about, as the caller calls it.
            user_id: Who asked.
        """
        keep = self._keep_below
        if keep < _FULL_HASH and crc32(prediction_id.encode()) >= keep:
            return
        if len(self._waiting) >= self._room:
            self._no_room += rows
            return
        ts_ms = time.time_ns() // 1_000_000
        self._waiting.append(
            # By place: twelve names would cost as much as the tuple.
            Scored(
                prediction_id, rows, model.name, model.version, route, columns, outputs,
                request_id, entity_id, ts_ms, user_id, self._revision,
            )
        )  # fmt: skip

    def close(self, *, timeout_s: float = 5.0) -> None:
        """Write what waits and close the store."""
        self._stop.set()
        self._thread.join(timeout_s)
        self._store.close()

    def _run(self) -> None:
        while not self._stop.wait(_FLUSH_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        waiting = self._rows()
        while rows := list(islice(waiting, max(_CHUNK, len(self._waiting) // _CHUNKS_LEFT))):
            try:
                self._store.write(rows)
            except StoreError as error:
                self._unwritten += len(rows)
                self._complain(error)
            else:
                self.written += len(rows)
            if not self._stop.is_set():
                time.sleep(_PAUSE_S)

    def _rows(self) -> Iterator[Row]:
        while self._waiting:
            yield from table_rows(self._waiting.popleft())

    def _complain(self, error: StoreError) -> None:
        now = time.monotonic()
        if now - self._complained_s >= _COMPLAIN_S:
            self._complained_s = now
            structlog.get_logger().error(
                "predictions.not_written", reason=str(error), dropped=self.dropped
            )
