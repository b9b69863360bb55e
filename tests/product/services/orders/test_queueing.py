"""Orders that waited for seats: what they are offered is what they take."""

from datetime import UTC, datetime, timedelta

import pytest

from cludale.kernel.allocation import Allocation, NumberedSeat, OrderSeats
from cludale.kernel.money import Money
from cludale.ports.seats import HoldEnded, SeatsHeld
from cludale.services.orders import queueing
from cludale.services.orders.events import TicketReserved
from cludale.services.orders.order import Order, Status, Waits

NOW = datetime(2027, 1, 1, tzinfo=UTC)
SEATS = (NumberedSeat("s-1-4", "1", "4", 3), NumberedSeat("s-1-5", "1", "5", 4))
ORDER = Order(
    id="order-1",
    user_id="u",
    status=Status.PENDING,
    payment_method="card-ok",
    created_at=NOW,
    seats=OrderSeats(concert_id="c", quantity=2, section="stalls"),
    waits=Waits(joined_at=NOW),
)
ALLOCATION = Allocation(
    concert_id="c", section="stalls", reservation_id="reservation-1", quantity=2, numbered_seats=SEATS
)
HELD = SeatsHeld(ALLOCATION, Money(4_500, "EUR"), NOW + timedelta(minutes=30), None)


def test_it_takes_the_very_seats_that_it_was_offered() -> None:
    offered = queueing.offered(ORDER, HELD)
    taken = queueing.take(offered, method="card-ok", now=NOW)
    (reserved,) = taken.events
    assert isinstance(reserved, TicketReserved)
    assert reserved.allocation == ALLOCATION
    assert (taken.state.status, taken.state.seats.numbered_seats) == (Status.RESERVED, SEATS)


def test_what_is_not_taken_in_time_can_not_be_taken() -> None:
    with pytest.raises(HoldEnded):
        queueing.take(queueing.offered(ORDER, HELD), method="card-ok", now=NOW + timedelta(minutes=30))
