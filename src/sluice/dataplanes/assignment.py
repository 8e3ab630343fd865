"""Which user gets which revision, computed without asking the router."""

import xxhash

from sluice.errors import RefusedError
from sluice.nouns import BP_TOTAL, RevisionId, Routing


def bucket(salt: str, user: str) -> int:
    """Where a user lies among the 10,000 basis points: Envoy's own hash of salt and user."""
    return xxhash.xxh64_intdigest(f"{salt}:{user}".encode()) % BP_TOTAL


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
    for arm in routing.live:
        if place < arm.weight_bp:
            return arm.revision
        place -= arm.weight_bp
    return routing.fallback
