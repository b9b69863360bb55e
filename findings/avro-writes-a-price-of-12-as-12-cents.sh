#!/usr/bin/env bash
# avro 1.12.2 (Apache Avro for Python): Decimal("12") in a field with two decimal places is written as 0.12.
#
# Most would expect: 12, 12.0 and 12.00 are one number, and a field of the type decimal with a scale of 2 holds it as 1200 hundredths,
# for "the scale is fixed" (Avro's specification, Logical Types). A value with more places than that is refused, and it is.
# Seen: a value with fewer places is written with its own digits, so 12 becomes 0.12, 12.5 becomes 1.25 and 1E+2, which is what
# Decimal("100").normalize() gives, becomes 0.01. No error: it is a valid file, which every reader reads so. Prices from a database or
# a text with two places are right, so it is those that were summed, multiplied, normalized or written in code that are wrong.
# fastavro writes 12.00, and Apache's own library for Java sets the places, too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'avro==1.12.2' 'fastavro==1.13.1'
"$folder/venv/bin/python" - <<'PYTHON'
import io
import json
import sys
from decimal import Decimal
from importlib.metadata import version

import avro.datafile
import avro.io
import avro.schema
import fastavro

AMOUNT = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
SCHEMA = {"type": "record", "name": "Order", "fields": [{"name": "price", "type": AMOUNT}]}
PRICES = [Decimal("12.00"), Decimal("12"), Decimal("12.5"), Decimal("-12"), Decimal("100.00").normalize(), 3 * Decimal("4")]
KNOWN = ["12.00", "0.12", "1.25", "-0.12", "0.01", "0.12"]


def by_avro(prices: list[Decimal]) -> bytes:
    file = io.BytesIO()
    writer = avro.datafile.DataFileWriter(file, avro.io.DatumWriter(), avro.schema.parse(json.dumps(SCHEMA)))
    for price in prices:
        writer.append({"price": price})
    writer.flush()
    return file.getvalue()


def by_fastavro(prices: list[Decimal]) -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, SCHEMA, [{"price": price} for price in prices])
    return file.getvalue()


def read(file: bytes) -> list[str]:
    with avro.datafile.DataFileReader(io.BytesIO(file), avro.io.DatumReader()) as reader:
        prices = [str(order["price"]) for order in reader]
    if prices != [str(order["price"]) for order in fastavro.reader(io.BytesIO(file))]:
        sys.exit("not seen: avro and fastavro read another price")
    return prices


print("avro", version("avro"), "and fastavro", version("fastavro"), "on Python", sys.version.split()[0])
seen, expected = read(by_avro(PRICES)), read(by_fastavro(PRICES))
for price, right, wrong in zip(PRICES, expected, seen, strict=True):
    print(f"{price!r}\n  expected {right}, as fastavro writes it\n  seen     {wrong}")
if seen != KNOWN or [Decimal(price) for price in expected] != PRICES:
    sys.exit("not seen")
print("seen")
PYTHON
