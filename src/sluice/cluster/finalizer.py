"""The finalizer of a Release: it keeps the object until no router serves it any more."""

from sluice.cluster.keys import Object

FINALIZER = "sluice.dev/release"


def has_finalizer(obj: Object) -> bool:
    """Whether the object waits for us when it is deleted."""
    return FINALIZER in (obj["metadata"].get("finalizers") or ())


def with_finalizer(obj: Object) -> list[str]:
    """All finalizers, and ours."""
    return [*without_finalizer(obj), FINALIZER]


def without_finalizer(obj: Object) -> list[str]:
    """All finalizers but ours."""
    return [item for item in obj["metadata"].get("finalizers") or () if item != FINALIZER]
