#!/usr/bin/env bash
# throttled-py 3.5.0: a token bucket of 100 a minute lets 60 a minute through, one of 59 lets 30.
#
# Most would expect: a token bucket fills at its rate. Who asks all the time gets the burst, and then 100 a minute.
# Seen: with each request that is let through, the bucket adds the whole tokens of the whole seconds since the last one, and begins
# to count anew: what was left over, of a token and of a second, is lost. At 100 a minute a second is worth 1.67 tokens, of which 1
# remains; at 59 it is worth none, so every other second is refused. Where a second is worth a whole number, as with the default of
# 60 a minute, the rate is right; at 119 a minute it is half of that at 120. It is the algorithm that is used if none is named, and
# the leaking bucket counts in the same way. GCRA, in the same package, keeps the rates.
#
# The clock is put forward by hand, a twentieth of a second at a time; what is shown does not depend on how fast the machine is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'throttled-py==3.5.0'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import time
from importlib.metadata import version

from throttled import MemoryStore, RateLimiterType, Throttled, per_min

STEPS_A_SECOND = 20
MINUTES = 10
BURST = 10
clock = 1_800_000_000.0
time.time = time.monotonic = lambda: clock


def let_through(using: RateLimiterType, a_minute: int) -> float:
    """Requests a minute, after the burst, of one who asks at every step."""
    global clock
    throttle = Throttled(using=using.value, quota=per_min(a_minute, burst=BURST), store=MemoryStore())
    passed = 0
    for _ in range(MINUTES * 60 * STEPS_A_SECOND):
        clock += 1 / STEPS_A_SECOND
        passed += not throttle.limit("shop").limited
    return (passed - BURST) / MINUTES


print("throttled-py", version("throttled-py"), "on Python", sys.version.split()[0])
CASES = {59: 30, 60: 60, 100: 60, 119: 60, 120: 120}
USED = (RateLimiterType.TOKEN_BUCKET, RateLimiterType.LEAKING_BUCKET, RateLimiterType.GCRA)
changed = False
for a_minute, known in CASES.items():
    seen = {using.value: let_through(using, a_minute) for using in USED}
    changed |= any(abs(seen[name] - known) > 1 for name in ("token_bucket", "leaking_bucket")) or abs(seen["gcra"] - a_minute) > 1
    print(f"{a_minute} a minute\n  expected {a_minute}\n  seen     " + ", ".join(f"{name} {rate:.1f}" for name, rate in seen.items()))
if changed:
    sys.exit("not seen")
print("seen")
PYTHON
