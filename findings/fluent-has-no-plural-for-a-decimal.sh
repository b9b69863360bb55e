#!/usr/bin/env bash
# fluent.runtime 0.4.0: a Decimal is in no case of a message, neither in its exact number nor in its plural.
#
# Most would expect: Decimal is one of the numbers that fluent.runtime takes (it has a type for it, FluentDecimal, and writes
# it as a number or as money), so a message with the cases [0], [one] and *[other] chooses for Decimal("0") and Decimal("1")
# as it does for 0 and 1.
# Seen: what chooses asks for int and float alone. A Decimal is compared with the name of each case as if it were a text, equals
# none, and gets the default. So "Free" is "0.00 €" where a price comes as Decimal, as prices do, and one ticket
# counted in Decimal is "1 tickets". No error is among those that format_pattern gives back.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'fluent.runtime==0.4.0' 'babel==2.19.0'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from decimal import Decimal
from importlib.metadata import version

from fluent.runtime import FluentBundle, FluentResource

MESSAGES = """
tickets = { $number ->
    [one] one ticket
   *[other] { $number } tickets
}
price = { $amount ->
    [0] free
   *[other] { NUMBER($amount, style: "currency", currency: "EUR") }
}
"""
bundle = FluentBundle(["en"], use_isolating=False)
bundle.add_resource(FluentResource(MESSAGES))


def said(name: str, value) -> tuple[str, list]:
    text, errors = bundle.format_pattern(bundle.get_message(name).value, {"number": value, "amount": value})
    return text, errors


print(*(f"{name} {version(name)}" for name in ("fluent.runtime", "babel")), "on Python", sys.version.split()[0])
CASES = [
    ("tickets", 1, "one ticket", "one ticket"),
    ("tickets", 1.0, "one ticket", "one ticket"),
    ("tickets", Decimal(1), "one ticket", "1 tickets"),
    ("price", 0, "free", "free"),
    ("price", Decimal(0), "free", "€0.00"),
    ("price", Decimal("4.5"), "€4.50", "€4.50"),
]
changed = False
for name, value, expected, known in CASES:
    seen, errors = said(name, value)
    print(f"{name}, {value!r}\n  expected {expected}\n  seen     {seen}")
    changed |= seen != known or bool(errors)
if changed:
    sys.exit("not seen")
print("seen")
PYTHON
