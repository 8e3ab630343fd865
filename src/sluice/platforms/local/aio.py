"""The one asyncio pattern that everything here waits with."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def first(*awaitables: Coroutine[Any, Any, object]) -> object:
    """Result of the first that returns (in the order given); the others have been cancelled."""
    tasks = [asyncio.ensure_future(item) for item in awaitables]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def now_s() -> float:
    """Seconds on the loop's clock, which never jumps."""
    return asyncio.get_running_loop().time()
