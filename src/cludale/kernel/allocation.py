"""Allocation: which seats an order has, as one value that services hand on whole."""

from collections.abc import Iterable
from typing import Protocol

import msgspec
from msgspec import UNSET, UnsetType

from cludale.kernel.events import Event
from cludale.kernel.flat import Flat


class NumberedSeat(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """A seat with a number: its id in the seating plan, what it is called, and its index in its section."""

    id: str
    row: str
    number: str
    at: int
    """From 0, in the order of the plan."""
    flags: int = 0
    """1: wheelchair, 2: companion, 4: restricted view; their sum."""

    def __str__(self) -> str:
        return f"row {self.row}, seat {self.number}"


def seats_named(allocation: "Allocation | OrderSeats | None") -> tuple[NumberedSeat, ...]:
    """The numbered seats of it, if it has any."""
    if allocation is None or allocation.numbered_seats is UNSET:
        return ()
    return allocation.numbered_seats


class InRow(Protocol):
    """A seat, as far as people name it."""

    @property
    def row(self) -> str: ...  # noqa: D102
    @property
    def number(self) -> str: ...  # noqa: D102


def seats_line(seats: Iterable[InRow]) -> str:
    """Seats by their rows, in no language: `C 12, 13; D 4`. Empty for none."""
    rows: dict[str, list[str]] = {}
    for seat in seats:
        rows.setdefault(seat.row, []).append(seat.number)
    return "; ".join(f"{row} {', '.join(numbers)}" for row, numbers in rows.items())


class Allocation(Flat, frozen=True, kw_only=True):
    """Seats that are somebody's: so many, in a section of a concert, under a reservation."""

    concert_id: str
    section: str
    reservation_id: str
    quantity: int
    numbered_seats: tuple[NumberedSeat, ...] | UnsetType = UNSET
    """Which, in the order of the tickets. Unset in sections by quantity, and in all that was written before this
    field existed."""
    moves: int | UnsetType = UNSET
    """How often some of them were moved to other seats. Unset, as in all that was written before this field existed:
    never."""


class OrderSeats(Flat, frozen=True, kw_only=True):
    """The seats that an order wants; once it has them, `section` is theirs and there is a reservation."""

    concert_id: str
    quantity: int
    section: str | None = None
    reservation_id: str | None = None
    numbered_seats: tuple[NumberedSeat, ...] | UnsetType = UNSET
    """Those that it has; as in Allocation."""
    moves: int | UnsetType = UNSET
    """As in Allocation."""

    @classmethod
    def of(cls, allocation: Allocation) -> "OrderSeats":
        """The seats of an order that has them."""
        return cls(
            concert_id=allocation.concert_id,
            quantity=allocation.quantity,
            section=allocation.section,
            reservation_id=allocation.reservation_id,
            numbered_seats=allocation.numbered_seats,
            moves=allocation.moves,
        )

    @property
    def allocation(self) -> Allocation | None:
        """None while none are had."""
        if self.section is None or self.reservation_id is None:
            return None
        return Allocation(
            concert_id=self.concert_id,
            section=self.section,
            reservation_id=self.reservation_id,
            quantity=self.quantity,
            numbered_seats=self.numbered_seats,
            moves=self.moves,
        )


def latest(known: "Allocation | OrderSeats", told: Allocation) -> Allocation:
    """What somebody has who knew of some seats and is told of these: of one reservation, those that were moved more
    often.
    """
    if known.moves is UNSET or known.reservation_id != told.reservation_id or known.moves <= (told.moves or 0):
        return told
    return known if isinstance(known, Allocation) else known.allocation or told


def seats_after(seats: OrderSeats, told: Allocation) -> OrderSeats:
    """The seats of an order that is told that some were moved. Of another reservation, or of fewer moves, that changes
    nothing.
    """
    if seats.reservation_id != told.reservation_id or (told.moves or 0) <= (seats.moves or 0):
        return seats
    return OrderSeats.of(told)


def numbers_moved(before: "Allocation | OrderSeats", after: Allocation) -> tuple[int, ...]:
    """The tickets, from 1, whose seats differ."""
    pairs = zip(seats_named(before), seats_named(after), strict=False)
    return tuple(number for number, (was, now) in enumerate(pairs, 1) if was != now)


class _Carrier(Protocol):
    @property
    def allocation(self) -> Allocation: ...


class SeatsEvent(Event, frozen=True, kw_only=True):
    """Base of the events about seats that are held or sold; the last field of each is its `allocation`."""

    @property
    def concert_id(self: _Carrier) -> str:
        """The concert."""
        return self.allocation.concert_id

    @property
    def reservation_id(self: _Carrier) -> str:
        """The reservation."""
        return self.allocation.reservation_id
