"""A data plane in memory: the same promises as Envoy and its agents, without a process.

It also serves: ``pick`` says who would answer a request, and counts what the test says happened.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sluice.dataplanes.assignment import revision_for
from sluice.dataplanes.codec import claimed_hosts, fragment_faults
from sluice.dataplanes.tally import Tally, one_request
from sluice.errors import RoutingRefused, TransientError, UnknownRelease
from sluice.nouns import (
    BP_TOTAL,
    Ack,
    Arm,
    Capabilities,
    Counts,
    Endpoint,
    Fragment,
    Purpose,
    RevisionId,
    Routing,
    Snapshot,
)
from sluice.ports import Clock

ArmKey = tuple[str, RevisionId, Purpose]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """Who answers a request."""

    revision: RevisionId
    endpoint: Endpoint | None
    """None: the revision has no ready endpoint, and the answer is a 503."""
    purpose: Purpose
    user: str | None = None
    """Whom a sticky route gave it to; None: nobody's, or not sticky."""


@dataclass(slots=True)
class _Served:
    fragment: Fragment
    deadline_ms: int | None
    turns: dict[RevisionId, int] = field(default_factory=dict)


class MemoryDataPlane:
    """One router in memory.

    Args:
        clock: What leases are measured with.
        router: Name in acknowledgements and counters.
        capabilities: What it can do; less than everything to try plans that need more.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        router: str = "memory",
        capabilities: Capabilities | None = None,
    ) -> None:
        self._clock = clock
        self._router = router
        self._capabilities = capabilities or Capabilities()
        self._releases: dict[str, _Served] = {}
        self._errors: dict[str, str] = {}
        self._tallies: dict[ArmKey, Tally] = {}
        self._starts = 1
        self._visitors = 0
        self._failed: dict[str, tuple[str, set[str]]] = {}
        self.refuse_next: str = ""
        """When set, the next fragment is refused for this reason, as Envoy may do."""
        self.reachable: bool = True
        """False: every call fails as if no router could be reached."""

    # --- the port ------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """What routings may ask for."""
        return self._capabilities

    async def apply(self, fragment: Fragment) -> None:
        """Serve this routing.

        Raises:
            RoutingRefused: it cannot be served; what was served before goes on.
            TransientError: ``reachable`` is False.
        """
        self._reach()
        release = fragment.routing.release
        try:
            self._check(fragment)
        except RoutingRefused as error:
            self._errors[release] = str(error)
            raise
        self._errors.pop(release, None)
        self._releases[release] = _Served(fragment, self._deadline(fragment.routing))
        self._count_arms(fragment.routing)

    async def remove(self, release: str) -> None:
        """Stop serving a release; unknown names are fine."""
        self._reach()
        self._releases.pop(release, None)
        self._errors.pop(release, None)

    async def renew(self, releases: Sequence[str]) -> None:
        """Renew leases."""
        self._reach()
        for release in releases:
            served = self._releases.get(release)
            if served is not None:
                served.deadline_ms = self._deadline(served.fragment.routing)

    async def acks(self) -> Sequence[Ack]:
        """What is served."""
        self._reach()
        return [
            Ack(
                router=self._router,
                release=release,
                generation=self._generation(release),
                lease_expired=self.lease_expired(release),
                error=self._errors.get(release, ""),
            )
            for release in sorted(self._releases.keys() | self._errors.keys())
        ]

    # --- serving -------------------------------------------------------------------------------

    def pick(
        self,
        release: str,
        *,
        user: str | None = None,
        headers: Mapping[str, str] | None = None,
        host: str | None = None,
        rng: random.Random,
    ) -> Pick:
        """Who answers a request.

        Args:
            release: The release that the request is for.
            user: Value of the sticky header or cookie; None: an anonymous user.
            headers: Request headers; they choose forced and preview arms.
            host: Host of the request, when it may be a preview's.
            rng: Draws requests that no user or header decides.

        Raises:
            UnknownRelease: no such release is served.
        """
        served = self._served(release)
        routing = served.fragment.routing
        chosen = self._chosen(routing, headers or {}, host)
        if routing.sticky is None or chosen is not None:
            user = None
        elif user is None:
            # Who has no name gets one, and is drawn by it.
            self._visitors += 1
            user = f"visitor {self._visitors} {rng.random()}"
        arm = chosen or self._live(routing, user, rng)
        return Pick(
            revision=arm.revision,
            endpoint=self._next_endpoint(served, arm.revision),
            purpose=arm.purpose,
            user=user,
        )

    def mirrors(self, release: str, *, rng: random.Random) -> tuple[Pick, ...]:
        """Who gets a copy of a request besides; stable too, where it is compared with itself.

        Raises:
            UnknownRelease: no such release is served.
        """
        served = self._served(release)
        routing = served.fragment.routing
        # One number for all, as in Envoy: the copies of a request lie inside each other.
        drawn = rng.randrange(BP_TOTAL * BP_TOTAL)
        copied = [arm.revision for arm in routing.mirrored if drawn < arm.weight_bp * BP_TOTAL]
        if routing.capture is not None:
            share_bp = max(arm.weight_bp for arm in routing.mirrored)
            if drawn < share_bp * routing.capture.noise_bp:
                copied.append(routing.fallback)
        return tuple(
            Pick(
                revision=revision,
                endpoint=self._next_endpoint(served, revision),
                purpose=Purpose.MIRROR,
            )
            for revision in copied
        )

    def record(
        self,
        release: str,
        pick: Pick,
        *,
        status: int | None = 200,
        duration_ms: float = 1.0,
        shielded: bool = False,
    ) -> None:
        """Count one request.

        Args:
            release: The release it was for.
            pick: Who answered, from ``pick``.
            status: Code of the answer; None: there was none.
            duration_ms: Time to the whole answer, milliseconds.
            shielded: Stable answered instead, so the user did not see the failure.
        """
        tally = self._tally(release, pick.revision, pick.purpose)
        one = one_request(status, duration_ms)
        tally.counts += one
        if pick.endpoint is not None:
            bare = Counts(total=1, errors=one.errors)
            known = tally.endpoints.get(pick.endpoint.name, Counts())
            tally.endpoints[pick.endpoint.name] = known + bare
        if shielded:
            tally.shielded += 1
        elif one.errors and pick.user is not None and self._fails_first(release, pick.user):
            tally.users_bad += 1

    def fragment(self, release: str) -> Fragment | None:
        """What is served of a release; None: nothing."""
        served = self._releases.get(release)
        return served.fragment if served is not None else None

    def snapshots(self) -> dict[str, tuple[Snapshot, ...]]:
        """Counters by release, as a router gives them."""
        self._reach()
        return {
            release: (
                Snapshot(
                    router=self._router,
                    epoch=str(self._starts),
                    taken_ms=self._clock.now_ms(),
                    arms=tuple(
                        tally.noun(key[1], key[2], sticky=self._salt(release) is not None)
                        for key, tally in sorted(self._tallies.items())
                        if key[0] == release
                    ),
                ),
            )
            for release in self._releases
        }

    def restart(self) -> None:
        """Begin a new epoch: counters start again at zero, routing stays."""
        self._starts += 1
        self._tallies.clear()
        for served in self._releases.values():
            self._count_arms(served.fragment.routing)

    def lease_expired(self, release: str) -> bool:
        """Whether candidates' live weight is back at stable for want of a renewal."""
        served = self._releases.get(release)
        return (
            served is not None
            and served.deadline_ms is not None
            and self._clock.now_ms() >= served.deadline_ms
        )

    def weight_bp(self, release: str, revision: RevisionId) -> int:
        """Live weight that is served at this moment, basis points.

        Raises:
            UnknownRelease: no such release is served.
        """
        return self._effective(self._served(release).fragment.routing).weight_bp(revision)

    # --- inside --------------------------------------------------------------------------------

    def _reach(self) -> None:
        if not self.reachable:
            raise TransientError(f"router {self._router} cannot be reached")

    def _served(self, release: str) -> _Served:
        try:
            return self._releases[release]
        except KeyError:
            raise UnknownRelease(f"no release {release} is served") from None

    def _generation(self, release: str) -> int:
        served = self._releases.get(release)
        return served.fragment.routing.generation if served else 0

    def _deadline(self, routing: Routing) -> int | None:
        return None if routing.lease_ms is None else self._clock.now_ms() + routing.lease_ms

    def _check(self, fragment: Fragment) -> None:
        routing = fragment.routing
        if self.refuse_next:
            reason, self.refuse_next = self.refuse_next, ""
            raise RoutingRefused(f"router {self._router}: {reason}")
        faults = fragment_faults(fragment)
        if faults:
            raise RoutingRefused("; ".join(str(fault) for fault in faults))
        known = self._releases.get(routing.release)
        if known is not None:
            old = known.fragment.routing
            stale = routing.generation < old.generation
            if stale or (routing.generation == old.generation and routing != old):
                raise RoutingRefused(
                    f"generation {routing.generation} does not follow {old.generation}"
                )
        wanted = {host.lower() for host in claimed_hosts(routing)}
        for release, served in self._releases.items():
            if release == routing.release:
                continue
            taken = wanted & {host.lower() for host in claimed_hosts(served.fragment.routing)}
            if taken:
                raise RoutingRefused(f"{', '.join(sorted(taken))} belongs to release {release}")

    def _effective(self, routing: Routing) -> Routing:
        if not self.lease_expired(routing.release):
            return routing
        arms = tuple(
            replace(arm, weight_bp=BP_TOTAL if arm.revision == routing.fallback else 0)
            if arm.purpose is Purpose.LIVE
            else arm
            for arm in routing.arms
        )
        return replace(routing, arms=arms)

    def _chosen(self, routing: Routing, headers: Mapping[str, str], host: str | None) -> Arm | None:
        given = {name.lower(): value for name, value in headers.items()}
        by_host = [arm for arm in routing.arms if host is not None and host in arm.hosts]
        if by_host:
            return by_host[0]
        for purpose in (Purpose.FORCED, Purpose.PREVIEW):
            for arm in routing.arms:
                if arm.purpose is purpose and _matches(arm, given):
                    return arm
        return None

    def _live(self, routing: Routing, user: str | None, rng: random.Random) -> Arm:
        effective = self._effective(routing)
        if routing.sticky is not None and user is not None:
            revision = revision_for(user, effective)
            return next(arm for arm in effective.live if arm.revision == revision)
        weights = [arm.weight_bp for arm in effective.live]
        return rng.choices(effective.live, weights)[0]

    def _salt(self, release: str) -> str | None:
        served = self._releases.get(release)
        sticky = served.fragment.routing.sticky if served is not None else None
        return sticky.salt if sticky is not None else None

    def _fails_first(self, release: str, user: str) -> bool:
        """Whether this is the user's first bad answer in the pass; he is remembered."""
        salt = self._salt(release) or ""
        known, users = self._failed.get(release, ("", set()))
        if known != salt:
            users = set()
        self._failed[release] = (salt, users)
        if user in users:
            return False
        users.add(user)
        return True

    def _next_endpoint(self, served: _Served, revision: RevisionId) -> Endpoint | None:
        endpoints = served.fragment.endpoints.get(revision, ())
        if not endpoints:
            return None
        turn = served.turns.get(revision, 0)
        served.turns[revision] = turn + 1
        return endpoints[turn % len(endpoints)]

    def _count_arms(self, routing: Routing) -> None:
        for arm in routing.arms:
            self._tally(routing.release, arm.revision, arm.purpose)
        if routing.capture is not None and routing.capture.noise_bp > 0:
            self._tally(routing.release, routing.fallback, Purpose.MIRROR)

    def _tally(self, release: str, revision: RevisionId, purpose: Purpose) -> Tally:
        key = (release, revision, purpose)
        if key not in self._tallies:
            self._tallies[key] = Tally()
        return self._tallies[key]


def _matches(arm: Arm, headers: Mapping[str, str]) -> bool:
    return arm.match is not None and headers.get(arm.match.header.lower()) == arm.match.value
