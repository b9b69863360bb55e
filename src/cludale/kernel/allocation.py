"""Allocation: which seats an order has, as one value that services hand on whole."""

from typing import Protocol

from cludale.kernel.events import Event
from cludale.kernel.flat import Flat


class Allocation(Flat, frozen=True, kw_only=True):
    """Seats that are somebody's: so many, in a section of a concert, under a reservation."""

    concert_id: str
    section: str
    reservation_id: str
    quantity: int


class OrderSeats(Flat, frozen=True, kw_only=True):
    """The seats that an order wants; once it has them, `section` is theirs and there is a reservation."""

    concert_id: str
    quantity: int
    section: str | None = None
    reservation_id: str | None = None

    @classmethod
    def of(cls, allocation: Allocation) -> "OrderSeats":
        """The seats of an order that has them."""
        return cls(
            concert_id=allocation.concert_id,
            quantity=allocation.quantity,
            section=allocation.section,
            reservation_id=allocation.reservation_id,
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
        )


class _Carrier(Protocol):
    @property
    def allocation(self) -> Allocation: ...


class SeatsEvent(Event, frozen=True, kw_only=True):
    """Base of the facts about seats that are somebody's; the last field of each is its `allocation`."""

    @property
    def concert_id(self: _Carrier) -> str:
        """The concert."""
        return self.allocation.concert_id

    @property
    def reservation_id(self: _Carrier) -> str:
        """The reservation."""
        return self.allocation.reservation_id
