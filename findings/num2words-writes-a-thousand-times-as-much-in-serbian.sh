#!/usr/bin/env bash
# num2words 0.5.14: an amount of 2 000 000 000 dinars is written with the Serbian words for 2 000 000 000 000.
#
# Most would expect: 10^9 is "milijarda" in Serbian and 10^12 is "bilion", as CLDR has it, and alike in Croatian and Slovene.
# An amount is written in words so that nobody can mistake it.
# Seen: 10^9 is "bilion" and 10^12 is "trilion", which is 10^18: from a million on the names go as in English, in Serbian spelling. All
# is right below that, and more than a hundred dinars make a euro, so the amount of a large contract is wrong and that of a small one
# never. Slovene, in the same package, has the right names. Babel, which has its words from CLDR, gives what is expected.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'num2words==0.5.14' 'babel==2.19.0'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from babel.numbers import format_compact_decimal
from num2words import num2words

EXPONENTS = (6, 9, 12)
KNOWN = {
    # language: what CLDR says, what num2words says
    "sr_Latn": (["2 miliona", "2 milijarde", "2 biliona"], ["dva miliona", "dva biliona", "dva triliona"]),
    "sl": (["2 milijona", "2 milijardi", "2 bilijona"], ["dva milijona", "dve milijardi", "dve bilijona"]),
}

print("num2words", version("num2words"), "and Babel", version("babel"), "on Python", sys.version.split()[0])
changed = False
for language, known in KNOWN.items():
    numbers = [2 * 10**exponent for exponent in EXPONENTS]
    expected = [format_compact_decimal(n, format_type="long", locale=language).replace("\xa0", " ") for n in numbers]
    seen = [num2words(n, lang=language[:2]) for n in numbers]
    for n, right, said in zip(numbers, expected, seen, strict=True):
        print(f"{language}, {n:,}\n  expected {right}\n  seen     {said}")
    changed |= (expected, seen) != known
price = num2words(2_000_000_000.0, lang="sr", to="currency", currency="RSD")
print(f"a price of 2,000,000,000.00 RSD\n  seen     {price}")
if changed or not price.startswith("dva biliona dinara"):
    sys.exit("not seen")
print("seen")
PYTHON
