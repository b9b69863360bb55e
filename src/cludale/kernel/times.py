"""Times are aware datetimes in UTC. Pure helpers only: the clock itself is a port."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

import msgspec

LONGEST_TIME: Final = 64
"""Characters of a time as others write it; .NET and Java write up to nine digits of a second, some write more."""

_TIME: Final = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[Tt](?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d+))?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<hours>\d\d):(?P<minutes>\d\d))",
    re.ASCII,
)
_WITHOUT_OFFSET: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def parse_time(text: str) -> datetime:
    """The time that `text` says, with the offset that it says: the one rule for bodies, queries and commands.

    RFC 3339, `2027-06-05T19:30:00Z`. Of a second six digits count, what comes after them is cut: a time is never
    rounded into the next second or year. A leap second is the last microsecond before it. Raises ValueError, with
    words for whoever sent it.
    """
    match = _TIME.fullmatch(text) if len(text) <= LONGEST_TIME else None
    if match is None:
        raise ValueError(
            "needs an offset, `Z` for UTC: 2027-06-05T19:30:00Z"
            if _WITHOUT_OFFSET.fullmatch(text)
            else "must be a time (RFC 3339): 2027-06-05T19:30:00Z"
        )
    day = parse_date(match["date"])
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("has an hour above 23, a minute above 59 or a second above 60")
    offset = timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
    if offset >= timedelta(days=1) or int(match["minutes"] or 0) > 59:
        raise ValueError("has an offset beyond 23:59")
    zone = UTC if not offset else timezone(-offset if match["sign"] == "-" else offset)
    microsecond = int((match["fraction"] or "")[:6].ljust(6, "0"))
    if second == 60:
        second, microsecond = 59, 999_999
    said = datetime(day.year, day.month, day.day, hour, minute, second, microsecond, tzinfo=zone)
    try:
        in_utc = said.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range: the years in UTC are 0001 to 9999") from None
    if match["second"] == "60" and not _may_have_a_leap_second(in_utc):
        raise ValueError("has a second 60, which only the last minute of a month in UTC can have")
    return said


def parse_date(text: str) -> date:
    """The date that `text` says, `2027-06-05`. Raises ValueError, with words for whoever sent it."""
    if not _DATE.fullmatch(text):
        raise ValueError("must be a date: 2027-06-05")
    if text.startswith("0000"):
        raise ValueError("is out of range: the years are 0001 to 9999")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("has a day that the calendar does not have") from None


def check_time(text: str) -> None:
    """Raises ValueError, with words for whoever sent it, for what `parse_time` doesn't read."""
    parse_time(text)


def check_date_or_time(text: str) -> None:
    """Raises ValueError, with words for whoever sent it, for what is neither a date nor a time."""
    if _DATE.fullmatch(text):
        parse_date(text)
    elif "T" in text.upper():
        parse_time(text)
    else:
        raise ValueError("must be a date, 2027-06-05, or a time, 2027-06-05T19:30:00Z")


def _may_have_a_leap_second(moment: datetime) -> bool:
    """RFC 3339, appendix D: they end a month, in UTC."""
    if (moment.hour, moment.minute) != (23, 59):
        return False
    return (moment.year, moment.month, moment.day) == (9999, 12, 31) or (moment + timedelta(days=1)).day == 1


def rfc3339(moment: datetime) -> str:
    """`2026-11-22T19:30:00.000000Z`: fixed width, so that text order is time order."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    text: str = msgspec.to_builtins(moment)  # a sixth of what strftime takes, and years keep 4 digits
    return text if len(text) == 27 else f"{text[:-1]}.000000Z"


def whole_second_after(moment: datetime, seconds: float) -> datetime:
    """The first whole second at least `seconds` after `moment`.

    Holds end on whole seconds, so that a section can keep its holds as one count a second.
    """
    end = moment + _span(seconds)
    return end if end.microsecond == 0 else end + timedelta(0, 1, -end.microsecond)


@lru_cache(maxsize=16)
def _span(seconds: float) -> timedelta:
    """Making one takes longer than adding it, and all holds last as long."""
    return timedelta(seconds=seconds)


def epoch_second(moment: datetime) -> int:
    """Seconds since 1970, whole."""
    return int(moment.timestamp())
