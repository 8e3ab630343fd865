"""Schema of ``status`` of a Release, which only the controller writes."""

from typing import Any

from tools.crd.structural import OPEN

Schema = dict[str, Any]


def _text(words: str) -> Schema:
    return {"description": words, "type": "string"}


def _whole(words: str) -> Schema:
    return {"description": words, "type": "integer", "format": "int64"}


def _object(words: str, properties: Schema, *, required: tuple[str, ...] = ()) -> Schema:
    schema: Schema = {"description": words, "type": "object"}
    if required:
        schema["required"] = list(required)
    return schema | {"properties": properties}


def _list(words: str, items: Schema, *, most: int, by: str = "") -> Schema:
    kind: Schema = {"x-kubernetes-list-type": "atomic"}
    if by:
        kind = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [by]}
    return {"description": words, "type": "array", "maxItems": most, "items": items, **kind}


_CONDITION = _object(
    "One condition.",
    {
        "type": {**_text("Name of the condition."), "maxLength": 316},
        "status": {
            "description": "Whether it holds.",
            "type": "string",
            "enum": ["True", "False", "Unknown"],
        },
        "reason": {**_text("Why, in one word."), "maxLength": 1_024},
        "message": {**_text("Why, for people."), "maxLength": 32_768},
        "lastTransitionTime": {**_text("When status changed last."), "format": "date-time"},
        "observedGeneration": _whole("Generation of the Release that this is about."),
    },
    required=("type", "status"),
)
_REVISION = _object(
    "One revision.",
    {
        "revision": _text("Its name; its objects are called NAME-REVISION."),
        "role": _text("stable, candidate, old or variant."),
        "desired": _whole("Replicas that it should have."),
        "ready": _whole("Replicas that answer."),
        "message": _text("What is wrong with it, for people."),
    },
    required=("revision",),
)
_NEWS = _object(
    "One thing that happened.",
    {
        "at": {**_text("When."), "format": "date-time"},
        "kind": _text("What: an event's name."),
        "reason": _text("Why, in one word."),
        "message": _text("Why, for people."),
        "revision": _text("The revision that it is about."),
        "weight": _text("Share of the candidate after it."),
        "pass": _whole("Number of the pass."),
        "by": _text("Who asked for it; empty: nobody, the checks decided."),
    },
)

RELEASE: Schema = _object(
    "What the controller sees and does; nobody else writes it.",
    {
        "observedGeneration": _whole("Generation of the Release that the controller has taken."),
        "phase": _text("Progressing, Paused, Healthy, Degraded or Aborted."),
        "stage": _text("Where the candidate is in the plan, such as canary 2/5."),
        "weight": _text("The candidate's share of live requests, such as 5%."),
        "stable": _text("The revision that users have."),
        "candidate": _text("The revision that is on its way."),
        "verdict": _text("passed, failed, inconclusive, invalid or error."),
        "message": _text("Why it is where it is, for people."),
        "replicas": _whole("Replicas of stable."),
        "selector": _text("Label selector of stable's pods, for autoscalers and kubectl scale."),
        "conditions": _list(
            "Progressing, Available, Promoted, Aborted, Paused, Degraded, Accepted; for kubectl "
            "wait.",
            _CONDITION,
            most=20,
            by="type",
        ),
        "revisions": _list("Revisions that have objects.", _REVISION, most=1_100, by="revision"),
        "history": _list("What happened last.", _NEWS, most=20),
        "routing": {
            "description": "What routers do, and what a new router starts from.",
            "type": "object",
            **OPEN,
        },
        "command": _object(
            "What became of the last command (annotation sluice.dev/command).",
            {
                "id": _text("Its id."),
                "outcome": _text("done or refused."),
                "message": _text("Why, for people."),
            },
        ),
        "consumed": {
            "description": "Annotations that were obeyed, each with the value that was.",
            "type": "object",
            "additionalProperties": {"type": "string"},
        },
        "problems": _list("What does not work now, for people.", {"type": "string"}, most=100),
        "notices": _list("What is worth knowing, for people.", {"type": "string"}, most=100),
        "checkpoint": _text("Where the controller goes on after a restart, packed."),
        "view": _text("What sluice status and explain show, packed."),
    },
)
