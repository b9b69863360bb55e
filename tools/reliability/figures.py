"""The shapes of what was measured: rows of named cells, and when and from what they came. No I/O."""

from typing import NamedTuple

import msgspec

Cell = str | int | float | None


class Row(NamedTuple):
    """One row of a table."""

    table: str
    cells: dict[str, Cell]


class Done(msgspec.Struct, frozen=True):
    """When a section was done, on which commit, how much of it, from which seed, and how long it took."""

    date: str
    commit: str
    scale: str
    seed: int
    minutes: float


class Rows(msgspec.Struct, frozen=True):
    """What a section gave."""

    done: Done
    rows: list[Row]


class Kept(msgspec.Struct, frozen=True):
    """All figures of the page, by section, and the machine that they come from."""

    machine: dict[str, Cell]
    sections: dict[str, Rows]
