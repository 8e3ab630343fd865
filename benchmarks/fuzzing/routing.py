"""Mutated fragments: refused with faults, or accepted and then translated and sent on the same."""

import random
from copy import deepcopy
from typing import Any

import orjson

from sluice.agent.rendering import Renderer
from sluice.dataplanes.codec import decode_ack, decode_fragment, decode_releases, encode_fragment
from sluice.errors import SpecError

RENDERER = Renderer(eds_dir="eds")
SEED: dict[str, Any] = {
    "routing": {
        "release": "ml/taxi",
        "generation": 7,
        "hosts": ["taxi.ml", "*"],
        "timeout_ms": 2_000,
        "lease_ms": 30_000,
        "sticky": {"header": "x-user-id", "cookie": "sluice_uid", "salt": "taxi:7"},
        "shield": {"per_try_timeout_ms": 300, "max_body_bytes": 4_096},
        "no_mirror": [{"header": "x-once", "value": "1"}],
        "capture": {"noise_bp": 1_000},
        "arms": [
            {"revision": "v2", "purpose": "live", "weight_bp": 1_000},
            {"revision": "v1", "purpose": "live", "weight_bp": 9_000},
            {"revision": "v2", "purpose": "forced", "match": {"header": "x-arm", "value": "b"}},
            {"revision": "v2", "purpose": "preview", "hosts": ["preview.ml"]},
            {"revision": "v2", "purpose": "mirror", "weight_bp": 500},
        ],
    },
    "endpoints": {
        "v1": [{"name": "a", "host": "10.0.0.1", "port": 80}],
        "v2": [{"name": "b", "host": "::1", "port": 81}],
    },
}
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10_000, 1e308, 2**63, "", "a", "v1", "v2", "*", "a\\1", "é",
    "\u0000", "a" * 400, "x y", "%REQ(X)%", "\r\nx: y", "127.0.0.1", "::", "1.2.3", "live",
    "mirror", [], {}, [[]], [{}], {"": None},
)  # fmt: skip


def check(rng: random.Random) -> None:
    """Decode one mutated fragment, and what is smaller.

    Raises:
        AssertionError: accepted and not kept whole.
    """
    document = orjson.loads(orjson.dumps(SEED))
    for _ in range(rng.randrange(4)):
        mutate(document, rng)
    data = bytearray(orjson.dumps(document))
    if rng.random() < 0.3:
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    fuzz_routing(bytes(data))


def fuzz_routing(data: bytes) -> None:
    """Give any bytes to the parsers of routing.

    Raises:
        AssertionError: accepted and not kept whole, or refused without a fault.
    """
    for decode in (decode_ack, decode_releases):
        try:
            decode(data)
        except SpecError as error:
            explained(error)
    try:
        fragment = decode_fragment(data)
    except SpecError as error:
        explained(error)
        return
    assert decode_fragment(encode_fragment(fragment)) == fragment
    rendered = RENDERER.release(fragment)
    assert orjson.dumps(RENDERER.router([rendered], ()).routes)


def explained(error: SpecError) -> None:
    """Check that a refusal says what is wrong.

    Raises:
        AssertionError: it does not.
    """
    assert error.faults
    assert all(fault.reason for fault in error.faults)


def mutate(document: Any, rng: random.Random) -> None:  # any JSON
    """Change one place in a document: replace, remove or double it."""
    places = list(_places(document))
    if not places:
        return
    holder, key = rng.choice(places)
    match rng.randrange(4):
        case 0 if isinstance(holder, list):
            holder.append(deepcopy(holder[key]))
        case 1:
            del holder[key]
        case 2 if isinstance(holder, dict):
            holder[str(rng.choice(VALUES))[:50]] = deepcopy(holder[key])
        case _:
            # A copy: a value that is changed later must be the same for the next input.
            holder[key] = deepcopy(rng.choice(VALUES))


def _places(value: Any) -> Any:  # any JSON
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)
