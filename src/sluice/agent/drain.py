"""Taking a router out of service without losing a request."""

import asyncio
import time

from sluice.dataplanes.bootstrap import STAT_PREFIX
from sluice.dataplanes.envoyadmin import EnvoyAdmin

POLL_S = 0.05


async def drain(admin: EnvoyAdmin, *, wait_s: float, cap_s: float, quiet_s: float = 0.0) -> int:
    """Fail the health check, let callers notice, wait for requests under way.

    Connections are told to close with their next answer; whoever stops the process sends SIGTERM
    afterwards.

    Args:
        admin: The Envoy to drain.
        wait_s: Time for load balancers and endpoint lists to take this router out, seconds.
        quiet_s: None may have come for so long, seconds: on a machine that is short of CPU a
            request waits unread in a socket, and Envoy does not count it yet.
        cap_s: Longest time in all, seconds: a client that never ends must not hold the router.

    Returns:
        Requests still under way: 0, unless the cap was reached.

    Raises:
        TransientError: Envoy does not answer.
    """
    begin = time.monotonic()
    await admin.post("/healthcheck/fail")
    await asyncio.sleep(min(wait_s, cap_s))
    prefix = f"http.{STAT_PREFIX}.downstream_rq"
    seen, since = -1, begin
    while True:
        found = await admin.numbers(rf"^{prefix}_(active|total)$")
        active, total = found.get(f"{prefix}_active", 0), found.get(f"{prefix}_total", 0)
        now = time.monotonic()
        if active or total != seen:
            seen, since = total, now
        if (active == 0 and now - since >= quiet_s) or now - begin >= cap_s:
            return active
        await asyncio.sleep(POLL_S)
