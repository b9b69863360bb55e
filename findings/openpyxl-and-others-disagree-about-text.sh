#!/usr/bin/env bash
# openpyxl 3.1.5: a text such as a_x0042_c that it writes is aBc to another reader, and of what others write it gives
# back another text than was written.
#
# Most would expect: a text in a cell of an .xlsx file is the text that was written, whichever library reads it.
# Seen: Office Open XML (ECMA-376, ST_Xstring) writes a character as _xHHHH_, and an underscore that would begin such a
# run by mistake as _x005F_. XlsxWriter writes it so, and calamine reads it so. openpyxl writes an identifier that
# happens to look like that as it stands, so calamine reads another text. Reading, openpyxl undoes _x005F_ alone, and
# only where the text is in the shared table: of what XlsxWriter writes with constant_memory (texts in the cells) it gives
# back the escapes. Nothing is raised, nothing is logged.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install \
    'openpyxl==3.1.5' 'xlsxwriter==3.3.1' 'python-calamine==0.9.1'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version
from io import BytesIO

import openpyxl
import xlsxwriter
from python_calamine import CalamineWorkbook

TEXTS = ["a_x0042_c", "part_x0041_", "_x005F_", "plain_text"]
KEPT = dict(zip(TEXTS, TEXTS))
SEEN = {
    ("openpyxl", "openpyxl"): KEPT,
    ("openpyxl", "calamine"): KEPT | {"a_x0042_c": "aBc", "part_x0041_": "partA", "_x005F_": "_"},
    ("XlsxWriter", "openpyxl"): KEPT | {"_x005F_": "_"},
    ("XlsxWriter", "calamine"): KEPT,
    ("XlsxWriter, constant_memory", "openpyxl"): KEPT
    | {"a_x0042_c": "a_x005F_x0042_c", "part_x0041_": "part_x005F_x0041_", "_x005F_": "_x005F_x005F_"},
    ("XlsxWriter, constant_memory", "calamine"): KEPT,
}


def by_openpyxl() -> bytes:
    book, file = openpyxl.Workbook(), BytesIO()
    for text in TEXTS:
        book.active.append([text])
    book.save(file)
    return file.getvalue()


def by_xlsxwriter(constant_memory: bool) -> bytes:
    file = BytesIO()
    with xlsxwriter.Workbook(file, {"constant_memory": constant_memory}) as book:
        sheet = book.add_worksheet()
        for row, text in enumerate(TEXTS):
            sheet.write_string(row, 0, text)
    return file.getvalue()


def read_by_openpyxl(file: bytes) -> list[str]:
    return [row[0].value for row in openpyxl.load_workbook(BytesIO(file)).active.rows]


def read_by_calamine(file: bytes) -> list[str]:
    return [row[0] for row in CalamineWorkbook.from_filelike(BytesIO(file)).get_sheet_by_index(0).to_python()]


FILES = {
    "openpyxl": by_openpyxl(),
    "XlsxWriter": by_xlsxwriter(False),
    "XlsxWriter, constant_memory": by_xlsxwriter(True),
}
READERS = {"openpyxl": read_by_openpyxl, "calamine": read_by_calamine}

print(*(f"{name} {version(name)}" for name in ("openpyxl", "xlsxwriter", "python-calamine")), "on Python", sys.version.split()[0])
changed = False
for (writer, reader), known in SEEN.items():
    found = dict(zip(TEXTS, READERS[reader](FILES[writer]), strict=True))
    wrong = {text: read for text, read in found.items() if text != read}
    print(f"written by {writer}, read by {reader}: {wrong or 'as it was written'}")
    changed |= found != known
if changed:
    sys.exit("It no longer behaves as described here.")
PYTHON
