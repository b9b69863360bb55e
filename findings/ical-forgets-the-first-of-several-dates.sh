#!/usr/bin/env bash
# ical 14.3.1: an event with further dates (RDATE) does not take place on its own.
#
# Most would expect: the dates of an event are that of DTSTART, those of RRULE and those of RDATE (RFC 5545, 3.8.5.2), less those
# of EXDATE. A concert on May 1 that is repeated on May 10 and May 12, a list of dates instead of a rule, has three.
# Seen: two. As soon as there is an RDATE and no RRULE, the timeline has the dates of RDATE alone: the first concert is in no
# calendar, and nothing is said. With an RRULE the first date is there, and so it is when RDATE names it once more.
# recurring-ical-events reads all three from the same file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'ical==14.3.1' 'recurring-ical-events==3.8.2' 'icalendar==7.3.2' 'tzdata==2026.6'
# An empty PYTHONTZPATH: the package's zones, not the system's.
PYTHONTZPATH='' "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys
from datetime import datetime
from importlib.metadata import version
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events
from ical.calendar_stream import IcsCalendarStream

ZONE = ZoneInfo("Europe/Berlin")
BEGIN, END = datetime(2026, 4, 1, tzinfo=ZONE), datetime(2026, 7, 1, tzinfo=ZONE)
AT = ";TZID=Europe/Berlin:"


def file_of(*lines: str) -> str:
    event = ["BEGIN:VEVENT", "UID:1", "DTSTAMP:20260101T000000Z", "SUMMARY:Concert", *lines, "END:VEVENT"]
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//finding//", *event, "END:VCALENDAR", ""])


def by_ical(file: str) -> list[str]:
    calendar = IcsCalendarStream.calendar_from_ics(file)
    return sorted(f"{event.dtstart:%m-%d}" for event in calendar.timeline_tz(ZONE).overlapping(BEGIN, END))


def by_recurring_ical_events(file: str) -> list[str]:
    events = recurring_ical_events.of(icalendar.Calendar.from_ical(file)).between(BEGIN, END)
    return sorted(f"{event['DTSTART'].dt:%m-%d}" for event in events)


START = f"DTSTART{AT}20260501T200000", f"DTEND{AT}20260501T220000"
MORE = f"RDATE{AT}20260510T200000,20260512T200000"
CASES = [
    ("DTSTART and RDATE", (*START, MORE), ["05-01", "05-10", "05-12"], ["05-10", "05-12"]),
    ("the same with whole days", ("DTSTART;VALUE=DATE:20260501", "RDATE;VALUE=DATE:20260510,20260512"), ["05-01", "05-10", "05-12"], ["05-10", "05-12"]),
    ("RDATE names DTSTART, too", (*START, f"RDATE{AT}20260501T200000,20260512T200000"), ["05-01", "05-12"], ["05-01", "05-12"]),
    ("an RRULE as well", (*START, "RRULE:FREQ=WEEKLY;COUNT=2", MORE), ["05-01", "05-08", "05-10", "05-12"], ["05-01", "05-08", "05-10", "05-12"]),
]
print(*(f"{name} {version(name)}" for name in ("ical", "recurring-ical-events", "icalendar")), "on Python", sys.version.split()[0])
changed = False
for name, lines, expected, known in CASES:
    file = file_of(*lines)
    seen = by_ical(file)
    print(f"{name}\n  expected {' '.join(expected)}\n  seen     {' '.join(seen)}")
    changed |= seen != known or by_recurring_ical_events(file) != expected
if changed:
    sys.exit("not seen")
print("seen")
PYTHON
