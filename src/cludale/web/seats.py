"""Numbered seats in requests and answers: by their ids in, with row and number out."""

from collections.abc import Collection, Sequence
from typing import Annotated, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.allocation import NumberedSeat
from cludale.kernel.bills import TicketCount
from cludale.kernel.refusals import Invalid

MOST_SEATS = 1_000
"""The most seats that one request may name."""

FEATURES = {1: "wheelchair", 2: "companion", 4: "restricted view"}

SeatId = Annotated[str, Meta(min_length=1, max_length=200)]
SeatIds = Annotated[
    list[SeatId],
    Meta(
        min_length=1,
        max_length=MOST_SEATS,
        description="the ids of numbered seats; without it, in a numbered section, the best that are free together",
    ),
]
QUANTITY = "may be left out where `seats` are named, or `tickets` by their categories"
Wheelchairs = Annotated[
    int, Meta(ge=0, le=100, description="how many of the places have to be for wheelchairs, in a numbered section")
]


class SeatView(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A seat with a number."""

    id: Annotated[str, Meta(description="its id in the seating plan")]
    row: str
    number: str
    features: Annotated[list[str], Meta(description="wheelchair, companion, restricted view")] = []

    @classmethod
    def of(cls, seat: NumberedSeat) -> Self:
        """The view of a seat."""
        features = [name for flag, name in FEATURES.items() if seat.flags & flag]
        return cls(id=seat.id, row=seat.row, number=seat.number, features=features)


def seat_views(seats: Sequence[NumberedSeat] | UnsetType, but: Collection[int] = ()) -> list[SeatView] | UnsetType:
    """The views of these seats, but for those with these numbers, from 1; unset where seats have none."""
    if seats is UNSET:
        return UNSET
    return [SeatView.of(seat) for number, seat in enumerate(seats, 1) if number not in but]


def seats_wanted(
    quantity: int | UnsetType,
    seats: Sequence[str] | UnsetType,
    wheelchairs: int | UnsetType = UNSET,
    tickets: Sequence[TicketCount] | UnsetType = UNSET,
) -> int:
    """How many seats somebody wants who may name them, or say how many tickets of which category. Raises Invalid."""
    if quantity is UNSET:
        if seats is not UNSET:
            quantity = len(seats)
        elif tickets is not UNSET:
            quantity = sum(each.quantity for each in tickets)
        else:
            raise Invalid(("quantity", "is required where neither `seats` nor `tickets` are named"))
    elif seats is not UNSET and quantity != len(seats):
        raise Invalid(("quantity", f"is {quantity}, and {len(seats)} seats are named"))
    if wheelchairs is not UNSET and wheelchairs > quantity:
        raise Invalid(("wheelchairs", f"is {wheelchairs}, and {quantity} seats are wanted"))
    return quantity
