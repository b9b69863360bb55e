#!/usr/bin/env bash
# Babel 2.19.0: numbers of four digits in Spanish, Polish and European Portuguese.
#
# Most would expect: CLDR, which Babel's data are made from, says with `minimumGroupingDigits` how many digits
# stand before the first separator at least: 2 in these languages, so 1234,50 and 12.345,50, as browsers
# (Intl.NumberFormat) and ICU write it.
# Seen: the separator is there from 1.000 on, in numbers and in money, so a page that a server wrote with Babel
# and what a script in it writes differ.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'babel==2.19.0'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from babel.numbers import format_currency, format_decimal

print("babel", version("babel"), "on Python", sys.version.split()[0])
SPACE = "\N{NO-BREAK SPACE}"
expected_and_seen = {
    ("es", 1234.5): (f"1234,50{SPACE}€", f"1.234,50{SPACE}€"),
    ("pl", 1234.5): (f"1234,50{SPACE}€", f"1{SPACE}234,50{SPACE}€"),
    ("pt_PT", 1234.5): (f"1234,50{SPACE}€", f"1{SPACE}234,50{SPACE}€"),
    ("es", 12345.5): (f"12.345,50{SPACE}€", f"12.345,50{SPACE}€"),
    ("de", 1234.5): (f"1.234,50{SPACE}€", f"1.234,50{SPACE}€"),
}
changed = False
for (locale, amount), (expected, known) in expected_and_seen.items():
    seen = format_currency(amount, "EUR", locale=locale)
    print(f"{amount} in {locale}\n  expected {expected}\n  seen     {seen}")
    changed |= seen != known
seen = format_decimal(1234, locale="es")
print(f"1234 in es\n  expected 1234\n  seen     {seen}")
changed |= seen != "1.234"
if changed:
    sys.exit("It no longer behaves as described here.")
PYTHON
