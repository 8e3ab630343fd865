"""What receivers of news get: a CloudEvent as JSON, or a line for a chat."""

import json
import re
from datetime import UTC, datetime

from sluice.nouns import Notice

TYPE = "dev.sluice.release."
SOURCE = "/sluice/releases"
CLOUDEVENT = "application/cloudevents+json"
QUIET = frozenset({"WeightChanged"})
"""Kinds that a chat is spared: a ramp changes its weight every few seconds."""


def cloudevent(notice: Notice) -> bytes:
    """CloudEvents 1.0, structured mode; ``id`` is the same for every try, to tell repeats by."""
    word = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", notice.kind).lower()
    moment = datetime.fromtimestamp(notice.at_ms / 1000, tz=UTC)
    event = {
        "specversion": "1.0",
        "id": notice.id,
        "source": SOURCE,
        "type": TYPE + word,
        "subject": notice.release,
        "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": notice.data,
    }
    return json.dumps(event, sort_keys=True, allow_nan=False).encode()


def slack(notice: Notice) -> bytes:
    """``{"text": ...}`` with one line that a person reads, its markup signs escaped."""
    by = f" (by {notice.by})" if notice.by and f"by {notice.by}" not in notice.message else ""
    line = f"{notice.release} {notice.kind}: {notice.message or notice.reason}{by}"
    for sign, code in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        line = line.replace(sign, code)
    return json.dumps({"text": " ".join(line.split())}).encode()
