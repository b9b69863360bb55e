#!/usr/bin/env bash
# ical.js 2.2.1: of an event on the 20th Monday of each year it makes one on every Monday.
#
# Most would expect: FREQ=YEARLY;BYDAY=20MO is the 20th Monday of the year. It is one of the examples of RFC 5545 (3.8.5.3), with
# its dates: May 19 1997, May 18 1998, May 17 1999.
# Seen: May 19, May 26 and June 2 1997, a week apart, and so on without end. With a COUNT of three the event is over after two weeks,
# instead of two years; with an INTERVAL of two nothing changes. The 1st Saturday of the year and the last but one are right, and so
# is a number within a month (BYMONTH); of the 53rd Wednesday, which few years have, it makes a day in January of each.
# python-dateutil, another reader of the same rules, gives the dates of the RFC.
#
# Wanted: Node.
set -euo pipefail
command -v npm >/dev/null || { echo "Node is wanted" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts 'ical.js@2.2.1' >npm.log 2>&1 || { cat npm.log >&2; exit 2; }
python3 -m venv venv
venv/bin/pip --disable-pip-version-check --quiet install 'python-dateutil==4.0.0'
cat >rules <<'RULES'
1997-05-19 FREQ=YEARLY;BYDAY=20MO
2026-05-16 FREQ=YEARLY;INTERVAL=2;BYDAY=20SA
2025-12-31 FREQ=YEARLY;BYDAY=53WE
2026-01-03 FREQ=YEARLY;BYDAY=1SA
2026-12-19 FREQ=YEARLY;BYDAY=-2SA
2026-05-16 FREQ=YEARLY;BYMONTH=5;BYDAY=3SA
RULES
cat >finding.mjs <<'JS'
import { readFileSync } from "node:fs";
import ICAL from "ical.js";

for (const line of readFileSync("rules", "utf8").trim().split("\n")) {
  const [day, rule] = line.split(" ");
  const dates = ICAL.Recur.fromString(rule).iterator(ICAL.Time.fromDateTimeString(`${day}T20:00:00`));
  console.log(line, ...[1, 2, 3].map(() => dates.next().toString().slice(0, 10)));
}
JS
cat >finding.py <<'PYTHON'
from datetime import datetime
from itertools import islice

from dateutil.rrule import rrulestr

for line in open("rules"):
    day, rule = line.split()
    dates = rrulestr(rule, dtstart=datetime.fromisoformat(day))
    print(day, rule, *(f"{date:%Y-%m-%d}" for date in islice(dates, 3)))
PYTHON
echo "ical.js $(node -p 'require("./node_modules/ical.js/package.json").version'), Node $(node --version)"
echo "expected, by python-dateutil"; venv/bin/python finding.py | tee expected
echo "seen"; node finding.mjs | tee seen
cat >known_expected <<'KNOWN'
1997-05-19 FREQ=YEARLY;BYDAY=20MO 1997-05-19 1998-05-18 1999-05-17
2026-05-16 FREQ=YEARLY;INTERVAL=2;BYDAY=20SA 2026-05-16 2028-05-13 2030-05-18
2025-12-31 FREQ=YEARLY;BYDAY=53WE 2025-12-31 2031-12-31 2036-12-31
2026-01-03 FREQ=YEARLY;BYDAY=1SA 2026-01-03 2027-01-02 2028-01-01
2026-12-19 FREQ=YEARLY;BYDAY=-2SA 2026-12-19 2027-12-18 2028-12-23
2026-05-16 FREQ=YEARLY;BYMONTH=5;BYDAY=3SA 2026-05-16 2027-05-15 2028-05-20
KNOWN
sed -e 's/1998-05-18 1999-05-17/1997-05-26 1997-06-02/' -e 's/2028-05-13 2030-05-18/2026-05-23 2026-05-30/' \
    -e 's/2025-12-31 2031-12-31 2036-12-31/2026-01-21 2027-01-20 2028-01-19/' known_expected >known
cmp -s expected known_expected && cmp -s seen known || { echo "not seen" >&2; exit 1; }
echo "seen"
