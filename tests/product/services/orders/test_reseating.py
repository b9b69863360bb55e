"""Orders whose seats were moved show them, whatever comes first, and tell of them once they are paid."""

from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.fakes import NOON

from cludale.kernel.allocation import Allocation, NumberedSeat
from cludale.kernel.money import Money
from cludale.ports.seats import SeatsHeld
from cludale.services.concerts.events import SeatsMoved
from cludale.services.orders import domain, queueing, reseating
from cludale.services.orders.events import CancelReason, OrderPaid, OrderReseated, PartRefund
from cludale.services.orders.order import Order, OrderRequest, Status, Waits
from cludale.services.orders.parts import OrderRefund

REQUEST = OrderRequest(concert_id="concert-1", user_id="user-1", quantity=2, email="ann@example.org")


def seats(*numbers: int, moves: int = 0, reservation: str = "reservation-1") -> Allocation:
    named = tuple(NumberedSeat(f"A-{number}", "A", str(number), number) for number in numbers)
    had = Allocation(
        concert_id="concert-1", section="main", reservation_id=reservation, quantity=2, numbered_seats=named
    )
    return replace(had, moves=moves) if moves else had


HELD = SeatsHeld(seats(1, 2), Money(4500, "EUR"), NOON + timedelta(seconds=600), "event-1")
PENDING = domain.place(REQUEST, order_id="order-1", now=NOON).state
RESERVED = domain.reserve(PENDING, HELD, now=NOON).state
PAID = domain.pay(RESERVED, seats(1, 2)).state


def told(allocation: Allocation) -> SeatsMoved:
    return SeatsMoved(
        order_id="order-1",
        move_id=f"move-{allocation.moves}",
        numbers=(1,),
        seats_before=(),
        moved_by="key-1",
        reason="a pillar",
        allocation=allocation,
    )


def after(order: Order, allocation: Allocation) -> Order:
    decision = reseating.moved(order, told(allocation), at=NOON)
    assert decision is not None
    return decision.state


def test_a_paid_order_tells_which_tickets_have_other_seats() -> None:
    decision = reseating.moved(PAID, told(seats(7, 2, moves=1)), at=NOON)
    assert decision is not None
    (event,) = decision.events
    assert isinstance(event, OrderReseated)
    assert (event.numbers, [seat.id for seat in event.seats_before]) == ((1,), ["A-1"])
    assert (event.reachable, event.reason, event.allocation.moves) == (True, "a pillar", 1)
    again = reseating.moved(decision.state, told(seats(7, 2, moves=1)), at=NOON)
    assert again is not None
    assert again.state is decision.state
    assert not again.events


def test_one_that_is_not_paid_shows_them_and_is_confirmed_with_them() -> None:
    decision = reseating.moved(RESERVED, told(seats(7, 2, moves=1)), at=NOON)
    assert decision is not None
    assert not decision.events
    (paid,) = domain.pay(decision.state, seats(1, 2)).events  # the sale was decided before the move
    assert isinstance(paid, OrderPaid)
    assert paid.allocation == seats(7, 2, moves=1)


def test_a_sale_that_tells_of_the_move_first_leaves_nothing_to_tell() -> None:
    paid = domain.pay(RESERVED, seats(7, 2, moves=1)).state
    assert after(paid, seats(7, 2, moves=1)) is paid


def test_the_later_of_two_moves_may_come_first() -> None:
    later = after(PAID, seats(8, 9, moves=2))
    assert after(later, seats(7, 2, moves=1)) is later


def test_moved_away_and_back_nobody_is_told() -> None:
    decision = reseating.moved(PAID, told(seats(1, 2, moves=2)), at=NOON)
    assert decision is not None
    assert (decision.events, decision.state.seats.moves) == ((), 2)


def test_a_ticket_that_is_given_back_is_none_that_anybody_is_told_of() -> None:
    money = Money(4500, "EUR")
    part = PartRefund(number=1, refund_id="r", tickets=1, amount=money, left=money, held=1, numbers=(1,))
    order = replace(PAID, refunds=(OrderRefund(part=part, at=NOON),))
    decision = reseating.moved(order, told(seats(7, 2, moves=1)), at=NOON)
    assert decision is not None
    assert not decision.events


def test_who_is_offered_seats_is_offered_the_others_whichever_move_is_heard_of_first() -> None:
    waiting = replace(PENDING, waits=Waits())
    assert reseating.moved(waiting, told(seats(7, 2, moves=1)), at=NOON) is None  # it has yet to hear of the offer
    offered = queueing.offered(waiting, HELD)
    for first, second in ((1, 2), (2, 1)):
        order = after(after(offered, seats(6 + first, 2, moves=first)), seats(6 + second, 2, moves=second))
        taken = queueing.take(order, method="card-ok", now=NOON).state
        assert (taken.status, taken.seats.allocation) == (Status.RESERVED, seats(8, 2, moves=2))
    other = told(seats(7, 2, moves=1, reservation="reservation-2"))
    assert reseating.moved(offered, other, at=NOON) is None


def test_an_order_without_its_seats_waits_for_them() -> None:
    assert reseating.moved(PENDING, told(seats(7, 2, moves=1)), at=NOON) is None
    late = told(seats(7, 2, moves=1, reservation="reservation-1.1"))
    expired = domain.fail(RESERVED, CancelReason.EXPIRED).state
    assert reseating.moved(expired, late, at=NOON) is None  # money that came late got it these seats
    off = domain.cancel(RESERVED, CancelReason.BUYER).state
    decision = reseating.moved(off, late, at=NOON)
    assert decision is not None
    assert (decision.state, off.status) == (off, Status.CANCELLED)


@pytest.mark.parametrize("order", [RESERVED, domain.cancel(PAID, CancelReason.BUYER).state])
def test_whatever_became_of_it_the_log_gives_the_same_seats(order: Order) -> None:
    assert after(order, seats(7, 2, moves=1)).allocation == seats(7, 2, moves=1)
