"""Order rules: from wish to ticket, and every way that it can end otherwise."""

from datetime import timedelta

import msgspec
import pytest
from tests.fakes import NOON

from cludale.kernel.decision import Decision
from cludale.kernel.money import Money
from cludale.kernel.times import rfc3339
from cludale.ports.contacts import Contact
from cludale.ports.seats import HeldOtherwise, SeatsHeld
from cludale.services.orders import domain
from cludale.services.orders.domain import NEXT, Order, Status, Wish
from cludale.services.orders.events import CancelReason, OrderCancelled, OrderPaid, OrderPlaced, TicketReserved

WISH = Wish(concert_id="concert-1", user_id="user-1", quantity=2, email="a@example.org")
HELD = SeatsHeld("reservation-1", "stalls", 2, Money(4500, "EUR"), NOON + timedelta(seconds=600), "event-1")
WISHES = [CancelReason.BUYER, CancelReason.ORGANIZER]
FAILURES = [reason for reason in CancelReason if reason not in WISHES]

PENDING = domain.place(WISH, order_id="order-1", now=NOON).state
RESERVED = domain.reserve(PENDING, HELD, now=NOON).state
PAID = domain.pay(RESERVED, reservation_id="reservation-1").state
IN_STATE = {
    Status.PENDING: PENDING,
    Status.RESERVED: RESERVED,
    Status.PAID: PAID,
    Status.CANCELLED: domain.fail(RESERVED, CancelReason.DECLINED).state,
}


def test_a_placed_order_waits_for_its_seats() -> None:
    decision = domain.place(WISH, order_id="order-1", now=NOON)
    order = decision.state
    assert order.status is Status.PENDING
    assert order.total is None
    assert order.expires_at is None
    assert decision.events == (
        OrderPlaced(order_id="order-1", concert_id="concert-1", user_id="user-1", quantity=2, section=None),
    )


def test_no_address_is_in_any_event() -> None:
    wish = Wish(concert_id="c", user_id="u", quantity=2, email="secret@example.org", phone="+49 30 123456")
    placed = domain.place(wish, order_id="order-1", now=NOON)
    reserved = domain.reserve(placed.state, HELD, now=NOON)
    paid = domain.pay(reserved.state, reservation_id="reservation-1")
    off = domain.cancel(paid.state, CancelReason.BUYER)
    told = repr([*placed.events, *reserved.events, *paid.events, *off.events])
    assert "secret" not in told
    assert "123456" not in told
    assert off.state.contact == Contact("secret@example.org", "+49 30 123456")


def test_a_reserved_order_can_be_paid_for_as_long_as_its_seats_are_held() -> None:
    decision = domain.reserve(PENDING, HELD, now=NOON)
    order = decision.state
    assert (order.status, order.section, order.reservation_id) == (Status.RESERVED, "stalls", "reservation-1")
    assert order.total == Money(9000, "EUR")
    assert order.expires_at == HELD.expires_at
    assert decision.events == (
        TicketReserved(
            order_id="order-1",
            concert_id="concert-1",
            user_id="user-1",
            reservation_id="reservation-1",
            section="stalls",
            quantity=2,
            total=Money(9000, "EUR"),
            payment_method="card-ok",
            expires_at=HELD.expires_at,
        ),
    )


def test_an_order_that_was_put_off_asks_again_later_until_it_has_its_seats() -> None:
    later = NOON + timedelta(seconds=1)
    put_off = domain.put_off(PENDING, until=later, traceparent="00-a-b-01")
    assert (put_off.due_at, put_off.tries, put_off.traceparent) == (later, 1, "00-a-b-01")
    for ended in (domain.reserve(put_off, HELD, now=NOON), domain.fail(put_off, CancelReason.UNREACHABLE)):
        assert (ended.state.due_at, ended.state.traceparent) == (None, None)


def test_a_paid_order_is_a_ticket() -> None:
    decision = domain.pay(RESERVED, reservation_id="reservation-1")
    assert decision.state.status is Status.PAID
    assert decision.events == (
        OrderPaid(
            order_id="order-1",
            concert_id="concert-1",
            reservation_id="reservation-1",
            section="stalls",
            quantity=2,
            total=Money(9000, "EUR"),
            reachable=True,
        ),
    )


def test_a_paid_order_is_paid_once() -> None:
    assert domain.pay(PAID, reservation_id="reservation-1") == Decision(PAID)


def test_other_seats_that_late_money_got_are_the_orders_seats() -> None:
    assert domain.pay(RESERVED, reservation_id="reservation-1.1").state.reservation_id == "reservation-1.1"


def test_an_order_that_never_had_seats_is_not_paid() -> None:
    with pytest.raises(ValueError, match="never reserved"):
        domain.pay(PENDING, reservation_id="reservation-1")


@pytest.mark.parametrize("reason", FAILURES)
def test_an_order_that_failed_by_itself_can_still_be_paid(reason: CancelReason) -> None:
    off = domain.fail(RESERVED, reason).state
    paid = domain.pay(off, reservation_id="reservation-1.2").state
    assert paid.status is Status.PAID
    assert paid.reason is None


@pytest.mark.parametrize("reason", WISHES)
def test_an_order_that_somebody_wished_cancelled_stays_cancelled(reason: CancelReason) -> None:
    off = domain.cancel(RESERVED, reason).state
    assert domain.pay(off, reservation_id="reservation-1") == Decision(off)


@pytest.mark.parametrize("order", [PENDING, RESERVED])
@pytest.mark.parametrize("reason", FAILURES)
def test_an_order_that_waits_for_money_or_seats_fails(order: Order, reason: CancelReason) -> None:
    decision = domain.fail(order, reason)
    assert decision.state.status is Status.CANCELLED
    assert decision.state.reason is reason
    (off,) = decision.events
    assert isinstance(off, OrderCancelled)
    assert off.reason is reason
    assert off.reservation_id == order.reservation_id
    assert not off.was_paid


@pytest.mark.parametrize("order", [PAID, IN_STATE[Status.CANCELLED]])
def test_an_order_that_is_settled_does_not_fail(order: Order) -> None:
    assert domain.fail(order, CancelReason.PAYMENT_FAILED) == Decision(order)


@pytest.mark.parametrize("reason", WISHES)
@pytest.mark.parametrize("order", [PENDING, RESERVED, PAID])
def test_a_wish_cancels_any_order(order: Order, reason: CancelReason) -> None:
    decision = domain.cancel(order, reason)
    assert decision.state.status is Status.CANCELLED
    assert decision.state.reason is reason
    (off,) = decision.events
    assert isinstance(off, OrderCancelled)
    assert off.was_paid is (order is PAID)
    assert off.total == order.total


@pytest.mark.parametrize("second", WISHES)
@pytest.mark.parametrize("first", WISHES)
def test_a_second_wish_changes_nothing(first: CancelReason, second: CancelReason) -> None:
    off = domain.cancel(PAID, first).state
    assert domain.cancel(off, second) == Decision(off)


def test_a_wish_closes_an_order_that_had_failed_by_itself() -> None:
    decision = domain.cancel(IN_STATE[Status.CANCELLED], CancelReason.BUYER)
    assert decision.state.reason is CancelReason.BUYER
    assert [type(event) for event in decision.events] == [OrderCancelled]
    assert domain.pay(decision.state, reservation_id="reservation-1.2").events == ()


@pytest.mark.parametrize("wanted", list(Status))
@pytest.mark.parametrize("status", list(Status))
def test_an_order_moves_only_as_the_table_says(status: Status, wanted: Status) -> None:
    order = IN_STATE[status]
    if wanted in NEXT[status]:
        assert domain._become(order, wanted).status is wanted
    else:
        with pytest.raises(ValueError, match=f"can't go from {status} to {wanted}"):
            domain._become(order, wanted)


def test_only_a_buyer_who_left_an_address_is_reachable() -> None:
    assert PENDING.reachable
    assert not domain.place(Wish(concert_id="c", user_id="u", quantity=1), order_id="o", now=NOON).state.reachable


@pytest.mark.parametrize(("quantity", "section"), [(3, None), (1, "stalls"), (2, "balcony")])
def test_an_order_takes_no_seats_that_were_held_for_another_wish(quantity: int, section: str | None) -> None:
    wish = Wish(concert_id="concert-1", user_id="user-1", quantity=quantity, section=section)
    order = domain.place(wish, order_id="order-1", now=NOON).state
    with pytest.raises(HeldOtherwise):
        domain.reserve(order, HELD, now=NOON)


class TestCancellingInTime:
    BOUND = msgspec.structs.replace(RESERVED, cancel_until=NOON)

    @pytest.mark.parametrize("status", [Status.RESERVED, Status.PAID])
    def test_a_buyer_may_until_the_concert_says_so(self, status: Status) -> None:
        order = msgspec.structs.replace(self.BOUND, status=status)
        domain.check_cancellable(order, CancelReason.BUYER, now=NOON - timedelta(microseconds=1))
        with pytest.raises(domain.TooLateToCancel) as refusal:
            domain.check_cancellable(order, CancelReason.BUYER, now=NOON)
        assert refusal.value.values == {"cancelUntil": rfc3339(NOON)}

    def test_the_organizer_always_may(self) -> None:
        domain.check_cancellable(self.BOUND, CancelReason.ORGANIZER, now=NOON + timedelta(days=9))

    @pytest.mark.parametrize("status", [Status.PENDING, Status.CANCELLED])
    def test_what_has_no_seats_can_always_be_called_off(self, status: Status) -> None:
        order = msgspec.structs.replace(self.BOUND, status=status)
        domain.check_cancellable(order, CancelReason.BUYER, now=NOON + timedelta(days=9))

    def test_an_order_of_an_older_version_knows_no_end(self) -> None:
        domain.check_cancellable(RESERVED, CancelReason.BUYER, now=NOON + timedelta(days=9))
