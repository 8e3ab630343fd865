"""Standard error for logs, on which a process does not depend."""

import os
from contextlib import suppress
from typing import TextIO, cast

_STDERR = 2


class _Stderr:
    """What cannot be written is dropped.

    A log on a full disk must not stop the process that gives traffic back to stable.
    """

    def write(self, text: str) -> int:
        with suppress(OSError):
            os.write(_STDERR, text.encode(errors="backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""


def log_stream() -> TextIO:
    """A stream for ``structlog.WriteLoggerFactory`` that never raises."""
    return cast(TextIO, _Stderr())
