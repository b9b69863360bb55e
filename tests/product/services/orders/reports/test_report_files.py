"""Cells and files of reports: what a spreadsheet makes of them."""

import csv
from collections.abc import AsyncIterator, Sequence
from datetime import date
from io import BytesIO, StringIO

import pytest
from openpyxl import load_workbook

from cludale.services.orders.reports import sheets
from cludale.services.orders.reports.cells import Amount, Row, guarded
from cludale.services.orders.reports.sheets import Format, file_of

HEAD = ("name", "net", "tickets", "day", "nothing")
ROWS: list[Row] = [
    ('=HYPERLINK("http://x";"y")', Amount(-1234, 2), 2, date(2027, 6, 5), None),
    ("\uff1d1+1", Amount(5, 0), 0, date(2027, 1, 1), None),
    ("Zoë, «Ünïcode»\nin two lines", Amount(7, 3), 1, date(2027, 1, 2), None),
]


async def pages(rows: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
    for row in rows:
        yield [row]


async def written(format: Format, rows: Sequence[Row] = ROWS) -> bytes:
    return b"".join([chunk async for chunk in file_of(format, HEAD, pages(rows))])


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+49 30 1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", " =1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20A"],
)
def test_a_text_that_begins_as_a_formula_gets_an_apostrophe(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a", "a=1", "The Larks", "a - b", "x@example.org", "2027-06-05"])
def test_a_text_that_is_none_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a;=1", "a;'=1"),
        ("a,\t-1", "a,\t'-1"),
        ('"=1"', '"\'=1"'),
        ("a\n=1", "a\n'=1"),
        ("\t=1", "'\t'=1"),
        ("a; b", "a; b"),
    ],
)
def test_nor_does_a_formula_begin_where_another_reader_sees_a_new_cell(text: str, safe: str) -> None:
    assert guarded(text) == safe


@pytest.mark.parametrize(
    ("amount", "text"),
    [(Amount(-5, 2), "-0.05"), (Amount(4500, 2), "45.00"), (Amount(7, 0), "7"), (Amount(-1234, 3), "-1.234")],
)
def test_an_amount_is_written_with_the_digits_of_its_currency(amount: Amount, text: str) -> None:
    assert str(amount) == text


async def test_a_csv_file_is_read_back_and_says_that_it_is_unicode() -> None:
    data = await written(Format.CSV)
    assert data.startswith(b"\xef\xbb\xbf")
    read = list(csv.reader(StringIO(data.decode("utf-8-sig"), newline="")))
    assert read == [
        list(HEAD),
        ['\'=HYPERLINK("http://x";"y")', "-12.34", "2", "2027-06-05", ""],
        ["'\uff1d1+1", "5", "0", "2027-01-01", ""],
        ["Zoë, «Ünïcode»\nin two lines", "0.007", "1", "2027-01-02", ""],
    ]


async def test_a_workbook_has_numbers_days_and_texts_and_no_formula() -> None:
    sheet = load_workbook(BytesIO(await written(Format.XLSX))).active
    assert sheet is not None
    read = list(sheet.iter_rows())
    assert [cell.value for cell in read[0]] == list(HEAD)
    name, net, tickets, day, nothing = read[1]
    assert (name.value, name.data_type, name.quotePrefix) == (ROWS[0][0], "s", True)
    assert (net.value, net.number_format, tickets.value, nothing.value) == (-12.34, "0.00", 2, None)
    assert day.value.date() == date(2027, 6, 5)
    assert {cell.data_type for row in read for cell in row} <= {"s", "n", "d"}


async def test_a_workbook_without_rows_has_its_head() -> None:
    sheet = load_workbook(BytesIO(await written(Format.XLSX, []))).active
    assert sheet is not None
    assert [cell.value for cell in next(sheet.iter_rows())] == list(HEAD)


async def test_rows_beyond_what_a_sheet_holds_are_on_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "ROWS_A_SHEET", 2)
    book = load_workbook(BytesIO(await written(Format.XLSX)))
    assert [sheet.max_row for sheet in book.worksheets] == [3, 2]
