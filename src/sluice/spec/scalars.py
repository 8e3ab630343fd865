"""The scalars of our YAML: durations, percentages, names, hosts; parsed to integers in base units.

Every parser says in one line what is wrong and what to write instead.
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from sluice.nouns import BP_TOTAL

UNITS_MS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
LONGEST_MS = 8_760 * UNITS_MS["h"]
_DURATION = re.compile("([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?")
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
OWN_HEADERS = ("x-sluice-version", "x-sluice-generation", "x-sluice-shadow")
PROTOCOL_HEADERS = ("host", "connection", "content-length", "transfer-encoding", "te", "upgrade")


def wrong(reason: str) -> PydanticCustomError:
    """An error whose text is already in our words."""
    return PydanticCustomError("sluice", "{reason}", {"reason": reason})


def quoted(text: str) -> str:
    """Text of a file for a message: short, in quotes, what a terminal would obey escaped."""
    text = json.dumps(text if len(text) <= 60 else text[:57] + "...", ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def shown(value: Any) -> str:
    """A value of a file in a few words for a message."""
    match value:
        case None:
            return "nothing"
        case str():
            return quoted(value)
        case dict():
            return "an object"
        case list() | tuple():
            return "a list"
        case _:
            text = json.dumps(value)
            return text if len(text) <= 60 else text[:57] + "..."


# --- durations ---------------------------------------------------------------------------------


def parse_duration(value: object) -> int:
    """Milliseconds of a duration such as ``30s``, ``2m``, ``1h30m`` or ``500ms``.

    Raises:
        PydanticCustomError: it is not one, or longer than a year; the text says what to write.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise wrong(f'{shown(value)} has no unit: write "{shown(value)}s" for seconds')
    if not isinstance(value, str):
        raise wrong(f"must be a duration such as 30s, 2m, 1h30m or 500ms, not {shown(value)}")
    found = _DURATION.fullmatch(value) if len(value) <= 40 else None
    if not value or found is None:
        raise wrong(
            f"{shown(value)} is not a duration: write whole numbers with the units h, m, s, ms in "
            "this order, such as 30s, 2m, 1h30m or 500ms"
        )
    ms = sum(
        int(part.rstrip("hms")) * size
        for part, size in zip(found.groups(), UNITS_MS.values(), strict=True)
        if part is not None
    )
    if ms > LONGEST_MS:
        raise wrong(f"{shown(value)} is longer than a year (8760h)")
    return ms


def format_duration(ms: int) -> str:
    """The shortest duration text that ``parse_duration`` reads as so many milliseconds."""
    text = ""
    rest = ms
    for unit, size in UNITS_MS.items():
        count, rest = divmod(rest, size)
        if count:
            text += f"{count}{unit}"
    return text or "0s"


def _between(low_ms: int, high_ms: int) -> Callable[[int], int]:
    def check(ms: int) -> int:
        if ms < low_ms:
            raise wrong(f"must be at least {format_duration(low_ms)}, not {format_duration(ms)}")
        if ms > high_ms:
            raise wrong(f"must be at most {format_duration(high_ms)}, not {format_duration(ms)}")
        return ms

    return check


_DURATION_SCHEMA = {
    "title": "duration",
    "type": "string",
    "pattern": f"^{_DURATION.pattern}$",
    "minLength": 2,
    "maxLength": 40,
    "examples": ["30s", "2m", "1h30m", "500ms"],
}
Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_DURATION_SCHEMA),
]
PositiveDuration = Annotated[
    Duration,
    AfterValidator(_between(1, LONGEST_MS)),
    WithJsonSchema({**_DURATION_SCHEMA, "x-least": "1ms"}),
]
PollDuration = Annotated[
    Duration,
    AfterValidator(_between(100, 60_000)),
    WithJsonSchema({**_DURATION_SCHEMA, "x-least": "100ms", "x-most": "1m"}),
]


# --- percentages -------------------------------------------------------------------------------


def parse_weight(value: object) -> int:
    """Basis points of a candidate's share given in percent, with up to two decimals.

    Raises:
        PydanticCustomError: not a number, finer than 0.01%, below 0, or 100 and more.
    """
    if isinstance(value, str) and value.endswith("%"):
        raise wrong(
            f"must be a number of percent: write it without quotes and sign, not {shown(value)}"
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(f"must be a number of percent, such as 5 or 0.25, not {shown(value)}")
    bp = Decimal(repr(value)) * 100
    if not bp.is_finite() or bp < 0:
        raise wrong(f"must be a share of the requests from 0 to 99.99 percent, not {value}")
    if bp == BP_TOTAL:
        raise wrong(
            "only promotion reaches 100%: leave this step out, the candidate gets every request "
            "when it has passed"
        )
    if bp > BP_TOTAL:
        raise wrong(f"{shown(value)} is over 100 percent")
    if bp != bp.to_integral_value():
        raise wrong(f"{shown(value)} is finer than 0.01 percent, which is the smallest share")
    return int(bp)


def format_percent(bp: int) -> int | float:
    """Percent of basis points, whole where it can be."""
    return bp // 100 if bp % 100 == 0 else bp / 100


Weight = Annotated[
    int,
    PlainValidator(parse_weight),
    PlainSerializer(format_percent),
    WithJsonSchema({"title": "percent", "type": "number", "minimum": 0, "exclusiveMaximum": 100}),
]
"""Percent in the file (up to two decimals), basis points in the model."""


def _over_zero(bp: int) -> int:
    if bp == 0:
        raise wrong("must be over 0 percent")
    return bp


PositiveWeight = Annotated[
    Weight,
    AfterValidator(_over_zero),
    WithJsonSchema(
        {"title": "percent", "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100}
    ),
]


def _share(value: object) -> int:
    return (
        BP_TOTAL if value in (100, 100.0) and not isinstance(value, bool) else parse_weight(value)
    )


_SHARE = {"title": "percent", "type": "number", "maximum": 100}
Share = Annotated[
    int,
    PlainValidator(_share),
    PlainSerializer(format_percent),
    WithJsonSchema({**_SHARE, "minimum": 0}),
]
"""A share of something but of live requests: 100 percent is fine."""
PositiveShare = Annotated[
    Share, AfterValidator(_over_zero), WithJsonSchema({**_SHARE, "exclusiveMinimum": 0})
]


# --- text --------------------------------------------------------------------------------------

Text = Annotated[str, Strict()]
Words = Annotated[str, Strict(), Field(min_length=1)]
ShortWords = Annotated[str, Strict(), Field(min_length=1, max_length=100)]
Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    hint = f": put it in quotes, {quoted(str(value))}" if _is_number(value) else ""
    raise wrong(f"must be text, not {shown(value)}{hint}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def label(longest: int, *, letter_first: bool = False) -> Callable[[object], str]:
    """Parser of a DNS label: a name that Kubernetes and host names can carry."""

    def parse(value: object) -> str:
        text = _text(value)
        fine = len(text) <= longest and _LABEL.fullmatch(text) is not None
        if fine and not (letter_first and not text[0].isalpha()):
            return text
        first = "begins with a letter" if letter_first else "begins with a letter or a digit"
        raise wrong(
            f"{shown(text)} is not a name: use lower-case letters, digits and '-', "
            f"{first}, ends with a letter or a digit, at most {longest} characters"
        )

    return parse


_LABEL_SCHEMA = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
Name = Annotated[str, PlainValidator(label(63)), WithJsonSchema({**_LABEL_SCHEMA, "maxLength": 63})]
ReleaseName = Annotated[
    str,
    # A Deployment is called NAME-REVISION, and the Service like the release: 63 - 1 - 10, and room.
    PlainValidator(label(50, letter_first=True)),
    WithJsonSchema({"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$", "maxLength": 50}),
]
PortName = Annotated[
    str, PlainValidator(label(15)), WithJsonSchema({**_LABEL_SCHEMA, "maxLength": 15})
]


def parse_host(value: object) -> str:
    """A host name without scheme and port, or ``*``.

    Raises:
        PydanticCustomError: it is not one; the text says why.
    """
    text = _text(value)
    if text == "*":
        return text
    if "://" in text or "/" in text:
        raise wrong(f"{shown(text)}: write the host name only, without scheme and path")
    if ":" in text:
        raise wrong(f"{shown(text)}: write the host name without its port; any port matches")
    if text.startswith("*"):
        raise wrong(f'{shown(text)}: a host is written out, or "*" takes what no other claims')
    if text != text.lower():
        raise wrong(f"{shown(text)}: write host names in lower case")
    labels = text.split(".")
    if len(text) <= 253 and all(len(p) <= 63 and _LABEL.fullmatch(p) for p in labels):
        return text
    raise wrong(f"{shown(text)} is not a host name such as taxi or taxi.example.com")


_HOST_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
Host = Annotated[
    str,
    PlainValidator(parse_host),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^(\*|{_HOST_LABEL}(\.{_HOST_LABEL})*)$",
            "maxLength": 253,
        }
    ),
]


def _header(value: object) -> str:
    text = _text(value).lower()
    if not _TOKEN.fullmatch(text) or len(text) > 100:
        raise wrong(f"{shown(value)} is not the name of an HTTP header")
    if text in PROTOCOL_HEADERS:
        raise wrong(f"{shown(value)} belongs to the protocol: choose a header of your own")
    if text in OWN_HEADERS:
        raise wrong(f"{shown(value)} is written by the router: choose another header")
    return text


def _user_header(value: object) -> str:
    text = _header(value)
    if text.startswith("x-sluice-"):
        raise wrong(f"{shown(value)}: headers that begin with x-sluice- belong to the router")
    return text


def _cookie(value: object) -> str:
    text = _text(value)
    if not _TOKEN.fullmatch(text.lower()) or len(text) > 100:
        raise wrong(f"{shown(value)} is not the name of a cookie")
    return text


_TOKEN_SCHEMA = {"type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "maxLength": 100}
Header = Annotated[
    str, PlainValidator(_header), WithJsonSchema({**_TOKEN_SCHEMA, "x-header": "chosen"})
]
"""Name of a request header, in lower case."""
UserHeader = Annotated[
    str, PlainValidator(_user_header), WithJsonSchema({**_TOKEN_SCHEMA, "x-header": "client"})
]
"""A header that clients set: not one of the router's own."""
Cookie = Annotated[str, PlainValidator(_cookie), WithJsonSchema(_TOKEN_SCHEMA)]


def _digest(value: object) -> str:
    text = _text(value)
    if not _DIGEST.fullmatch(text):
        raise wrong(f'{shown(text)} is not a digest: write "sha256:" and 64 hexadecimal digits')
    return text


Digest = Annotated[
    str,
    PlainValidator(_digest),
    WithJsonSchema({"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}),
]


def _port(value: object) -> str | int:
    if isinstance(value, str):
        try:
            return label(15)(value)
        except PydanticCustomError:
            raise wrong(
                f"{shown(value)} is not a port: write its number without quotes, or the name of a "
                "container port (lower-case letters, digits and '-', at most 15)"
            ) from None
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65_535:
        return value
    raise wrong(f"must be a port's name or its number from 1 to 65535, not {shown(value)}")


Port = Annotated[
    str | int,
    PlainValidator(_port),
    WithJsonSchema(
        {
            "anyOf": [
                {**_LABEL_SCHEMA, "maxLength": 15},
                {"type": "integer", "minimum": 1, "maximum": 65_535},
            ]
        }
    ),
]
"""Name or number of a container port."""


def _url(value: object) -> str:
    text = _text(value)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        port, parts = None, urlsplit("")
    fine = parts.scheme in ("http", "https") and parts.hostname and port != 0
    if not fine or not text.isascii() or not text.isprintable() or " " in text or len(text) > 2_000:
        raise wrong(f"{shown(text)} is not an address such as https://example.com/hook")
    if parts.username or parts.password:
        raise wrong("holds a name or a password: keep secrets in an environment variable")
    return text


def _variable(value: object) -> str:
    text = _text(value)
    if not _VARIABLE.fullmatch(text) or len(text) > 100:
        raise wrong(f"{shown(text)} is not the name of an environment variable, such as HOOK_KEY")
    return text


Url = Annotated[
    str,
    PlainValidator(_url),
    WithJsonSchema(
        {"title": "address", "type": "string", "pattern": "^https?://[!-~]+$", "maxLength": 2_000}
    ),
]
"""An http or https address without credentials."""
EnvName = Annotated[
    str,
    PlainValidator(_variable),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "maxLength": 100}),
]
"""Name of an environment variable of the controller or supervisor."""
