"""``model-api stream``: lines of JSON in, lines of JSON out, in order, as they arrive."""

import os
from collections.abc import Iterator
from typing import Any

import orjson

from sluice_model_api.model import Model
from sluice_model_api.records import answer_document, dump_line, score_records
from sluice_model_api.tensors import json_name

_READ_BYTES = 1 << 16


def run_stream(model: Model, source: int, target: int) -> tuple[int, int]:
    """Answer every line of a file descriptor until its end.

    What has arrived when the last batch is done is the next batch, so a slow stream is answered
    line by line and a fast one in batches. A bad line gets an answer with ``error``.

    Args:
        model: The loaded bundle.
        source: File descriptor of records, one JSON object a line.
        target: File descriptor for answers, one line each, in the same order.

    Returns:
        Lines answered with a prediction, and lines answered with an error.
    """
    scored = failed = 0
    for lines in _batches(source):
        documents = [_parse(line) for line in lines]
        records = [document for document in documents if isinstance(document, dict)]
        answers = iter(score_records(model, records))
        out = []
        for document in documents:
            if isinstance(document, str):
                out.append(dump_line({"error": document}))
                failed += 1
                continue
            answer = next(answers)
            failed, scored = (failed + 1, scored) if answer.fault else (failed, scored + 1)
            out.append(dump_line(answer_document(model, answer)))
        _write(target, b"".join(out))
    return scored, failed


def _batches(source: int) -> Iterator[list[bytes]]:
    rest = b""
    while chunk := os.read(source, _READ_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        lines = [line for line in lines if line.strip()]
        if lines:
            yield lines
    if rest.strip():
        yield [rest]


def _parse(line: bytes) -> dict[str, Any] | str:
    """The record, or what is wrong with the line."""
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return f"the line is not JSON: {error}"
    if type(document) is not dict:
        return f"expected a JSON object, got {json_name(document)}"
    return document


def _write(target: int, content: bytes) -> None:
    while content:
        content = content[os.write(target, content) :]
