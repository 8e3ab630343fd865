"""kopf's part: it follows Releases, policies and SLOs, and hands every change on.

Nothing else of it is used: no finalizers, no progress in annotations, no events, no peering. It
runs in a thread with a loop of its own, because it takes signals for itself where it can, and the
controller's must reach the controller.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kopf
import structlog

from sluice.cluster.keys import key_of
from sluice.cluster.leading import SLOS_SELECTOR, Leadership
from sluice.kube.kinds import CONFIG_MAP, RELEASE, RELEASE_POLICY, Kind

log = structlog.get_logger()

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
WATCH_S = 290
"""The server ends a watch after so long, which then goes on: a server that changed is noticed."""
KINDS = (RELEASE, RELEASE_POLICY, CONFIG_MAP)

Put = Callable[[Mapping[str, Any]], None]
Drop = Callable[[str, str], None]


class Watching:
    """Follows the objects of a cluster for a leadership.

    Args:
        namespaces: Which; (None,) for all.
    """

    def __init__(self, namespaces: Sequence[str | None]) -> None:
        self._namespaces = [name for name in namespaces if name is not None]

    async def follow(self, leadership: Leadership) -> None:
        """Tell a leadership of every change until this is cancelled; begins anew when it breaks."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._until_it_ends(leadership)
            except Exception:  # whatever it is, everything can be listed and followed anew
                log.exception("watch.broken")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _until_it_ends(self, leadership: Leadership) -> None:
        ours = asyncio.get_running_loop()
        stop = threading.Event()

        def on_ours(call: Callable[..., None], *given: Any) -> None:
            # After the end of ours there is nobody to tell.
            if not ours.is_closed():
                ours.call_soon_threadsafe(call, *given)

        registry = registry_for(
            put=lambda obj: on_ours(leadership.put, obj),
            drop=lambda kind, key: on_ours(leadership.drop, kind, key),
        )

        pool = ThreadPoolExecutor(1, thread_name_prefix="kopf")
        try:
            work = pool.submit(lambda: asyncio.run(self._operate(registry, stop)))
            await asyncio.wrap_future(work)
        finally:
            stop.set()
            await asyncio.to_thread(pool.shutdown)

    async def _operate(self, registry: kopf.OperatorRegistry, stop: threading.Event) -> None:
        await kopf.operator(
            registry=registry,
            settings=settings_for(),
            standalone=True,
            # Its own would be the name of the user, and a container's has none.
            identity="sluice-controller",  # type: ignore[arg-type]  # str, by a name of its own
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=stop,
        )


def settings_for() -> kopf.OperatorSettings:
    """Kopf with everything off that is not watching."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    # Namespaces and kinds are given: no right to list them is needed.
    settings.scanning.disabled = True
    settings.watching.server_timeout = WATCH_S
    settings.watching.label_selectors["", CONFIG_MAP.version, CONFIG_MAP.plural] = SLOS_SELECTOR
    settings.networking.error_backoffs = (1, 2, 5)
    return settings


def registry_for(*, put: Put, drop: Drop) -> kopf.OperatorRegistry:
    """Handlers that hand on what they are told.

    Args:
        put: Takes an object that is there.
        drop: Takes kind and key of one that is gone.
    """
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**given: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**given) or kopf.login_with_kubeconfig(**given)

    def hand_on(kind: Kind) -> Callable[..., None]:
        def seen(event: Mapping[str, Any], **_: Any) -> None:
            obj = {**event["object"], "apiVersion": kind.api_version, "kind": kind.kind}
            if event["type"] == "DELETED":
                drop(kind.kind, key_of(obj))
            else:
                put(obj)

        return seen

    for kind in KINDS:
        kopf.on.event(kind.group, kind.version, kind.plural, id=kind.plural, registry=registry)(
            hand_on(kind)
        )
    return registry


def quiet_logs() -> None:
    """Kopf speaks of every object it sees; what it cannot do is enough."""
    for name in ("kopf", "aiohttp"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("kopf.objects", "kopf._core.reactor.running"):
        logging.getLogger(name).setLevel(logging.ERROR)
