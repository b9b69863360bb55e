#!/usr/bin/env bash
# mashumaro 3.23: a JSONEncoder writes an object as if it were of another class of the union, without the fields that class lacks.
#
# Most would expect: what writes a list of Seat | Reduced knows of which class each object is, as it does where the class
# around the list has DataClassJSONMixin; what can't be told apart is a question for the reader only.
# Seen: JSONEncoder, for dataclasses without a mixin, writes each object by the first class of the union by which it can be
# written. Every field of Seat is also one of Reduced, so the reduction is gone: no error, no warning, and what is read
# from it is a Seat at the full price. With the order of the two turned round both are right. The same types give the right JSON when
# the class around them has the mixin.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'mashumaro==3.23'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from dataclasses import dataclass
from importlib.metadata import version

from mashumaro.codecs.json import JSONEncoder
from mashumaro.mixins.json import DataClassJSONMixin


@dataclass
class Seat:
    price: int


@dataclass
class Reduced:
    price: int
    off: int


@dataclass
class Order:
    lines: list[Seat | Reduced]


@dataclass
class TurnedRound:
    lines: list[Reduced | Seat]


@dataclass
class WithMixin(DataClassJSONMixin):
    lines: list[Seat | Reduced]


LINES = [Seat(50), Reduced(50, 20)]
RIGHT = '{"lines": [{"price": 50}, {"price": 50, "off": 20}]}'
CASES = [
    ("JSONEncoder", JSONEncoder(Order).encode(Order(LINES)), '{"lines": [{"price": 50}, {"price": 50}]}'),
    ("JSONEncoder, the union turned round", JSONEncoder(TurnedRound).encode(TurnedRound(LINES)), RIGHT),
    ("to_json of the mixin", WithMixin(LINES).to_json(), RIGHT),
]
print("mashumaro", version("mashumaro"), "on Python", sys.version.split()[0])
changed = False
for name, seen, known in CASES:
    print(f"{name}\n  expected {RIGHT}\n  seen     {seen}")
    changed |= seen != known
if changed:
    sys.exit("not seen")
print("seen")
PYTHON
