"""Which user gets which arm, computed without asking the router."""

from collections.abc import Iterable
from typing import TypeVar

import xxhash

from sluice.errors import InvariantError, RefusedError
from sluice.nouns import BP_TOTAL, RevisionId, Routing

T = TypeVar("T")


def bucket(salt: str, user: str) -> int:
    """Where a user lies among the 10,000 basis points: Envoy's own hash of salt and user.

    Args:
        salt: Of release and pass (``sluice.engine.desired.salt_of``).
        user: Value of the sticky header, or of the sticky cookie. Blanks round it do not count:
            HTTP takes them off.
    """
    return xxhash.xxh64_intdigest(f"{salt}:{user.strip(_BLANKS)}".encode()) % BP_TOTAL


def arm_for(place: int, arms: Iterable[tuple[T, int]]) -> T:
    """The arm whose interval holds a place.

    Args:
        place: Basis point of a user, 0 to 9,999 (``bucket``).
        arms: (arm, weight in basis points) in the router's order: candidates, then stable.

    Raises:
        InvariantError: the weights do not sum to 10,000.
    """
    left = place
    for arm, weight_bp in arms:
        if left < weight_bp:
            return arm
        left -= weight_bp
    raise InvariantError(f"no arm holds basis point {place}: weights sum to {place - left}")


def revision_for(user: str, routing: Routing) -> RevisionId:
    """The revision that serves a user, as the router chooses it.

    Args:
        user: Value of the sticky header, or of the sticky cookie.
        routing: A routing with ``sticky`` set.

    Raises:
        RefusedError: the routing is not sticky: each request is drawn anew.
    """
    if routing.sticky is None:
        raise RefusedError(f"release {routing.release} is not sticky: users have no revision")
    place = bucket(routing.sticky.salt, user)
    return arm_for(place, ((arm.revision, arm.weight_bp) for arm in routing.live))


_BLANKS = " \t"
