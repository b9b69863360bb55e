"""Tables as files, a page of rows at a time: CSV as it goes, XLSX by way of a file that is thrown away.

No more than a page is in memory. An XLSX file is a zip whose parts depend on one another, so none of it can be sent
before its last row is known: the rows go to a file in the temporary folder, which has no name there and is gone with
the process.
"""

import asyncio
import csv
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import date
from enum import StrEnum
from io import StringIO
from typing import IO, Any

from cludale.services.orders.reports.cells import Amount, Row, guarded, is_unsafe

CHUNK_BYTES = 256 * 1024
ROWS_A_SHEET = 1_000_000
"""Excel takes 1,048,576, the head among them; what goes beyond is on the next sheet."""


class Format(StrEnum):
    """Kinds of file."""

    CSV = "csv"
    XLSX = "xlsx"


MEDIA_TYPES = {
    Format.CSV: "text/csv; charset=utf-8; header=present",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

Pages = AsyncIterator[Sequence[Row]]


def file_of(format: Format, head: Sequence[str], pages: Pages) -> AsyncGenerator[bytes, None]:
    """The bytes of the file, as they come."""
    return csv_of(head, pages) if format is Format.CSV else xlsx_of(head, pages)


async def csv_of(head: Sequence[str], pages: Pages) -> AsyncGenerator[bytes, None]:
    """RFC 4180 in UTF-8, with the mark by which Excel knows that; every cell in quotes."""
    yield b"\xef\xbb\xbf" + _lines([head])
    async for rows in pages:
        if rows:
            yield _lines(rows)


def _lines(rows: Sequence[Row]) -> bytes:
    lines = StringIO()
    write = csv.writer(lines, quoting=csv.QUOTE_ALL).writerow
    for row in rows:
        write([guarded(cell) if isinstance(cell, str) else "" if cell is None else str(cell) for cell in row])
    return lines.getvalue().encode()


async def xlsx_of(head: Sequence[str], pages: Pages) -> AsyncGenerator[bytes, None]:
    """An Office Open XML workbook. No cell of it is a formula or a link, whatever its text."""
    with tempfile.TemporaryFile() as file, tempfile.TemporaryDirectory() as folder:
        book = await asyncio.to_thread(_Book, file, folder, head)
        async for rows in pages:
            await asyncio.to_thread(book.add, rows)
        await asyncio.to_thread(book.close)
        file.seek(0)
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk


class _Book:
    """A workbook that is being written: from one thread at a time."""

    def __init__(self, file: IO[bytes], folder: str, head: Sequence[str]) -> None:
        from xlsxwriter import Workbook  # noqa: PLC0415 - few processes ever write one

        settings = {
            "constant_memory": True,
            "tmpdir": folder,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        self._book = Workbook(file, settings)
        self._head = head
        self._bold = self._book.add_format({"bold": True})
        # A text that begins as a formula stays a text when somebody edits its cell.
        self._text = self._book.add_format({"quote_prefix": True, "num_format": "@"})
        self._day = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._money: dict[int, Any] = {}
        self._sheet: Any = None
        self._at = 0

    def add(self, rows: Sequence[Row]) -> None:
        """Write these below the others."""
        for row in rows:
            if self._sheet is None or self._at > ROWS_A_SHEET:
                self._begin()
            for column, cell in enumerate(row):
                self._write(column, cell)
            self._at += 1

    def _begin(self) -> None:
        self._sheet = self._book.add_worksheet()
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_column(0, len(self._head) - 1, 16)
        self._sheet.write_row(0, 0, self._head, self._bold)
        self._at = 1

    def _write(self, column: int, cell: Any) -> None:
        if cell is None:
            return
        if isinstance(cell, str):
            self._sheet.write_string(self._at, column, cell, self._text if is_unsafe(cell) else None)
        elif isinstance(cell, Amount):
            number = cell.units / 10**cell.digits
            self._sheet.write_number(self._at, column, number, self._format(cell.digits))
        elif isinstance(cell, date):
            self._sheet.write_datetime(self._at, column, cell, self._day)
        else:
            self._sheet.write_number(self._at, column, cell)

    def _format(self, digits: int) -> Any:
        if digits not in self._money:
            shown = "0" if not digits else f"0.{'0' * digits}"
            self._money[digits] = self._book.add_format({"num_format": shown})
        return self._money[digits]

    def close(self) -> None:
        """Write the file."""
        if self._sheet is None:
            self._begin()
        self._book.close()
