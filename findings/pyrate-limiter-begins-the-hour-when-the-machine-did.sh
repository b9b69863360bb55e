#!/usr/bin/env bash
# pyrate-limiter 4.5.1: a FixedWindow of an hour ends at whichever minute the machine was started.
#
# Most would expect: FixedWindow, new in 4.5, is there to mirror a quota that is renewed at a boundary, "on the hour, or at
# midnight UTC" as its documentation says, and does so in the bucket that the documentation shows with it.
# Seen: windows are multiples of the interval on the bucket's clock, and that of the bucket in memory counts from the start
# of the machine. So a day's quota is renewed at the hour of the last boot, on each machine at another one, and after a
# restart of the machine at another one again. Who mirrors somebody else's quota sends too much before midnight and too
# little after it. Only with a clock put into the bucket (an attribute with an underscore) is it as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'pyrate-limiter==4.5.1'
timeout 120 "$folder/venv/bin/python" - <<'PYTHON'
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version

from pyrate_limiter import Duration, FixedWindow, InMemoryBucket, Limiter, Rate, WallClock

NEAR = 0.1  # of a window


def from_boundary(moment: float, seconds: int) -> float:
    """How far a moment is from the nearest multiple of these seconds of the day, as a part of them."""
    part = moment / seconds % 1
    return min(part, 1 - part)


def renewed(seconds: int, clock=None) -> float:
    """When a quota that is used up is renewed."""
    bucket = InMemoryBucket([Rate(1, seconds * 1000)], algorithm=FixedWindow())
    if clock:
        bucket._clock = clock
    limiter = Limiter(bucket)
    limiter.try_acquire("quota", blocking=False)
    while not limiter.try_acquire("quota", blocking=False):  # the first acquisition's window may be nearly over
        time.sleep(0.005)
    return time.time()


print("pyrate-limiter", version("pyrate-limiter"), "on Python", sys.version.split()[0])
# The clocks' difference is a multiple of some windows by chance; of one of these it isn't.
difference = time.time() - time.monotonic()
seconds = next((seconds for seconds in (2, 3, 5, 7, 11, 13) if from_boundary(difference, seconds) > 2 * NEAR), None)
if seconds is None:
    sys.exit("It can't be told on this machine until it is started anew.")

by_default, by_the_clock = renewed(seconds), renewed(seconds, WallClock())
for name, moment in (("by default", by_default), ("with WallClock put in", by_the_clock)):
    part = moment / seconds % 1
    print(f"a window of {seconds} s, {name}: renewed {part:.0%} after a boundary")

bucket = InMemoryBucket([Rate(100, Duration.HOUR)], algorithm=FixedWindow())
now = bucket.now()
ends = time.time() + (FixedWindow().window_start(bucket.rates[0], now) + Duration.HOUR.value - now) / 1000
print(f"the documentation's 100 an hour\n  expected renewed at hh:00:00\n  seen     renewed at {datetime.fromtimestamp(ends, UTC):%H:%M:%S}")
if from_boundary(by_default, seconds) < NEAR or from_boundary(by_the_clock, seconds) > NEAR:
    sys.exit("not seen")
print("seen")
PYTHON
