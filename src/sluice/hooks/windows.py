"""Freeze windows on the clock: whether one is open at a moment, and until when."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sluice.nouns import FreezeWindow

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LONGEST_DAYS = 8
"""Windows that follow each other without a gap are looked along for so long: a frozen week."""


def frozen_until(windows: Sequence[FreezeWindow], at_ms: int) -> str:
    """When the freeze at this moment ends, as people read it; empty: nothing is frozen.

    Windows that overlap or follow each other without a gap are one. A begin or end that the clock
    change skips or repeats is taken so that the window is longer.

    Args:
        windows: Of a policy.
        at_ms: UTC milliseconds.

    Returns:
        ``Mon 2026-11-23 06:00 Europe/Berlin``, on the wall clock of the window that ends last.
    """
    if not windows:
        return ""
    now = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    horizon = now + timedelta(days=LONGEST_DAYS)
    end, zone = now, ""
    while end < horizon:
        later = max(
            ((until, window.time_zone) for window in windows for until in _covering(window, end)),
            default=None,
        )
        if later is None:
            break
        end, zone = later
    return _said(end, zone) if zone else ""


def _covering(window: FreezeWindow, moment: datetime) -> Iterator[datetime]:
    """Ends of the window's openings that ``moment`` lies in."""
    zone = ZoneInfo(window.time_zone)
    today = moment.astimezone(zone).date()
    overnight = window.to_minute <= window.from_minute
    for day in (today - timedelta(days=1), today):
        if day.weekday() not in window.days:
            continue
        begin = _wall(day, window.from_minute, zone, fold=0)
        last = day + timedelta(days=1) if overnight else day
        end = _wall(last, window.to_minute, zone, fold=1)
        if begin <= moment < end:
            yield end


def _wall(day: date, minute: int, zone: ZoneInfo, *, fold: int) -> datetime:
    """A minute of a day on the wall clock, UTC."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  # wall clock, zone below
    local = (midnight + timedelta(minutes=minute)).replace(tzinfo=zone)
    choices = [local.replace(fold=side).astimezone(UTC) for side in (0, 1)]
    return max(choices) if fold else min(choices)


def _said(end: datetime, zone: str) -> str:
    local = end.astimezone(ZoneInfo(zone))
    return f"{DAYS[local.weekday()]} {local:%Y-%m-%d %H:%M} {zone}"
