"""Statements for many rows: one step through SQLite, because each step gives the GIL up and has to win it back."""
# ruff: noqa: S608 - names of tables and columns are checked by schema, values are always bound

from collections.abc import Callable, Sequence
from typing import Any

import apsw

CHUNK_ROWS = 128
MANY_NARROW_ROWS = 1_024
"""Of two or three small values each."""

Sized = tuple[str, ...]
"""One statement's text for 1, 2, 4 … rows."""
Execute = Callable[..., apsw.Cursor]


def sized(text: Callable[[int], str], most: int = CHUNK_ROWS) -> Sized:
    """The statement for each chunk size, up to `most` rows, a power of two."""
    return tuple(text(1 << power) for power in range(most.bit_length()))


def run(execute: Execute, statements: Sized, values: Sequence[object], width: int) -> list[Any]:
    """Bring in all rows of `values` (flat, `width` a row), in order, by as few statements as can be; what they find.

    The last one is filled up with rows of NULL, which every statement passes over: a step for nothing costs more than
    rows for nothing.
    """
    full = width << (len(statements) - 1)
    found: list[Any] = []
    for at in range(0, len(values), full):
        chunk = list(values[at : at + full])
        power = (len(chunk) // width - 1).bit_length()
        chunk += [None] * ((width << power) - len(chunk))
        found += execute(statements[power], chunk)
    return found


def rows(width: int, count: int) -> str:
    """Places for the values of so many rows."""
    row = f"({','.join('?' * width)})"
    return ",".join([row] * count)


def insert(table: str, columns: Sequence[str], count: int) -> str:
    """Write so many rows. A row whose first value is NULL is passed over."""
    # A statement that fails has its transaction rolled back. ABORT, the default, would copy every page first, so as
    # to take back that statement alone.
    values = rows(len(columns), count)
    return f"INSERT OR FAIL INTO {table}({','.join(columns)}) SELECT * FROM (VALUES {values}) WHERE column1 IS NOT NULL"
