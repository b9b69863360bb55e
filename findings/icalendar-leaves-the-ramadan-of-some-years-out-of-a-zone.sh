#!/usr/bin/env bash
# icalendar 7.3.2: the VTIMEZONE that it writes for Casablanca lacks the Ramadan of some years.
#
# Most would expect: `add_missing_timezones` writes every change of the clock between the two dates that it names in the
# file, so that another program, which knows the zones of the file alone, shows each event at its right time.
# Seen: from 2019 to 2026 Morocco put the clock back in Ramadan, for about five weeks. icalendar looks for the next change
# in steps of 64 days, and compares the offset at the end of a step with the one at its beginning. Where a step begins
# before Ramadan and ends after it, both are the same, and both changes are left out. By default 2019 and 2024 are lost,
# and the years between are right. With a `first_date`, which makes the file short, others are: from May 2025 the
# Ramadan of 2026 is there, from June 2025 it is not. Nothing is said. The same befell Cairo in 2010 and Hebron in 2011.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install \
    'icalendar==7.3.2' 'python-dateutil==4.0.0' 'tzdata==2026.6'
# An empty PYTHONTZPATH: the package's zones, not the system's.
PYTHONTZPATH='' "$folder/venv/bin/python" - <<'PYTHON'
import sys
from datetime import date, datetime, timezone
from importlib.metadata import version
from io import StringIO
from zoneinfo import ZoneInfo

import dateutil.tz
from icalendar import Calendar, Event

ZONE = ZoneInfo("Africa/Casablanca")
# A concert at 20:00 in each Ramadan, when the clock there shows UTC.
CONCERTS = [
    datetime(*day, 20, tzinfo=ZONE)
    for day in ((2019, 5, 20), (2020, 5, 5), (2021, 4, 25), (2022, 4, 15), (2023, 4, 5), (2024, 3, 25), (2025, 3, 15), (2026, 3, 1))
]
KNOWN = {None: [2019, 2024], date(2025, 5, 1): [], date(2025, 6, 1): [2026]}


def file_of(concerts: list[datetime], first_date: date | None) -> str:
    calendar = Calendar.new()
    for concert in concerts:
        calendar.add_component(Event.new(start=concert, summary="Concert"))
    calendar.add_missing_timezones(**({"first_date": first_date} if first_date else {}))
    return calendar.to_ical().decode()


print(*(f"{name} {version(name)}" for name in ("icalendar", "python-dateutil", "tzdata")), "on Python", sys.version.split()[0])
changed = any(concert.astimezone(timezone.utc).hour != 20 for concert in CONCERTS)
for first_date, known in KNOWN.items():
    concerts = [concert for concert in CONCERTS if first_date is None or concert.date() > first_date]
    file = file_of(concerts, first_date)
    readers = {
        "icalendar": Calendar.from_ical(file).timezones[0].to_tz(lookup_tzid=False),
        "dateutil": dateutil.tz.tzical(StringIO(file)).get(ZONE.key),
    }
    print(next(line for line in file.splitlines() if line.startswith("COMMENT")))
    for name, zone in readers.items():
        read = {concert.year: concert.replace(tzinfo=zone).astimezone(timezone.utc) for concert in concerts}
        print(f"  concerts in Ramadan, in UTC, read by {name} from the file alone")
        print(f"    expected {' '.join(f'{moment.year} 20:00' for moment in read.values())}")
        print(f"    seen     {' '.join(f'{moment:%Y %H:%M}' for moment in read.values())}")
        changed |= [year for year, moment in read.items() if moment.hour == 19] != known
if changed:
    sys.exit("not seen")
print("seen")
PYTHON
