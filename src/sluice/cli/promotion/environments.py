"""dev, staging, production: which one a release stands in, and which comes next."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

LABEL = "sluice.dev/environment"
"""On the Release or its Namespace, where the namespace's name does not say it."""


class Environment(StrEnum):
    """Where a release stands, in the order in which a revision passes through."""

    DEV = "dev"
    STAGING = "staging"
    PRODUCTION = "production"

    @property
    def before(self) -> "Environment | None":
        """The one that a revision comes from; None: this is the first."""
        order = [*Environment]
        place = order.index(self)
        return order[place - 1] if place else None


def environment_of(
    release: Mapping[str, Any], namespace: Mapping[str, Any] | None, name: str
) -> Environment | None:
    """The environment of a release: its label, its namespace's label, its namespace's name.

    Args:
        release: The object.
        namespace: The namespace's object; None: this user may not read it.
        name: Of the namespace: ``staging``, ``taxi-staging``.

    Returns:
        None when nothing says it.
    """
    for obj in (release, namespace or {}):
        label = ((obj.get("metadata") or {}).get("labels") or {}).get(LABEL)
        if label in [*Environment]:
            return Environment(str(label))
    words = [word for word in name.split("-") if word in [*Environment]]
    return Environment(words[0]) if len(words) == 1 else None


def namespace_in(name: str, here: Environment, there: Environment) -> str | None:
    """The namespace of the same name in another environment: ``taxi-dev``, ``taxi-staging``."""
    moved, count = re.subn(rf"(^|-){here}(?=-|$)", rf"\g<1>{there}", name)
    return moved if count == 1 else None
