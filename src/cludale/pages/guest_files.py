"""A file of guests with a column `seats`: `C 12-14; D 3` becomes the ids that the API takes. Pure.

All else of the file stays as it is, line by line, so that what the API says of a line is about the same line.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cludale.kernel.allocation import seats_line
from cludale.pages.numbered import Numbered
from cludale.pages.seat_names import NoSuchSeats, SeatNameFault
from cludale.pages.shop.halls import WHEELCHAIR, Seat, is_free

SEATS, SECTION, WHEELCHAIRS = "seats", "section", "wheelchairs"
SHORT = 3
"""An id of so few characters may be anything else in a text."""


class NamedFile(NamedTuple):
    """A file whose seats are told by ids."""

    text: str
    faults: Sequence[tuple[int, NoSuchSeats]] = ()
    """Lines that name seats which do not exist, and why."""
    seats: Sequence[str] = ()
    """What each guest's seats are called; empty: it names none."""
    taken: Sequence[str] = ()
    """Which of each guest's seats can't be had as things stand."""
    names: Mapping[str, str] = {}
    """What the seats are called that are in the file, by their ids."""

    def by_name(self, text: str) -> str:
        """A text of the API, with seats by their names."""
        ids = sorted((id for id in self.names if len(id) > SHORT), key=len, reverse=True)
        if not ids:
            return text
        return re.sub(rf"(?<![\w-])({'|'.join(map(re.escape, ids))})(?![\w-])", lambda it: self.names[it[0]], text)


def has_seats(text: str) -> bool:
    """Has it a column for seats?"""
    return SEATS in _head(text, _delimiter(text))


def with_ids(text: str, numbered: Numbered | None) -> NamedFile:
    """The file as the API takes it. What is no table stays as it is: the API says what is wrong with it."""
    delimiter = _delimiter(text)
    head = _head(text, delimiter)
    try:
        rows = _rows(text, delimiter)
    except csv.Error:
        return NamedFile(text)
    if SEATS not in head or any(len(cells) != len(head) for _, cells in rows if any(map(str.strip, cells))):
        return NamedFile(text)
    return _Naming(head, numbered, delimiter).file(rows)


class _Naming:
    """Names the seats of one file."""

    def __init__(self, head: Sequence[str], numbered: Numbered | None, delimiter: str) -> None:
        self._head = [*head, *(each for each in (SECTION, WHEELCHAIRS) if each not in head)]
        self._width = len(head)
        self._numbered = numbered
        self._delimiter = delimiter
        sections = () if numbered is None else numbered.sections
        self._known = {seat.id: (id, seat) for id, rows, _ in sections for row in rows for seat in row.seats}
        """By id, each seat and its section."""
        self._free = {id: free for id, _, free in sections}
        self._faults: list[tuple[int, NoSuchSeats]] = []
        self._seats: list[str] = []
        self._taken: list[str] = []
        self._names: dict[str, str] = {}

    def file(self, rows: Sequence[tuple[int, Sequence[str]]]) -> NamedFile:
        """All of it."""
        written = io.StringIO()
        writer = csv.writer(written, delimiter=self._delimiter, lineterminator="\n")
        is_head, at = True, 0
        for line, cells in rows:
            # A cell with line breaks takes several lines: each guest keeps the number of their last one.
            written.write("\n" * (line - at - 1))
            at = line
            if not any(cell.strip() for cell in cells):
                written.write("\n")
            elif is_head:
                writer.writerow(self._head)
                is_head = False
            else:
                writer.writerow(self._guest(line, cells))
        return NamedFile(written.getvalue(), self._faults, self._seats, self._taken, self._names)

    def _guest(self, line: int, cells: Sequence[str]) -> Sequence[str]:
        said = dict(zip(self._head, cells, strict=False))
        text = said.get(SEATS, "").strip()
        if not text:
            self._seats.append("")
            self._taken.append("")
            return [*cells, *("" for _ in self._head[self._width :])]
        try:
            section, seats = self._named(text, said.get(SECTION, "").strip())
        except NoSuchSeats as no:
            self._faults.append((line, no))
            return cells
        self._names |= {seat.id: seat.name for seat in seats}
        self._seats.append(seats_line(seats))
        self._taken.append(seats_line(seat for seat in seats if not is_free(self._free[section], seat.at)))
        wheelchairs = sum(bool(seat.flags & WHEELCHAIR) for seat in seats)
        said |= {SEATS: ";".join(seat.id for seat in seats), SECTION: section}
        said.setdefault(WHEELCHAIRS, "")
        if wheelchairs and not said[WHEELCHAIRS].strip():
            said[WHEELCHAIRS] = str(wheelchairs)
        return [said[name] for name in self._head]

    def _named(self, text: str, section: str) -> tuple[str, Sequence[Seat]]:
        """Its section and its seats, which may be told by their ids. Raises NoSuchSeats."""
        if self._numbered is None or (section and section not in self._free):
            raise NoSuchSeats(SeatNameFault.NO_NUMBERS)
        known = [self._known.get(each.strip()) for each in text.split(";")]
        found = [each for each in known if each is not None]
        if len(found) == len(known):
            return section or found[0][0], [seat for _, seat in found]
        return self._numbered.named(text, section or None)


def _rows(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """The lines, each with the number of its last one. Raises csv.Error."""
    # As the API reads it: a file's lines, without their ends.
    reader = csv.reader(text.removeprefix("\ufeff").splitlines(), delimiter=delimiter, strict=True)
    return [(reader.line_num, cells) for cells in reader]


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return ";" if first.count(";") > first.count(",") else ","


def _head(text: str, delimiter: str) -> Sequence[str]:
    first = next((line for line in text.removeprefix("\ufeff").splitlines() if line.strip()), "")
    try:
        return [cell.strip().casefold() for cell in next(csv.reader([first], delimiter=delimiter), [])]
    except csv.Error:
        return []
