"""A concert as a calendar entry (RFC 5545). Pure."""

from datetime import UTC, date, datetime, timedelta

from cludale.kernel.times import parse_time
from cludale.pages.shop.views import Summary

CALENDAR = "text/calendar; charset=utf-8"
SHOWN_HOURS = 3
"""How long a concert that doesn't say stands in a calendar."""


def entry(concert: Summary, *, url: str, now: datetime) -> bytes:
    """The file. A day stays a day; a time is written in UTC."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Cludale Tickets//EN",
        "BEGIN:VEVENT",
        f"UID:{concert.id}@cludale",
        f"DTSTAMP:{_utc(now)}",
        *_span(concert),
        f"SUMMARY:{_text(concert.artist)}",
        *([f"LOCATION:{_text(concert.venue)}"] if concert.venue else []),
        f"URL:{url}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(f"{_folded(line)}\r\n" for line in lines).encode()


def _span(concert: Summary) -> list[str]:
    begins, ends = concert.date, concert.ends_at
    if "T" not in begins:
        last = date.fromisoformat((ends or begins)[:10]) + timedelta(days=1)
        return [f"DTSTART;VALUE=DATE:{begins.replace('-', '')}", f"DTEND;VALUE=DATE:{last:%Y%m%d}"]
    start = parse_time(begins)
    end = parse_time(ends) if ends and "T" in ends else start + timedelta(hours=SHOWN_HOURS)
    return [f"DTSTART:{_utc(start)}", f"DTEND:{_utc(end)}"]


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(value: str) -> str:
    return value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", " ")


def _folded(line: str) -> str:
    """In lines of at most 75 bytes, the next ones after a blank."""
    parts: list[str] = []
    part = ""
    for letter in line:
        if len((part + letter).encode()) > (75 if not parts else 74):
            parts.append(part)
            part = ""
        part += letter
    return "\r\n ".join([*parts, part])
