"""Which seats a message names, of an order some of whose tickets were given back, and of a cart."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from tests.fakes import NOON
from tests.product.services.notifications.conftest import LETTERS

from cludale.kernel.allocation import Allocation, NumberedSeat, OrderSeats
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.ports.contacts import Contact
from cludale.ports.programme import ConcertDetails
from cludale.services.notifications import domain
from cludale.services.notifications.domain import Notification
from cludale.services.orders.events import (
    CancelReason,
    CartLine,
    CartPaid,
    ConfirmationRequested,
    OrderCancelled,
    OrderMoved,
    PartRefund,
)
from cludale.services.payments.events import PartRefunded

CONCERT = ConcertDetails("The Larks", "2027-06-05T19:30:00+02:00", sections={"stalls": "Stalls"})


def seats(*rows: str) -> Allocation:
    numbered = tuple(NumberedSeat(id=f"Stalls-{row}", row=row[0], number=row[1:], at=at) for at, row in enumerate(rows))
    return Allocation(
        concert_id="concert-1",
        section="stalls",
        reservation_id="reservation-1",
        quantity=len(rows),
        numbered_seats=numbered,
    )


THREE = seats("C4", "C5", "C6")
SECOND = PartRefund(
    number=1,
    refund_id="refund-1",
    tickets=1,
    amount=Money(4_500, "EUR"),
    left=Money(9_000, "EUR"),
    held=2,
    numbers=(2,),
)
MOVED = OrderMoved(
    order_id="order-1",
    revision=1,
    reason="A storm",
    date=CONCERT.date,
    is_open=False,
    cancel_until=NOON + timedelta(days=9),
    reachable=True,
    asked_before=(SECOND,),
    seats=OrderSeats.of(THREE),
)
OFF = OrderCancelled(
    order_id="order-1",
    total=Money(13_500, "EUR"),
    reason=CancelReason.ORGANIZER,
    was_paid=True,
    reachable=True,
    asked_before=(SECOND,),
    seats=OrderSeats.of(THREE),
)
AGAIN = ConfirmationRequested(
    order_id="order-1",
    number=1,
    total=Money(13_500, "EUR"),
    tickets_returned=1,
    refunded=Money(4_500, "EUR"),
    numbers_back=(2,),
    allocation=THREE,
)


def rows_of(n: Notification) -> list[str]:
    concerts: Mapping[str, ConcertDetails] = {"concert-1": CONCERT}
    made = LETTERS.email(n, Contact(email="somebody@example.org"), CONCERT, None, language="en", concerts=concerts)
    return [row.strip() for row in made.text.splitlines()]


@pytest.mark.parametrize(
    "n",
    [
        domain.tell(MOVED, None, cause=Cause(), now=NOON).state,
        domain.tell(OFF, None, cause=Cause(), now=NOON).state,
        domain.tell_once_more(AGAIN, None, cause=Cause(), now=NOON).state,
    ],
    ids=["moved", "cancelled", "sent again"],
)
def test_what_was_given_back_is_named_no_more(n: Notification) -> None:
    rows = rows_of(n)
    assert "Section: Stalls: C 4, 6" in rows
    assert "Seats: 2 of 3; the others were given back" in rows


def test_a_refund_says_which_seats_it_gives_back() -> None:
    part = PartRefunded(payment_id="payment-1", order_id="order-1", part=SECOND, allocation=THREE)
    rows = rows_of(domain.tell_of_part(part, cause=Cause(), now=NOON).state)
    assert "Section: Stalls" in rows
    assert "Given back: €45.00 (C 5)" in rows


def test_a_cart_says_which_seats_each_of_its_orders_has() -> None:
    lines = tuple(
        CartLine(order_id=f"order-1.ca0{at}", total=Money(9_000, "EUR"), seats=each)
        for at, each in enumerate((seats("A1", "A2"), seats("B7", "B8")), 1)
    )
    paid = CartPaid(cart_id="cart-1", total=Money(18_000, "EUR"), reachable=True, lines=lines)
    rows = rows_of(domain.tell_of_cart(paid, None, cause=Cause(), now=NOON).state)
    assert [row for row in rows if row.startswith("Section")] == ["Section: Stalls: A 1, 2", "Section: Stalls: B 7, 8"]
