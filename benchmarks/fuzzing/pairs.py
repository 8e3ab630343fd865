"""Mutated pages of pairs, and answers of any content: refused by name, or compared."""

import random
from typing import Any

import orjson

from benchmarks.fuzzing.routing import explained, mutate
from sluice.analysis.compare import compare
from sluice.errors import SpecError
from sluice.metrics.answers import NotComparable, fields_of
from sluice.metrics.pairs_codec import decode_pairs, encode_pairs
from sluice.nouns import Answer

SEED: dict[str, Any] = {
    "router": "router-0",
    "cursor": "3fa1c02b:7",
    "pairs": [
        {
            "request_id": "8a5e",
            "stable": "v1",
            "candidate": "v2",
            "primary": {"status": 200, "duration_us": 900, "body": "eyJhIjogMX0="},
            "shadow": {"status": 500, "duration_us": 9, "cut": True, "encoding": "gzip"},
            "again": {"status": 200, "duration_us": 1, "json_bytes": 3, "media_type": "a/b"},
        }
    ],
    "missed": 1,
    "alone": 2,
    "more": True,
}
ANSWER: dict[str, Any] = {
    "model_name": "taxi",
    "outputs": [
        {"name": "fare", "datatype": "FP32", "shape": [2], "data": [1.5, 2]},
        {"name": "raw", "datatype": "INT8", "parameters": {"binary_data_size": 2}},
    ],
}


def check(rng: random.Random) -> None:
    """Decode one mutated page, and read one mutated answer.

    Raises:
        AssertionError: accepted and not kept whole, or unequal to itself.
    """
    document = orjson.loads(orjson.dumps(SEED))
    for _ in range(rng.randrange(4)):
        mutate(document, rng)
    data = bytearray(orjson.dumps(document))
    if rng.random() < 0.3:
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    fuzz_page(bytes(data))
    answer = orjson.loads(orjson.dumps(ANSWER))
    for _ in range(rng.randrange(4)):
        mutate(answer, rng)
    body = orjson.dumps(answer)
    binary = rng.random() < 0.5
    fuzz_answer(body + rng.randbytes(rng.randrange(4)), len(body) if binary else None)


def fuzz_page(data: bytes) -> None:
    """Give any bytes to the parser of pages.

    Raises:
        AssertionError: accepted and not kept whole, or refused without a fault.
    """
    try:
        batch = decode_pairs(data)
    except SpecError as error:
        explained(error)
        return
    (router,) = batch.cursors
    assert decode_pairs(encode_pairs(router, batch)) == batch


def fuzz_answer(body: bytes, json_bytes: int | None) -> None:
    """Give any bytes to the reader of answers.

    Raises:
        AssertionError: read, and unequal to itself.
    """
    try:
        fields = fields_of(Answer(status=200, duration_us=1, body=body, json_bytes=json_bytes))
    except NotComparable:
        return
    assert compare(fields, fields, ())[1] == ()
