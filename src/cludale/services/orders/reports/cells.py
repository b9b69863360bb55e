"""What stands in the cells of a table that is given out as a file. No I/O, no format of a file."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from cludale.kernel.currencies import minor_digits

WHITE = " \t\r\n\x0b\x0c\xa0\u200b\u2060\u3000\ufeff"
"""What a spreadsheet may pass over at the beginning of a cell."""
BEGINS_A_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20\u2212")
"""By these a spreadsheet takes a text for a formula; the last five are the full-width forms, and the minus sign."""
ENDS_A_CELL = frozenset(',;\t\r\n"|')
"""After these a program that reads the file by other rules may see a new cell begin."""


class Amount(NamedTuple):
    """Money as a number: minor units, and how many digits come after the point."""

    units: int
    digits: int

    @classmethod
    def of(cls, units: int, currency: str) -> "Amount":
        """Minor units of this currency."""
        return cls(units, minor_digits(currency))

    def __str__(self) -> str:
        if not self.digits:
            return str(self.units)
        whole, rest = divmod(abs(self.units), 10**self.digits)
        return f"{'-' if self.units < 0 else ''}{whole}.{rest:0{self.digits}}"


Cell = str | int | Amount | date | None
Row = Sequence[Cell]


def is_unsafe(text: str) -> bool:
    """May a spreadsheet take this text for a formula?"""
    first = text.lstrip(WHITE)[:1]
    return first in BEGINS_A_FORMULA if first else False


def guarded(text: str) -> str:
    """The text as it may stand in a CSV file: an apostrophe is before what a spreadsheet would take for a formula, at
    the beginning, and after what ends a cell for a reader with other rules.
    """
    if text[:1] in ("\t", "\r", "\n") or is_unsafe(text):
        text = f"'{text}"
    if ENDS_A_CELL.isdisjoint(text):
        return text
    written: list[str] = []
    is_beginning = False
    for each in text:
        if is_beginning and each in BEGINS_A_FORMULA:
            written.append("'")
        is_beginning = each in ENDS_A_CELL or (is_beginning and each in WHITE)
        written.append(each)
    return "".join(written)
