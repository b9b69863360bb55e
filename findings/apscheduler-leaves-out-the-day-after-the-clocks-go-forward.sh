#!/usr/bin/env bash
# APScheduler 3.11.3: a job that runs each day soon after midnight does not run on the day after the clocks go forward.
#
# Most would expect: a cron trigger with a time zone fires each day at the time that it names. Only times that a clock shows
# twice or never are in doubt, and 00:30 on the Monday after the change is neither, nor is 00:30 on the first of April.
# Seen: to get to the next day, or month, the trigger works out how far away its midnight is by the clock, and goes that far
# in real time. From the Sunday that has 23 hours it arrives at 01:00, and looks for 00:30 from there. So what is due
# in the first hour of Monday is passed over: a daily job leaves out a day, a weekly one a week, a monthly one April.
# Jobs at 01:00 or later run. Nothing is logged, as the time was never due. It is so wherever clocks go forward by night; an
# issue of 2022 says it of midnight in California, and is closed (agronholm/apscheduler#606).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'apscheduler==3.11.3' 'tzdata==2026.6'
# An empty PYTHONTZPATH: the package's zones, not the system's.
PYTHONTZPATH='' "$folder/venv/bin/python" - <<'PYTHON'
import sys
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger


def times(crontab: str, zone: ZoneInfo, begin: datetime, number: int) -> list[str]:
    """When the scheduler would run it: it asks for the next time a moment after each."""
    trigger = CronTrigger.from_crontab(crontab, timezone=zone)
    due, now = None, begin.replace(tzinfo=zone)
    found = []
    for _ in range(number):
        due = trigger.get_next_fire_time(due, now)
        now = (due.astimezone(timezone.utc) + timedelta(milliseconds=5)).astimezone(zone)
        found.append(f"{due:%b %d %H:%M}")
    return found


BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
# The clocks go forward on Sunday, March 28 2027, in Berlin, and on Sunday, March 14, in New York.
CASES = [
    ("30 0 * * *", BERLIN, datetime(2027, 3, 26, 12), ["Mar 27 00:30", "Mar 28 00:30", "Mar 29 00:30"], ["Mar 27 00:30", "Mar 28 00:30", "Mar 30 00:30"]),
    ("0 1 * * *", BERLIN, datetime(2027, 3, 26, 12), ["Mar 27 01:00", "Mar 28 01:00", "Mar 29 01:00"], ["Mar 27 01:00", "Mar 28 01:00", "Mar 29 01:00"]),
    ("15 0 * * mon", BERLIN, datetime(2027, 3, 20, 12), ["Mar 22 00:15", "Mar 29 00:15", "Apr 05 00:15"], ["Mar 22 00:15", "Apr 05 00:15", "Apr 12 00:15"]),
    ("0 0 1 * *", BERLIN, datetime(2027, 2, 15, 12), ["Mar 01 00:00", "Apr 01 00:00", "May 01 00:00"], ["Mar 01 00:00", "May 01 00:00", "Jun 01 00:00"]),
    ("30 0 * * *", NEW_YORK, datetime(2027, 3, 12, 12), ["Mar 13 00:30", "Mar 14 00:30", "Mar 15 00:30"], ["Mar 13 00:30", "Mar 14 00:30", "Mar 16 00:30"]),
]
print(*(f"{name} {version(name)}" for name in ("apscheduler", "tzdata")), "on Python", sys.version.split()[0])
changed = False
for crontab, zone, begin, expected, known in CASES:
    seen = times(crontab, zone, begin, len(known))
    print(f"{crontab} in {zone}\n  expected {', '.join(expected)}\n  seen     {', '.join(seen)}")
    changed |= seen != known
if changed:
    sys.exit("not seen")
print("seen")
PYTHON
