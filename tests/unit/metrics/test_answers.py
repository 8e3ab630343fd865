"""Captured answers field by field: V2 in JSON and binary, ``/predict``, any JSON, and the rest."""

import contextlib
import gzip
import struct
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.analysis.compare import Fields
from sluice.metrics.answers import MAX_FIELDS, MAX_PLAIN_BYTES, NotComparable, fields_of
from sluice.nouns import Answer


def read(document: Any, **changes: Any) -> Fields:
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    given: dict[str, Any] = {"media_type": "application/json", **changes}
    return fields_of(Answer(status=200, duration_us=1, body=body, **given))


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        pytest.param(
            {
                "model_name": "taxi",
                "model_version": "2",
                "id": "x",
                "outputs": [
                    {"name": "duration", "datatype": "FP32", "shape": [2, 1], "data": [[1.5], [2]]},
                    {"name": "class", "datatype": "BYTES", "shape": [1], "data": ["a"]},
                ],
            },
            {"duration": (1.5, 2), "class": ("a",)},
            id="v2",
        ),
        pytest.param(
            {"prediction": 12.9, "model": "taxi", "version": "2", "prediction_id": "a"},
            {"prediction": (12.9,)},
            id="predict",
        ),
        pytest.param(
            [
                {"prediction": {"fare": 1, "tip": [2, 3]}, "version": "2", "prediction_id": "a"},
                {"prediction": {"fare": 4, "tip": []}, "version": "2", "prediction_id": "b"},
            ],
            {"fare": (1, 4), "tip": (2, 3)},
            id="predict-with-outputs-by-name",
        ),
        pytest.param(
            {"a": {"b": [1, {"c": None}], "d": True}},
            {"a.b": (1,), "a.b.c": (None,), "a.d": (True,)},
            id="any-json",
        ),
        pytest.param([1, [2, "x"]], {"(value)": (1, 2, "x")}, id="a-bare-list"),
        pytest.param({"prediction": 1}, {"prediction": (1,)}, id="like-predict-and-not-it"),
    ],
)
def test_json_answers(document: Any, wanted: Fields) -> None:
    assert read(document) == wanted


def binary(*tensors: tuple[str, str, bytes]) -> tuple[bytes, int]:
    outputs = [
        {
            "name": name,
            "datatype": kind,
            "shape": [1],
            "parameters": {"binary_data_size": len(raw)},
        }
        for name, kind, raw in tensors
    ]
    head = orjson.dumps({"model_name": "m", "outputs": outputs})
    return head + b"".join(raw for _, _, raw in tensors), len(head)


@pytest.mark.parametrize(
    ("kind", "raw", "wanted"),
    [
        ("FP32", struct.pack("<2f", 1.5, -2.0), (1.5, -2.0)),
        ("FP64", struct.pack("<d", 0.1), (0.1,)),
        ("FP16", struct.pack("<e", 0.5), (0.5,)),
        ("INT64", struct.pack("<2q", -(2**62), 3), (-(2**62), 3)),
        ("UINT8", b"\x01\xff", (1, 255)),
        ("BOOL", b"\x01\x00", (True, False)),
        ("BYTES", struct.pack("<I", 2) + b"ab" + struct.pack("<I", 0), ("ab", "")),
    ],
)
def test_binary_tensors(kind: str, raw: bytes, wanted: tuple[object, ...]) -> None:
    body, length = binary(("x", kind, raw), ("y", "INT32", struct.pack("<i", 7)))
    found = read(body, json_bytes=length, media_type="application/octet-stream")
    assert found == {"x": wanted, "y": (7,)}


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP ", gzip.compress)],
)
def test_packed_answers(encoding: str, pack: Any) -> None:
    assert read(pack(b'{"a": 1}'), encoding=encoding) == {"a": (1,)}


@pytest.mark.parametrize(
    ("body", "changes", "why"),
    [
        pytest.param(b"{}", {"cut": True}, "longer than the router keeps", id="cut"),
        pytest.param(b"data: 1", {"media_type": "text/event-stream; a=b"}, "text/event-stream"),
        pytest.param(b"<html>", {}, "not JSON"),
        pytest.param(b"", {}, "not JSON", id="empty"),
        pytest.param(b"{}", {"encoding": "br"}, "content encoding br"),
        pytest.param(b"{}", {"encoding": "gzip"}, "broken gzip"),
        pytest.param(
            gzip.compress(b"1" * (MAX_PLAIN_BYTES + 9)),
            {"encoding": "gzip"},
            "longer than is unpacked",
            id="bomb",
        ),
        pytest.param(
            orjson.dumps({str(n): n for n in range(MAX_FIELDS + 1)}), {}, "fields", id="many"
        ),
        pytest.param(b'{"outputs": [1]}', {}, "not V2"),
        pytest.param(b'{"outputs": [{"name": "a"}]}', {}, "not V2"),
        pytest.param(b"[]", {"json_bytes": 2}, "not V2"),
    ],
)
def test_what_cannot_be_compared_says_why(body: bytes, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(NotComparable, match=why):
        read(body, **changes)


@pytest.mark.parametrize(
    ("kind", "raw", "why"),
    [
        ("FP32", b"123", "broken binary tensor"),
        ("BYTES", struct.pack("<I", 9) + b"short", "broken binary tensor"),
        ("BYTES", b"12", "broken binary tensor"),
        ("BF16", b"12", "binary tensors of BF16"),
    ],
)
def test_a_binary_tensor_that_cannot_be_read_says_why(kind: str, raw: bytes, why: str) -> None:
    body, length = binary(("x", kind, raw))
    with pytest.raises(NotComparable, match=why):
        read(body, json_bytes=length)


@given(
    st.binary(max_size=200),
    st.none() | st.integers(0, 200),
    st.sampled_from(["", "gzip", "deflate"]),
)
def test_any_bytes_are_read_or_refused(body: bytes, json_bytes: int | None, encoding: str) -> None:
    with contextlib.suppress(NotComparable):
        read(body, json_bytes=json_bytes, encoding=encoding)
