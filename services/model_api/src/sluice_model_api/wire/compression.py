"""gzip and deflate bodies, both ways, with a limit on what a small body may grow to."""

import gzip
import zlib

from sluice_model_api.errors import RequestError

_GZIP = 31
_ZLIB = 15
_RAW = -15


def decompress(body: bytes, encoding: str, *, limit: int) -> bytes:
    """The decompressed body.

    Args:
        body: As received.
        encoding: ``Content-Encoding``: identity, gzip or deflate.
        limit: Largest result, bytes.

    Raises:
        RequestError: unknown encoding (415), damaged data (400) or too large (413).
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _inflate(body, _GZIP, "gzip", limit)
        case "deflate":
            # RFC 9110 means the zlib format; some clients send the bare deflate stream.
            wrapped = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
            return _inflate(body, _ZLIB if wrapped else _RAW, "deflate", limit)
        case other:
            raise RequestError(
                f"Content-Encoding {other[:40]!r} is not supported; send identity, gzip or deflate",
                status=415,
            )


def _inflate(body: bytes, window: int, name: str, limit: int) -> bytes:
    stream = zlib.decompressobj(window)
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise RequestError(f"the body is not valid {name}: {error}") from error
    if len(plain) > limit:
        raise RequestError(f"the body is larger than {limit} bytes when decompressed", status=413)
    if not stream.eof or stream.unused_data:
        raise RequestError(f"the body is not valid {name}: it is cut short or has extra bytes")
    return plain


def choose(accept_encoding: str) -> str:
    """gzip, deflate or empty (identity), by what the client accepts; gzip first."""
    offered = {}
    for part in accept_encoding.lower().split(","):
        coding, _, parameters = part.strip().partition(";")
        refused = parameters.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000")
        offered[coding.strip()] = not refused
    for coding in ("gzip", "deflate"):
        if offered.get(coding):
            return coding
    return ""


def compress(body: bytes, encoding: str) -> bytes:
    """The body as ``encoding`` (gzip or deflate) sends it; level 1: latency counts, not bytes."""
    if encoding == "gzip":
        return gzip.compress(body, compresslevel=1, mtime=0)
    return zlib.compress(body, level=1)
