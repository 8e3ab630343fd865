"""What a captured answer says, field by field: V2 outputs, ``/predict``, or any JSON.

Reference of the formats: Open Inference Protocol V2 with its binary tensor extension.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from sluice.analysis.compare import Fields, Scalar
from sluice.nouns import Answer

MAX_PLAIN_BYTES = 4 << 20
"""Longest body after decompression."""
MAX_FIELDS = 1_000
"""Most fields of one answer."""
VALUE = "(value)"
"""The field of an answer that is one bare value, or a list of them."""

_STRUCT = {
    "BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B",
    "UINT16": "H", "UINT32": "I", "UINT64": "Q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip


class NotComparable(Exception):  # noqa: N818  # says what the answer is, not that we failed
    """An answer that has no fields; the message is why, the same for all of its kind."""


def fields_of(answer: Answer) -> Fields:
    """Every field of an answer with its values, in order.

    Raises:
        NotComparable: it was cut, is no JSON, or is packed in a way that is not known.
    """
    if answer.cut:
        raise NotComparable("longer than the router keeps")
    body = _plain(answer)
    kind = answer.media_type.partition(";")[0].strip().lower()
    if answer.json_bytes is not None:
        return _outputs(_parsed(body[: answer.json_bytes]), body[answer.json_bytes :])
    if kind not in ("", "application/json") and not kind.endswith("+json"):
        raise NotComparable(f"content type {kind}")
    document = _parsed(body)
    if isinstance(document, dict) and isinstance(document.get("outputs"), list):
        return _outputs(document, b"")
    found: dict[str, list[Scalar]] = {}
    for path, value in _leaves(_predicted(document), ""):
        found.setdefault(path, []).append(value)
        if len(found) > MAX_FIELDS:
            raise NotComparable(f"more than {MAX_FIELDS} fields")
    return {path: tuple(values) for path, values in found.items()}


def _plain(answer: Answer) -> bytes:
    encoding = answer.encoding.strip().lower()
    if encoding in ("", "identity"):
        return answer.body
    if encoding not in ("gzip", "deflate"):
        raise NotComparable(f"content encoding {encoding}")
    # 32 + 15: a header of either kind is recognised.
    unpack = zlib.decompressobj(47)
    try:
        body = unpack.decompress(answer.body, MAX_PLAIN_BYTES)
    except zlib.error as error:
        raise NotComparable(f"broken {encoding}") from error
    if unpack.unconsumed_tail:
        raise NotComparable("longer than is unpacked")
    return body


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotComparable("not JSON") from error


def _predicted(document: Any) -> Any:
    """Of an answer of ``/predict``, the prediction: beside it are ids and the version."""
    if isinstance(document, list):
        return [_predicted(item) for item in document]
    if isinstance(document, dict) and "prediction" in document and "prediction_id" in document:
        prediction = document["prediction"]
        return prediction if isinstance(prediction, dict) else {"prediction": prediction}
    return document


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Scalar]]:
    """(dotted path, value) of everything inside; a list adds values to its path, in order."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, path)
    else:
        yield path or VALUE, value


def _outputs(document: Any, raw: bytes) -> Fields:
    """Outputs of V2 by name, from JSON and from the raw tensors behind it."""
    found: dict[str, tuple[Scalar, ...]] = {}
    start = 0
    try:
        for output in document["outputs"]:
            parameters: Mapping[str, Any] = output.get("parameters") or {}
            size = parameters.get("binary_data_size")
            if size is None:
                values = tuple(value for _, value in _leaves(output["data"], VALUE))
            else:
                if not isinstance(size, int) or start + size > len(raw):
                    raise NotComparable("a broken binary tensor")
                values = _tensor(str(output["datatype"]), raw[start : start + size])
                start += size
            found[str(output["name"])] = values
    except (LookupError, TypeError, AttributeError) as error:
        raise NotComparable("outputs that are not V2") from error
    return found


def _tensor(datatype: str, raw: bytes) -> tuple[Scalar, ...]:
    read: Callable[[bytes], Iterator[Scalar]] | None = None
    if datatype == "BYTES":
        read = _strings
    elif datatype in _STRUCT:
        code = struct.Struct("<" + _STRUCT[datatype])

        def read(raw: bytes) -> Iterator[Scalar]:
            return (value for (value,) in code.iter_unpack(raw))

    if read is None:
        raise NotComparable(f"binary tensors of {datatype[:20]}")
    try:
        return tuple(read(raw))
    except struct.error as error:
        raise NotComparable("a broken binary tensor") from error


def _strings(raw: bytes) -> Iterator[Scalar]:
    """Each element is its length, four bytes, and so many bytes."""
    start = 0
    while start < len(raw):
        (length,) = struct.unpack_from("<I", raw, start)
        start += 4
        if start + length > len(raw):
            raise NotComparable("a broken binary tensor")
        yield raw[start : start + length].decode(errors="backslashreplace")
        start += length
