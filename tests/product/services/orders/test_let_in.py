"""What a buyer can't give back, because somebody came in with it."""

from datetime import timedelta

import msgspec
import pytest
from tests.fakes import NOON
from tests.seats import allocation

from cludale.kernel.allocation import NumberedSeat
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy
from cludale.ports.entrance import AlreadyAdmitted, EntranceUnreachable
from cludale.ports.seats import SeatsHeld
from cludale.services.orders import domain
from cludale.services.orders.aftersale import domain as aftersale
from cludale.services.orders.aftersale.domain import RefundWish
from cludale.services.orders.events import Party
from cludale.services.orders.let_in import LetIn, check_last_refund
from cludale.services.orders.order import Order, OrderRequest

BY_QUANTITY = allocation("order-1", 3)
NUMBERED = msgspec.structs.replace(
    BY_QUANTITY, numbered_seats=tuple(NumberedSeat(f"Stalls-A-{at}", "A", str(at), at) for at in (1, 2, 3))
)


class Door:
    """Let somebody in with the second ticket; is away, where it says so."""

    def __init__(self, *, is_away: bool = False) -> None:
        self._is_away = is_away

    async def admitted(self, _: str) -> frozenset[int]:
        if self._is_away:
            raise EntranceUnreachable("gone")
        return frozenset({2})


def reserved() -> Order:
    request = OrderRequest(concert_id="concert-1", user_id="user-1", quantity=3)
    held = SeatsHeld(BY_QUANTITY, Money(4500, "EUR"), NOON + timedelta(seconds=600), "event-1", NOON)
    return domain.reserve(domain.place(request, order_id="order-1", now=NOON).state, held, now=NOON).state


def paid() -> Order:
    return domain.pay(reserved(), BY_QUANTITY).state


def refunded(order: Order, tickets: int, *seats: str) -> Order:
    return aftersale.refund(order, RefundWish(by=Party.ORGANIZER, tickets=tickets, seats=seats), now=NOON).state


async def test_an_order_with_whose_ticket_somebody_came_in_is_not_cancelled_by_its_buyer() -> None:
    with pytest.raises(AlreadyAdmitted) as refused:
        await LetIn(Door()).check_nobody((paid(),))
    assert refused.value.values == {"orderId": "order-1", "tickets": [2]}


async def test_before_it_is_paid_nobody_is_asked() -> None:
    await LetIn(Door(is_away=True)).check_nobody((reserved(),))


async def test_where_the_door_can_not_be_asked_nothing_is_given_back_yet() -> None:
    with pytest.raises(Busy):
        await LetIn(Door(is_away=True)).check_nobody((paid(),))


def test_as_many_tickets_stay_as_people_came_in() -> None:
    check_last_refund(refunded(paid(), 2), frozenset({2}))
    with pytest.raises(AlreadyAdmitted):
        check_last_refund(refunded(paid(), 2), frozenset({1, 2}))


def test_where_seats_have_numbers_those_that_are_given_back_are_nobodys() -> None:
    order = msgspec.structs.replace(paid(), seats=paid().seats.of(NUMBERED))
    check_last_refund(refunded(order, 2, "Stalls-A-1", "Stalls-A-3"), frozenset({2}))
    with pytest.raises(AlreadyAdmitted) as refused:
        check_last_refund(refunded(order, 2, "Stalls-A-1", "Stalls-A-2"), frozenset({2, 3}))
    assert refused.value.values["tickets"] == [2]
