"""When a concert is, as its organizer wrote it: a day, `2027-06-05`, or a time with its offset. No clock.

What is written with an offset keeps it: it says which day it is there. A day of a concert whose zone is known begins
and ends there. Without either, it may be anywhere: it begins as in UTC, and is over when it is over everywhere.
"""

from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

LONGEST = timedelta(days=31)
"""How long after its begin a concert ends at the latest: what is on at some time began no earlier than that before."""

LAST_PLACE = timedelta(hours=-12)
"""The offset in which a day ends last."""

_LAST = datetime.max.replace(tzinfo=UTC)
_REMEMBERED = 1_024
"""Dates that are worked out once: every order asks whether its concert is over."""


def is_day(text: str) -> bool:
    """Is it a day, not a time?"""
    return "T" not in text


def local_day(text: str) -> str:
    """The day there, in its own offset."""
    return text[:10]


@lru_cache(maxsize=_REMEMBERED)
def begins(text: str, zone: str | None = None) -> datetime:
    """The first moment of the day (in `zone`, else as in UTC), or the time itself, in UTC."""
    if is_day(text):
        return _midnight(msgspec.convert(text, date), zone)
    return msgspec.convert(text, datetime).astimezone(UTC)


def _midnight(day: date, zone: str | None) -> datetime:
    try:
        return datetime.combine(day, datetime.min.time(), UTC if zone is None else ZoneInfo(zone)).astimezone(UTC)
    except OverflowError:
        return datetime.combine(day, datetime.min.time(), UTC)


@lru_cache(maxsize=_REMEMBERED)
def ends(text: str, *, as_in: str | None = None, zone: str | None = None) -> datetime:
    """The moment in which the day is over, or the time itself, in UTC.

    A day is over in `zone`; else its offset is that of `as_in`; where that has none, when it is over everywhere.
    """
    if not is_day(text):
        return begins(text)
    try:
        if zone is not None:
            return _midnight(msgspec.convert(text, date) + timedelta(days=1), zone)
        return begins(text) + timedelta(days=1) - _offset(as_in)
    except OverflowError:
        return _LAST


def over(written: str, ends_at: str | None, zone: str | None = None) -> datetime:
    """When a concert of this date is over: its end; without one the time at which it begins, or the end of its day."""
    return ends(written, zone=zone) if ends_at is None else ends(ends_at, as_in=written, zone=zone)


def _offset(text: str | None) -> timedelta:
    if text is None or is_day(text):
        return LAST_PLACE
    return msgspec.convert(text, datetime).utcoffset() or timedelta()


def written(moment: datetime, offset: timedelta) -> str:
    """A time to the second, in its offset: `2027-06-05T19:30:00-04:00`, or with `Z`."""
    local = moment.astimezone(timezone(offset))
    return local.isoformat(timespec="seconds").replace("+00:00", "Z")


@lru_cache(maxsize=_REMEMBERED)
def by_todays_rules(text: str, zone: str | None) -> str | None:
    """What the moment is in `zone` by the rules of today, where its clocks had other rules when it was written: so what
    people there read off the wall is another time than what stands here. None: it is the same.
    """
    if zone is None or is_day(text):
        return None
    said = msgspec.convert(text, datetime)
    offset = said.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
    return None if offset == said.utcoffset() else written(said, offset)


def days_around(since: str | None, until: str | None) -> tuple[str | None, str | None]:
    """Between which texts the `date` of a concert can be that is on from `since` to `until`, each a day or a time.

    Text order is the order of the days as they are written, whatever the offset.
    """
    first = None if since is None else _shifted(since, -LONGEST - timedelta(days=0 if is_day(since) else 1))
    last = None if until is None else _shifted(until, timedelta(days=0 if is_day(until) else 1)) + "\x7f"
    return first, last


def _shifted(text: str, by: timedelta) -> str:
    try:
        return (msgspec.convert(local_day(text), date) + by).isoformat()
    except OverflowError:
        return (date.min if by < timedelta() else date.max).isoformat()
