"""A concert as a calendar entry (RFC 5545). Pure."""

from datetime import date, datetime, timedelta

from cludale.kernel.icalendar import content, text, utc, when
from cludale.kernel.times import parse_time
from cludale.pages.shop.views import Summary

CALENDAR = "text/calendar; charset=utf-8"
SHOWN_HOURS = 3
"""How long a concert that doesn't say stands in a calendar."""


def entry(concert: Summary, *, url: str, now: datetime) -> bytes:
    """The file. A day stays a day; a time is written in UTC."""
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Cludale Tickets//EN",
        "BEGIN:VEVENT",
        f"UID:{concert.id}@cludale",
        f"DTSTAMP:{utc(now)}",
        *_span(concert),
        f"SUMMARY:{text(concert.artist)}",
        *([f"LOCATION:{text(concert.where)}"] if concert.where else []),
        f"URL:{url}",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    return content(lines)


def _span(concert: Summary) -> list[str]:
    begins, ends = concert.date, concert.ends_at
    if "T" not in begins:
        last = date.fromisoformat((ends or begins)[:10]) + timedelta(days=1)
        return [when("DTSTART", date.fromisoformat(begins)), when("DTEND", last)]
    start = parse_time(begins)
    end = parse_time(ends) if ends and "T" in ends else start + timedelta(hours=SHOWN_HOURS)
    return [when("DTSTART", start), when("DTEND", end)]
