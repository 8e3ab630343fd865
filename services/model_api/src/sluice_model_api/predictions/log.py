"""The prediction log: bounded, sampled, and never in the way of a request."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from zlib import crc32

import structlog

from sluice_model_api.model import Model
from sluice_model_api.predictions.rows import Scored, table_rows
from sluice_model_api.predictions.stores import Store, StoreError
from sluice_model_api.tensors import Array

_FLUSH_S = 0.2
_CHUNK = 250
_COMPLAIN_S = 30.0
_FULL_HASH = 2**32


class PredictionLog:
    """Takes predictions from the event loop and writes them from a thread of its own.

    Args:
        store: Where rows go.
        sample: Share of predictions kept, by a hash of the id: every replica and every retry
            decides the same.
        room: Requests that may wait; beyond it they are dropped and counted.
    """

    def __init__(self, store: Store, *, sample: float, room: int) -> None:
        self._store = store
        self._keep_below = int(sample * _FULL_HASH)
        self._room = room
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
    ) -> None:
        """Take one scored request, or drop and count it; returns at once."""
        if crc32(prediction_id.encode()) >= self._keep_below:
            return
        if len(self._waiting) >= self._room:
            self._no_room += rows
            return
        self._waiting.append(
            Scored(
                prediction_id=prediction_id,
                rows=rows,
                model=model.name,
                version=model.version,
                route=route,
                columns=columns,
                outputs=outputs,
                request_id=request_id,
                entity_id=entity_id,
                ts_ms=time.time_ns() // 1_000_000,
            )
        )

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
        while self._waiting:
            chunk = [self._waiting.popleft() for _ in range(min(_CHUNK, len(self._waiting)))]
            rows = [row for scored in chunk for row in table_rows(scored)]
            try:
                self._store.write(rows)
            except StoreError as error:
                self._unwritten += len(rows)
                self._complain(error)
            else:
                self.written += len(rows)

    def _complain(self, error: StoreError) -> None:
        now = time.monotonic()
        if now - self._complained_s >= _COMPLAIN_S:
            self._complained_s = now
            structlog.get_logger().error(
                "predictions.not_written", reason=str(error), dropped=self.dropped
            )
