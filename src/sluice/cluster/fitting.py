"""What goes packed into a status, made small enough for it.

An object of 64 KB is what every watcher can take; evidence goes first, and of that the oldest.
"""

from collections.abc import Mapping
from typing import Any

from sluice.kube.packed import pack

CHECKPOINT_BYTES = 30_000
VIEW_BYTES = 18_000
KEPT_WHOLE = 5
"""So many of the newest decisions keep their place whatever they weigh."""


def packed_checkpoint(record: Mapping[str, Any], limit: int = CHECKPOINT_BYTES) -> str:
    """A checkpoint as text of at most ``limit`` bytes, if that can be had without its state.

    The state of engine and checks is never touched: only decisions lose their evidence, and the
    oldest their place.
    """
    return _packed(dict(record), limit)


def packed_view(
    status: Mapping[str, Any], decisions: list[dict[str, Any]], limit: int = VIEW_BYTES
) -> str:
    """What the command line shows, as text of at most ``limit`` bytes, if that can be had."""
    return _packed({"status": dict(status), "decisions": decisions}, limit)


def _packed(document: dict[str, Any], limit: int) -> str:
    text = pack(document)
    decisions = list(document.get("decisions", ()))
    told = sum(item.get("verdict") is not None for item in decisions)
    while len(text) > limit and told > 1:
        # Half of the evidence that is left: a few rounds are enough for fifty decisions.
        decisions, told = _without_evidence(decisions, (told + 1) // 2), told // 2
        text = pack({**document, "decisions": decisions})
    while len(text) > limit and len(decisions) > KEPT_WHOLE:
        decisions = decisions[max(1, len(decisions) // 4) :]
        text = pack({**document, "decisions": decisions})
    return text


def _without_evidence(decisions: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The oldest ``count`` decisions that have evidence lose it."""
    found = []
    for item in decisions:
        if count and item.get("verdict") is not None:
            count -= 1
            found.append({**item, "verdict": None})
        else:
            found.append(item)
    return found


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7396) that makes ``after`` of ``before``, key by key.

    Keys of ``before`` that ``after`` does not name at the top stay as they are; below the top they
    go.
    """
    return {
        key: _change(before.get(key), value)
        for key, value in after.items()
        if before.get(key) != value
    }


def _change(before: Any, after: Any) -> Any:
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return after
    gone = {key: None for key in before if key not in after}
    return gone | {
        key: _change(before.get(key), value)
        for key, value in after.items()
        if before.get(key) != value
    }
