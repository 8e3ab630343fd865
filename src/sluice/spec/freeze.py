"""Freeze windows: times of the week, on the wall clock of a place."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from sluice.nouns import FreezeWindow
from sluice.spec.base import Related, Relation
from sluice.spec.scalars import Words, shown, wrong

Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
DAYS: tuple[str, ...] = get_args(Day)
_CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII)


def parse_clock(value: object) -> int:
    """Minutes after midnight of a time such as ``22:00``, up to ``24:00``.

    Raises:
        PydanticCustomError: it is not one; the text says what to write.
    """
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    minutes = int(found[1]) * 60 + int(found[2]) if found else -1
    if not 0 <= minutes <= 1_440:
        raise wrong(f'must be a time of day such as "06:00" or "22:30", not {shown(value)}')
    return minutes


def format_clock(minutes: int) -> str:
    """The text that ``parse_clock`` reads as so many minutes."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise wrong(
            f"{shown(name)} is no time zone that this machine knows: write its IANA name, such as "
            "Europe/Berlin or UTC"
        ) from None
    return name


Clock = Annotated[
    int,
    PlainValidator(parse_clock),
    PlainSerializer(format_clock, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", "maxLength": 5}
    ),
]


class FreezeSpec(Related):
    """A time of the week in which no weight grows and nothing is promoted."""

    days: tuple[Day, ...] = Field(default=(), max_length=7)
    """Days on which it begins: ``Mon`` to ``Sun``; left out: every day."""
    from_minute: Clock = Field(alias="from")
    """Begin on the wall clock: ``"22:00"``."""
    to_minute: Clock = Field(alias="to")
    """End: ``"06:00"``; not after the begin means the day after, ``"24:00"`` is midnight."""
    time_zone: Annotated[Words, AfterValidator(_zone)]
    """Whose wall clock: an IANA name such as ``Europe/Berlin``."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """A window has a length."""
        try:
            begin, end = parse_clock(raw.get("from")), parse_clock(raw.get("to"))
        except PydanticCustomError:
            return
        if begin == 1_440:
            yield ("from",), 'write "00:00" for the begin of a day'
        elif begin == end:
            yield ("to",), 'is the begin: for a whole day write from: "00:00", to: "24:00"'
        elif end == 0:
            yield ("to",), 'write "24:00" for the end of a day'

    @property
    def window(self) -> FreezeWindow:
        """The window with its days as numbers."""
        days = self.days or DAYS
        return FreezeWindow(
            days=tuple(i for i, day in enumerate(DAYS) if day in days),
            from_minute=self.from_minute,
            to_minute=self.to_minute,
            time_zone=self.time_zone,
        )
