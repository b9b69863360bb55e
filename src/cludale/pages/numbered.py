"""The numbered seats of a concert: which there are, which of them are free, what people call them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Self

import msgspec

from cludale.pages.seat_names import NoSuchSeats, SeatNameFault, SeatNames
from cludale.pages.shop.halls import ACCESSIBLE, Plan, Row, Seat, is_free, rows_of

MOST_TYPED = 2_000
"""Characters."""


class FreeRow(NamedTuple):
    """A row, and its free seats as they may be typed."""

    label: str
    seats: str


class FreeSection(NamedTuple):
    """A numbered section, and the rows in which seats are free."""

    id: str
    rows: Sequence[FreeRow]
    aside: Sequence[FreeRow]
    """Places for wheelchairs, and those beside them."""


class SeenSection(msgspec.Struct, frozen=True):
    """A numbered section, as the API has it."""

    id: str
    zone: str
    free: bytes


class SeenSeats(msgspec.Struct, frozen=True):
    """What the API says at `GET /concerts/{id}/seats`."""

    plan: str
    sections: tuple[SeenSection, ...]


class Numbered:
    """The numbered sections of a concert as they stand: the rows of each, and which of their seats are free."""

    def __init__(self, sections: Sequence[tuple[str, Sequence[Row], bytes]]) -> None:
        self.sections = sections
        self._names = {id: SeatNames(rows) for id, rows, _ in sections}

    @classmethod
    def of(cls, seen: SeenSeats, plan: Plan) -> Self:
        """Those of this plan."""
        zones = {zone.name: zone for zone in plan.zones}
        return cls([(each.id, rows_of(zones[each.zone]), each.free) for each in seen.sections if each.zone in zones])

    @property
    def names(self) -> Mapping[str, str]:
        """What seats are called, by their ids."""
        return {seat.id: seat.name for seat in self.seats}

    @property
    def seats(self) -> Iterator[Seat]:
        """All of them."""
        return (seat for _, rows, _ in self.sections for row in rows for seat in row.seats)

    def free(self) -> list[FreeSection]:
        """What is free, to be looked at."""
        return [
            FreeSection(
                id,
                [FreeRow(row.label, text) for row in rows if (text := _listed(row, free, aside=False))],
                [FreeRow(row.label, text) for row in rows if (text := _listed(row, free, aside=True))],
            )
            for id, rows, free in self.sections
        ]

    def named(self, text: str, section: str | None) -> tuple[str, list[Seat]]:
        """The seats that are typed, and their section: this one (None: the first that has them all).

        Raises NoSuchSeats, of the section that has most of them.
        """
        wrong = NoSuchSeats(SeatNameFault.NONE, "", after=-1)
        for id, names in self._names.items():
            if section in (None, id):
                try:
                    return id, names.typed(text[:MOST_TYPED])
                except NoSuchSeats as no:
                    wrong = max(wrong, no, key=lambda each: each.after)
        raise wrong


def _listed(row: Row, free: bytes, *, aside: bool) -> str:
    """The free seats of a row, those beside one another as `12-14`."""
    return ", ".join(
        run[0].number if len(run) == 1 else f"{run[0].number}-{run[-1].number}" for run in _runs(row, free, aside=aside)
    )


def _runs(row: Row, free: bytes, *, aside: bool) -> Iterator[list[Seat]]:
    run: list[Seat] = []
    for seat in row.seats:
        if is_free(free, seat.at) and bool(seat.flags & ACCESSIBLE) is aside:
            run.append(seat)
        elif run:
            yield run
            run = []
    if run:
        yield run
