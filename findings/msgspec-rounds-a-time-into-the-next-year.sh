#!/usr/bin/env bash
# msgspec 0.22.0: a time with seven digits of a second is rounded, not cut.
#
# Most would expect: RFC 3339 allows any number of digits; a reader that keeps six cuts the rest, as
# Python's own datetime.fromisoformat does, so that a time never leaves its second, its day or its year.
# Seen: the last half microsecond of a year is read as the next year, and the greatest time of .NET
# (DateTimeOffset.MaxValue as its own serializer writes it) is refused as "Invalid RFC3339", while an
# offset without its colon (+0100), which RFC 3339 does not allow, is taken.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'msgspec==0.22.0'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from datetime import datetime

import msgspec


def read(text: str) -> str:
    try:
        return msgspec.json.decode(f'"{text}"', type=datetime).isoformat()
    except msgspec.ValidationError as refused:
        return f"refused: {refused}"


print("msgspec", msgspec.__version__, "on Python", sys.version.split()[0])
expected_and_seen = {
    "2026-12-31T23:59:59.9999999Z": ("2026-12-31T23:59:59.999999+00:00", "2027-01-01T00:00:00+00:00"),
    "9999-12-31T23:59:59.9999999Z": ("9999-12-31T23:59:59.999999+00:00", "refused: Invalid RFC3339 encoded datetime"),
    "2026-12-31T23:59:59+0100": ("refused: Invalid RFC3339 encoded datetime", "2026-12-31T23:59:59+01:00"),
}
changed = False
for text, (expected, known) in expected_and_seen.items():
    seen = read(text)
    print(f"{text}\n  expected {expected}\n  seen     {seen}")
    changed |= seen != known
if changed:
    sys.exit("It no longer behaves as described here.")
PYTHON
