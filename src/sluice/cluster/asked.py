"""What people ask of a release by annotations: which verbs are to be done now, and who asks.

A value is done once. It may stay where it is, in Git as well: it counts again after it changed, or
was taken away and came back. With a revision it counts only while that is the candidate.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sluice.cluster.keys import Object
from sluice.runtime.verbs import VERBS, VerbBody

PREFIX = "sluice.dev/"
COMMAND = f"{PREFIX}command"
PLAIN: Mapping[str, str] = {
    # What takes traffic away comes first, what gives some comes last.
    f"{PREFIX}{word}": verb
    for word, verb in (
        ("abort", "abort"),
        ("reject", "reject"),
        ("pause", "pause"),
        ("undo", "undo"),
        ("retry", "retry"),
        ("resume", "resume"),
        ("approve", "approve"),
        ("promote", "promote"),
        ("promote-full", "promote"),
    )
}
"""Annotation, and the verb that it asks for."""
TRUE = "true"
ANY_VALUE = frozenset({"undo", "approve", "reject"})
"""Verbs whose value is no candidate: a revision to go to, a gate."""
LONGEST_ID = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One verb that is to be done."""

    annotation: str
    value: str
    """What is written into ``status.consumed``."""
    verb: str
    body: VerbBody
    id: str
    """Names the answer in ``status.command``."""
    fault: str = ""
    """Why it cannot even be tried."""


def asked(obj: Object, consumed: Mapping[str, str], candidate: str | None) -> Iterator[Asked]:
    """Verbs that are asked for and not done yet, in the order in which they are done.

    Args:
        obj: The Release.
        consumed: Values that were done, by annotation.
        candidate: Revision of the pass that runs or was turned back.
    """
    annotations = obj["metadata"].get("annotations") or {}
    text = annotations.get(COMMAND)
    if isinstance(text, str):
        item = _command(obj, text)
        if consumed.get(COMMAND) != item.value:
            yield item
    for annotation, verb in PLAIN.items():
        value = annotations.get(annotation)
        if not isinstance(value, str) or consumed.get(annotation) == value:
            continue
        item = _plain(obj, annotation, verb, value)
        if item.fault or verb in ANY_VALUE or value in (TRUE, candidate):
            yield item


def still(obj: Object, consumed: Mapping[str, str]) -> dict[str, str]:
    """What stays consumed: annotations that were taken away may be asked again."""
    annotations = obj["metadata"].get("annotations") or {}
    return {name: value for name, value in consumed.items() if name in annotations}


def waits(obj: Object, consumed: Mapping[str, str]) -> bool:
    """Whether a verb names a revision that may yet become the candidate."""
    annotations = obj["metadata"].get("annotations") or {}
    return any(
        annotations.get(name) not in (None, TRUE, consumed.get(name))
        for name, verb in PLAIN.items()
        if verb not in ANY_VALUE
    )


def _plain(obj: Object, annotation: str, verb: str, value: str) -> Asked:
    words: dict[str, Any] = {"by": _who(obj, annotation)}
    fault = "" if value.strip() else f'{annotation} is empty: write "{TRUE}"'
    match verb:
        case "approve" | "reject":
            words["gate"] = value
        case "undo" if value != TRUE:
            words["to_revision"] = value
        case "promote":
            words["full"] = annotation.endswith("-full")
    return Asked(
        annotation=annotation,
        value=value,
        verb=verb,
        body=VerbBody(**words),
        id=annotation,
        fault=fault,
    )


def _command(obj: Object, text: str) -> Asked:
    """The command of ``sluice``; one that makes no sense is refused once, by the hash of it."""
    body, verb, fault = VerbBody(), "", ""
    number = hashlib.sha256(text.encode()).hexdigest()[:16]
    try:
        words = json.loads(text)
        if not isinstance(words, dict):
            raise TypeError("is no JSON object")
        given = str(words.pop("id", ""))
        number = given[:LONGEST_ID] if given else number
        verb = str(words.pop("verb", ""))
        if verb not in VERBS:
            fault = f"no verb {verb[:40]!r}: one of {', '.join(VERBS)}"
        words.setdefault("by", _who(obj, COMMAND))
        body = VerbBody.model_validate(words)
    except (ValueError, TypeError, RecursionError) as error:
        reasons = (
            "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            if isinstance(error, ValidationError)
            else str(error)
        )
        fault = f"{COMMAND} makes no sense: {reasons}"
    return Asked(annotation=COMMAND, value=number, verb=verb, body=body, id=number, fault=fault)


def _who(obj: Object, annotation: str) -> str:
    """The field manager that wrote an annotation last; empty: unknown."""
    newest = ("", "")
    for entry in obj["metadata"].get("managedFields") or ():
        fields = entry.get("fieldsV1", {}).get("f:metadata", {}).get("f:annotations", {})
        if f"f:{annotation}" in fields:
            newest = max(newest, (str(entry.get("time", "")), str(entry.get("manager", ""))))
    return newest[1]
