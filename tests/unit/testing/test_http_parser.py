import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.testing.traffic.connection import Body, Head, ProtocolError, parse_head


def test_the_head_tells_status_version_and_length() -> None:
    head = parse_head(
        b"HTTP/1.1 503 Service Unavailable\r\nX-Sluice-Version: v2\r\nContent-Length: 12"
    )
    assert head == Head(status=503, version="v2", keep_alive=True, length=12, chunked=False)


@pytest.mark.parametrize(
    ("block", "keep_alive"),
    [
        pytest.param(b"HTTP/1.1 200 OK", True, id="http-1.1"),
        pytest.param(b"HTTP/1.1 200 OK\r\nconnection: Close", False, id="close"),
        pytest.param(b"HTTP/1.0 200 OK", False, id="http-1.0"),
        pytest.param(b"HTTP/1.0 200 OK\r\nconnection: keep-alive", True, id="1.0-keep-alive"),
    ],
)
def test_a_connection_is_kept_when_the_server_keeps_it(block: bytes, keep_alive: bool) -> None:
    assert parse_head(block).keep_alive is keep_alive


@pytest.mark.parametrize(
    "block",
    [b"SSH-2.0-OpenSSH", b"HTTP/1.1", b"HTTP/1.1 abc", b"HTTP/1.1 200 OK\r\ncontent-length: x"],
)
def test_what_is_not_http_is_a_fault(block: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_head(block)


def chunked(parts: list[bytes], trailer: bytes) -> bytes:
    lines = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in parts if part)
    return lines + b"0\r\n" + trailer + b"\r\n"


@given(
    parts=st.lists(st.binary(max_size=40), max_size=5),
    trailer=st.sampled_from([b"", b"x-trailer: 1\r\n"]),
    plain=st.booleans(),
    cuts=st.lists(st.integers(0, 300), max_size=8),
)
def test_the_end_of_a_body_is_found_however_its_bytes_arrive(
    parts: list[bytes], trailer: bytes, plain: bool, cuts: list[int]
) -> None:
    raw = b"".join(parts) if plain else chunked(parts, trailer)
    length = len(raw) if plain else None
    body = Body(Head(status=200, version="", keep_alive=True, length=length, chunked=not plain))
    whole = raw + b"NEXT"
    borders = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    data, ended = bytearray(), False
    for begin, end in itertools.pairwise(borders):
        assert not ended
        data += whole[begin:end]
        ended = body.feed(data)
    if len(raw) == 0:
        ended = body.feed(data)
    assert ended
    assert not data


def test_a_chunk_without_a_size_is_a_fault() -> None:
    body = Body(Head(status=200, version="", keep_alive=True, length=None, chunked=True))
    with pytest.raises(ProtocolError, match="chunk size"):
        body.feed(bytearray(b"zz\r\n"))
