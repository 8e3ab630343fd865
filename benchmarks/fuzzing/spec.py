"""Mutated documents: refused with faults in our words, or accepted whole and read back the same."""

import random
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import yaml

from sluice.errors import SpecError
from sluice.spec import (
    Documents,
    Text,
    analysis_settings,
    from_objects,
    lint,
    load,
    revision_of,
    to_object,
    to_plan,
)

ROOT = Path(__file__).resolve().parents[2]
JARGON = ("Input should", "pydantic", "validation error", "Field required", "Extra inputs")
"""Words of the validator that must never reach the author of a file."""
FREE = (
    "labels",
    "annotations",
    "template",
    "metricSource",
    "alertPolicies",
    "good",
    "bad",
    "total",
)
"""Fields below which anything may stand."""
TOKENS = (
    b"&a ", b"*a", b"<<: *a", b"!!python/object:os.system ", b"---\n", b"...\n", b"\t", b"{", b"[",
    b"]", b"}", b": ", b"- ", b"? ", b"| \n", b"> \n", b"'", b'"', b"#", b"%YAML 1.1\n", b"null",
    b"yes", b"0x1f", b"1e999", b".nan", b"\xff", b"\x00", b"\xf0\x9f\x9a\x80", b"\xe2\x80\xa8",
    b"100", b"-1", b"9" * 400, b"99h", b"~", b"\r", b"\xef\xbb\xbf",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 100, 99.99, 0.001, 1e308, 2**63, 2**200, "", "a", "30s", "99h1s",
    "1h", "0s", "5%", "taxi", "*", "a" * 300, "\u0000", "\ud800", "é", "http", "x-user", "0.3",
    "latency", "availability", "canary", "sha256:" + "0" * 64, [], {}, [[]], {"": None}, [{}],
    {"name": "taxi"}, {"duration": "1m"},
)  # fmt: skip


def check(rng: random.Random) -> None:
    """Load one mutated document set and judge what came out.

    Raises:
        AssertionError: accepted and not kept whole, an unknown field accepted, or a fault that
            says nothing.
    """
    if rng.random() < 0.75:
        _objects(rng)
    else:
        _text(rng)


def _objects(rng: random.Random) -> None:
    objects = orjson.loads(rng.choice(_bases()))
    refused = False
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        refused = rng.choice(MUTATIONS)(rng, objects)  # a later one may undo an earlier one
    try:
        documents = from_objects(objects, name="fuzz")
    except SpecError as error:
        _said(error)
        return
    assert not refused, "an unknown field was accepted"
    for document in documents:
        names = (document.kind, document.name)
        given = next(o for o in objects if (o["kind"], o["metadata"]["name"]) == names)
        assert _shape(to_object(document)) == _shape(given), "a field was dropped"
    _used(documents)


def _text(rng: random.Random) -> None:
    data = bytearray(rng.choice(_texts()))
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, to = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        match rng.randrange(6):
            case 0:
                data[at:at] = rng.choice(TOKENS)
            case 1:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 2:
                del data[at : min(to, at + 20)]
            case 3:
                data[at:at] = data[at : min(to, at + 200)]
            case 4:
                lines = bytes(data).split(b"\n")
                rng.shuffle(lines[at % len(lines) : at % len(lines) + 3])
                first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
                lines[first], lines[second] = lines[second], lines[first]
                data = bytearray(b"\n".join(lines))
            case _:
                data[at:to] = data[at:to].replace(b"  ", b" ", rng.randrange(4))
    try:
        documents = load([Text(text=bytes(data), name="fuzz")])
    except SpecError as error:
        _said(error, lines=True)
        return
    _used(documents)


def _said(error: SpecError, *, lines: bool = False) -> None:
    text = str(error)
    text.encode()
    assert error.faults, "refused without a fault"
    assert all(fault.path and fault.reason for fault in error.faults), text
    assert not any(word.lower() in text.lower() for word in JARGON), text
    assert "does not fit here" not in text, f"a fault without words of its own: {text}"
    assert text.replace("\n", "").isprintable(), repr(text)
    assert not lines or all(fault.line or fault.path == "file" for fault in error.faults), text


def _used(documents: Documents) -> None:
    """Everything that takes checked documents bears them."""
    again = from_objects([to_object(document) for document in documents])
    assert again == documents, "not the same after a round trip"
    lint(documents)
    for release in documents.releases:
        policy = documents.policy_of(release)
        try:
            to_plan(release, policy)
        except SpecError as error:
            # A stage that would move users back is known with its policy only: `lint` plans, too.
            _said(error)
            continue
        analysis_settings(release, policy, documents.slos)
        assert revision_of(release) == revision_of(
            again.releases[documents.releases.index(release)]
        )


# --- mutations of objects; True: must be refused ------------------------------------------------


def _rename(rng: random.Random, objects: list[Any]) -> bool:
    parent, key, strict = _place(rng, objects, dict)
    if parent is None:
        return False
    name = list(str(key))
    at = rng.randrange(len(name) + 1)
    name[at:at] = rng.choice("abzA-_. ")
    parent["".join(name)] = parent.pop(key)
    return strict


def _unknown(rng: random.Random, objects: list[Any]) -> bool:
    parent, _, strict = _place(rng, objects, dict)
    if parent is None:
        return False
    name = rng.choice(("unknown", "Name", "set_weight_bp", "__class__", "spec.replicas"))
    parent[name] = deepcopy(rng.choice(VALUES))
    return strict


def _remove(rng: random.Random, objects: list[Any]) -> bool:
    parent, key, _ = _place(rng, objects, (dict, list))
    if parent is not None:
        del parent[key]
    return False


def _replace(rng: random.Random, objects: list[Any]) -> bool:
    parent, key, _ = _place(rng, objects, (dict, list))
    if parent is not None:
        parent[key] = deepcopy(rng.choice(VALUES))
    return False


def _nudge(rng: random.Random, objects: list[Any]) -> bool:
    parent, key, _ = _place(rng, objects, (dict, list))
    if parent is None:
        return False
    match parent[key]:
        case bool() as value:
            parent[key] = not value
        case int() | float() as value:
            parent[key] = rng.choice((value * 100, -value, value / 3, value + 1, str(value)))
        case str() as value if value:
            at = rng.randrange(len(value))
            parent[key] = (
                value[:at] + chr(rng.choice((0, 32, 47, 65, 97, 233, 0x202E))) + value[at:]
            )
        case list() as value:
            parent[key] = value + value
        case value:
            parent[key] = [value]
    return False


def _graft(rng: random.Random, objects: list[Any]) -> bool:
    parent, key, _ = _place(rng, objects, (dict, list))
    other, other_key, _ = _place(rng, objects, (dict, list))
    if parent is not None and other is not None:
        parent[key] = deepcopy(other[other_key])
    return False


MUTATIONS: tuple[Callable[[random.Random, list[Any]], bool], ...] = (
    _rename,
    _unknown,
    _remove,
    _replace,
    _replace,
    _nudge,
    _graft,
)


def _place(
    rng: random.Random, objects: list[Any], kinds: type | tuple[type, ...]
) -> tuple[Any, Any, bool]:
    """A random container of one of the kinds, a key of it, and whether its fields are fixed."""
    for _ in range(4):
        parent: Any = objects
        strict = True
        while rng.random() < 0.85:
            below = [item for item in _children(parent) if isinstance(item[1], dict | list)]
            if not below:
                break
            key, parent = rng.choice(below)
            strict = strict and key not in FREE
        keys = [key for key, _ in _children(parent)]
        if keys and isinstance(parent, kinds):
            return parent, rng.choice(keys), strict
    return None, None, False


def _children(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items() if isinstance(value, dict) else enumerate(value))


def _shape(value: Any) -> Any:
    """Keys and lengths of a value, without its scalars."""
    if isinstance(value, dict):
        return {key: _shape(child) for key, child in value.items()}
    if isinstance(value, list):
        below = [_shape(child) for child in value]
        # `status: [204]` and `status: 204` are the same, and the second is how it is written back.
        return None if below == [None] else below
    return None


@cache
def _texts() -> tuple[bytes, ...]:
    taxi = ROOT / "examples" / "taxi"
    around = [(taxi / name).read_bytes() for name in ("policy.yaml", "slo.yaml")]
    sets = [[path.read_bytes(), *around] for path in sorted(taxi.glob("release-*.yaml"))]
    sets += [[path.read_bytes()] for path in sorted((ROOT / "tests/golden/plan").glob("*.yaml"))]
    return tuple(b"\n---\n".join(parts) for parts in sets)


@cache
def _bases() -> tuple[bytes, ...]:
    loader = yaml.CSafeLoader
    return tuple(orjson.dumps(list(yaml.load_all(text, loader))) for text in _texts())
