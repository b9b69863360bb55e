#!/usr/bin/env bash
# Babel 2.19.0 with tzdata 2026.6: the long name of a time zone that keeps its "daylight saving" in winter.
#
# Most would expect: `get_timezone_name` of a moment names the time that clocks there show, as CLDR and ICU
# (so browsers, too) do: Irish Standard Time in July, Greenwich Mean Time in January.
# Seen: the other way round, for Babel asks only whether `dst()` is zero, and the time zone data say since
# 2018 that Ireland takes one hour off in winter. And where a country moves for good to what was its summer
# time, as British Columbia and Alberta did in 2026, the name is that of the time an hour behind.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'babel==2.19.0' 'tzdata==2026.6'
# An empty PYTHONTZPATH: the package's zones, not the system's.
PYTHONTZPATH='' "$folder/venv/bin/python" - <<'PYTHON'
import sys
from datetime import datetime
from importlib.metadata import version
from zoneinfo import ZoneInfo

from babel.dates import get_timezone_gmt, get_timezone_name

print("babel", version("babel"), "tzdata", version("tzdata"), "on Python", sys.version.split()[0])
expected_and_seen = {
    ("Europe/Dublin", 7): ("Irish Standard Time, GMT+01:00", "Greenwich Mean Time, GMT+01:00"),
    ("Europe/Dublin", 1): ("Greenwich Mean Time, GMT+00:00", "Irish Standard Time, GMT+00:00"),
    ("America/Vancouver", 1): ("a name for GMT-07:00", "Pacific Standard Time, GMT-07:00"),
    ("America/Los_Angeles", 1): ("Pacific Standard Time, GMT-08:00", "Pacific Standard Time, GMT-08:00"),
}
changed = False
for (zone, month), (expected, known) in expected_and_seen.items():
    moment = datetime(2027, month, 15, 12, tzinfo=ZoneInfo(zone))
    name = get_timezone_name(moment, "long", locale="en")
    seen = f"{name}, {get_timezone_gmt(moment, width='long', locale='en')}"
    print(f"{moment:%Y-%m-%d} in {zone}\n  expected {expected}\n  seen     {seen}")
    changed |= seen != known
if changed:
    sys.exit("It no longer behaves as described here.")
PYTHON
