"""Time zones of concerts, by their IANA names, and local times in them. No clock.

A local time is one that people there read off the wall. In spring an hour of them does not exist, in autumn one exists
twice: the first is refused, the second has to say by its offset which it is.
"""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cludale.kernel import dates
from cludale.kernel.times import parse_date, parse_time

_LOCAL = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d):(\d\d)(?::(\d\d))?", re.ASCII)


def is_local(text: str) -> bool:
    """Is it a time that says no offset?"""
    return _LOCAL.fullmatch(text) is not None


def written(text: str, zone: str | None) -> str:
    """A day as it stands, or a time to the second with its offset there. Raises ValueError, with words for the caller.

    In a zone the offset may be left out, unless the time exists twice; one that is said has to be that of the zone.
    """
    if "T" not in text.upper():
        parse_date(text)
        return text
    if is_local(text):
        if zone is None:
            raise ValueError("needs an offset, `Z` for UTC: 2027-06-05T19:30:00Z; or the concert a `zone`")
        return dates.written(*_with_offset(text, zone))
    said = parse_time(text)
    offset = said.utcoffset() or timedelta()
    if zone is not None and (there := _offset(said, zone)) != offset:
        right = dates.written(said, there)
        raise ValueError(f"is not a time in {zone}, where that moment is {right}")
    return dates.written(said, offset)


def moment(text: str, zone: str | None, *, is_end: bool) -> datetime:
    """The time, with its offset; of a day the first moment of it there, or its end. Raises ValueError."""
    plain = written(text, zone)
    if dates.is_day(plain):
        if zone is None:
            raise ValueError("must be a time (RFC 3339), 2027-06-05T19:30:00Z; a day where the concert has a `zone`")
        return dates.ends(plain, zone=zone) if is_end else dates.begins(plain, zone)
    return datetime.fromisoformat(plain) if is_local(text) else parse_time(text)


def _offset(at: datetime, zone: str) -> timedelta:
    try:
        return at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
    except OverflowError:
        raise ValueError(f"is out of range in {zone}: the years there are 0001 to 9999") from None


def _with_offset(text: str, zone: str) -> tuple[datetime, timedelta]:
    match = _LOCAL.fullmatch(text)
    if match is None:
        raise ValueError("must be a time: 2027-06-05T19:30:00")
    day, hour, minute, second = parse_date(match[1]), int(match[2]), int(match[3]), int(match[4] or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("has an hour above 23, or a minute or a second above 59")
    local = datetime(day.year, day.month, day.day, hour, minute, second)  # noqa: DTZ001 - a time on the wall
    offsets: list[timedelta] = []
    for fold in (0, 1):
        try:
            there = local.replace(tzinfo=ZoneInfo(zone), fold=fold)
            back = there.astimezone(UTC).astimezone(ZoneInfo(zone))
        except OverflowError:
            raise ValueError("is out of range: the years in UTC are 0001 to 9999") from None
        offset = there.utcoffset() or timedelta()
        if back.replace(tzinfo=None, fold=0) == local and offset not in offsets:
            offsets.append(offset)
    if not offsets:
        raise ValueError(f"does not exist in {zone}: the clocks go past it that day")
    times = [(local - offset).replace(tzinfo=UTC) for offset in offsets]
    if len(offsets) > 1:
        ways = " or ".join(dates.written(at, offset) for at, offset in zip(times, offsets, strict=True))
        raise ValueError(f"exists twice in {zone}: say which by its offset, {ways}")
    return times[0], offsets[0]
