"""Taking a router out of service without losing a request."""

import asyncio
import time

from sluice.dataplanes.bootstrap import STAT_PREFIX
from sluice.dataplanes.envoyadmin import EnvoyAdmin

POLL_S = 0.05


async def drain(admin: EnvoyAdmin, *, wait_s: float, cap_s: float) -> int:
    """Fail the health check, let callers notice, wait for requests under way.

    Connections are told to close with their next answer; whoever stops the process sends SIGTERM
    afterwards.

    Args:
        admin: The Envoy to drain.
        wait_s: Time for load balancers and endpoint lists to take this router out, seconds.
        cap_s: Longest time in all, seconds: a client that never ends must not hold the router.

    Returns:
        Requests still under way: 0, unless the cap was reached.

    Raises:
        TransientError: Envoy does not answer.
    """
    begin = time.monotonic()
    await admin.post("/healthcheck/fail")
    await asyncio.sleep(min(wait_s, cap_s))
    gauge = f"http.{STAT_PREFIX}.downstream_rq_active"
    while True:
        active = (await admin.numbers(f"^{gauge}$")).get(gauge, 0)
        if active == 0 or time.monotonic() - begin >= cap_s:
            return active
        await asyncio.sleep(POLL_S)
