"""Keeps the process small where the C library allows it; elsewhere it does nothing."""

import ctypes
import gc
from typing import Final

_M_ARENA_MAX: Final = -8
"""glibc's ``mallopt`` parameter, malloc.h."""


def one_arena() -> None:
    """One heap for all threads: two that never compete would each keep 2 MB of it."""
    _call("mallopt", _M_ARENA_MAX, 1)


def settle() -> None:
    """After loading: give back what only start-up needed, and let the collector skip the rest."""
    gc.collect()
    _call("malloc_trim", 0)
    gc.freeze()


def _call(name: str, *arguments: int) -> None:
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return
    function(*arguments)
