"""JSON that would be too long for a status, as one short string."""

import base64
import binascii
import json
import zlib
from typing import Any

from sluice.errors import Fault, SpecError

LONGEST_BYTES = 8 * 1024 * 1024
"""Of JSON: a text that would unpack to more is none of ours."""


def pack(value: Any) -> str:
    """base64 of zlib of the JSON of a value; the same value gives the same text."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 6)).decode("ascii")


def unpack(text: str) -> Any:
    """The value that was packed.

    Raises:
        SpecError: it is no packed text, or one of more than 8 MiB.
    """
    try:
        inflater = zlib.decompressobj()
        content = inflater.decompress(base64.b64decode(text, validate=True), LONGEST_BYTES)
        if not inflater.eof:
            raise ValueError("it is cut off, or too long")
        return json.loads(content)
    except (ValueError, TypeError, RecursionError, binascii.Error, zlib.error) as error:
        fault = Fault(path="packed", reason=f"is not base64 of zlib of JSON: {error}")
        raise SpecError([fault]) from error
