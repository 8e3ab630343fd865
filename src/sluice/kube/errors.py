"""Answers of the API server that are no objects, in words for whoever can do something."""

import json
import re
from collections.abc import Mapping
from typing import Any

from sluice.errors import Fault, RefusedError, SluiceError, SpecError, TransientError

BAD = frozenset({400, 413, 415, 422})
LATER = frozenset({401, 408, 429})
"""401 among them: the token of a pod is exchanged while it is read."""


class Conflict(RefusedError):  # noqa: N818  # what happened, said in the field's word
    """It is there already, has changed since it was read, or a field is someone else's."""


class NotThere(RefusedError):  # noqa: N818  # what happened, said in the field's word
    """What should be changed is not there, or its kind is not installed."""


class Expired(TransientError):  # noqa: N818  # what happened, said in the field's word
    """The resource version is too old to go on from (410): list again."""


def error_of(
    status: int, body: bytes, *, what: str, retry_after_s: float | None = None
) -> SluiceError:
    """The error that an answer means.

    Args:
        status: HTTP status, 400 or more.
        body: A ``Status`` object, or whatever a proxy said.
        what: What was asked, such as ``patch deployments.apps ml/taxi-1``.
        retry_after_s: As the server asks, seconds.
    """
    said = _status(body)
    message = str(said.get("message") or body[:200].decode(errors="replace") or f"HTTP {status}")
    text = f"{what}: {message}"
    if status == 410:
        return Expired(text, retry_after_s=0.0)
    if status in BAD:
        return SpecError(_faults(said, what, message))
    if status == 403:
        return RefusedError(_forbidden(text, message))
    if status == 404:
        return NotThere(f"{what}: it is not there: {message}")
    if status == 409:
        return Conflict(text)
    if status in LATER or status >= 500:
        return TransientError(text, retry_after_s=1.0 if retry_after_s is None else retry_after_s)
    return RefusedError(text)


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _faults(said: Mapping[str, Any], what: str, message: str) -> list[Fault]:
    details = said.get("details")
    causes = details.get("causes") if isinstance(details, Mapping) else None
    found = [
        Fault(path=str(cause.get("field") or what), reason=str(cause.get("message") or message))
        for cause in causes or ()
        if isinstance(cause, Mapping)
    ]
    return found or [Fault(path=what, reason=message)]


def _forbidden(text: str, message: str) -> str:
    lacks = re.search(
        r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)"'
        r'(?: in API group "(?P<group>[^"]*)")?(?: in the namespace "(?P<namespace>[^"]*)")?',
        message,
    )
    if lacks is None:  # a quota or an admission rule speaks for itself
        return text
    resource, group = lacks["resource"], lacks["group"]
    where = f"in namespace {lacks['namespace']}" if lacks["namespace"] else "in the whole cluster"
    return (
        f"account {lacks['user']} may not {lacks['verb']} "
        f"{f'{resource}.{group}' if group else resource} {where}: give it a role that allows this"
    )
