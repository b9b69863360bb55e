"""Order rules: from order to ticket, and every way that it can end otherwise."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from tests.fakes import NOON
from tests.seats import allocation

from cludale.kernel.decision import Decision
from cludale.kernel.money import Money
from cludale.kernel.times import rfc3339
from cludale.ports.charges import ChargeQuestion, ChargeStanding, ChargeState
from cludale.ports.seats import HeldOtherwise, SeatsHeld
from cludale.services.orders import domain, lost_events
from cludale.services.orders.domain import evolve
from cludale.services.orders.events import CancelReason, OrderCancelled, OrderPaid, OrderPlaced, TicketReserved
from cludale.services.orders.lost_events import Compared
from cludale.services.orders.order import (
    NEXT,
    Order,
    OrderPayment,
    OrderRequest,
    PaymentStatus,
    Status,
    TooLateToCancel,
)

REQUEST = OrderRequest(concert_id="concert-1", user_id="user-1", quantity=2, email="a@example.org")
HELD = SeatsHeld(allocation(), Money(4500, "EUR"), NOON + timedelta(seconds=600), "event-1")
ON_PURPOSE = [reason for reason in CancelReason if reason.is_on_purpose]
FAILURES = [reason for reason in CancelReason if reason not in ON_PURPOSE]

PENDING = domain.place(REQUEST, order_id="order-1", now=NOON).state
RESERVED = domain.reserve(PENDING, HELD, now=NOON).state
PAID = domain.pay(RESERVED, allocation()).state
IN_STATE = {
    Status.PENDING: PENDING,
    Status.RESERVED: RESERVED,
    Status.PAID: PAID,
    Status.CANCELLED: domain.fail(RESERVED, CancelReason.DECLINED).state,
}


def test_a_placed_order_waits_for_its_seats() -> None:
    decision = domain.place(REQUEST, order_id="order-1", now=NOON)
    order = decision.state
    assert order.status is Status.PENDING
    assert order.total is None
    assert order.expires_at is None
    assert decision.events == (
        OrderPlaced(order_id="order-1", concert_id="concert-1", user_id="user-1", quantity=2, section=None),
    )


def test_no_address_is_in_any_event() -> None:
    wanted = OrderRequest(concert_id="c", user_id="u", quantity=2, email="secret@example.org", phone="+49 30 123456")
    placed = domain.place(wanted, order_id="order-1", now=NOON)
    reserved = domain.reserve(placed.state, HELD, now=NOON)
    paid = domain.pay(reserved.state, allocation())
    off = domain.cancel(paid.state, CancelReason.BUYER)
    told = repr([*placed.events, *reserved.events, *paid.events, *off.events])
    assert "secret" not in told
    assert "123456" not in told
    assert off.state.reachable
    assert "secret" not in repr(off.state), "it is kept apart, sealed"


def test_a_reserved_order_can_be_paid_for_as_long_as_its_seats_are_held() -> None:
    decision = domain.reserve(PENDING, HELD, now=NOON)
    order = decision.state
    assert (order.status, order.seats.section, order.seats.reservation_id) == (
        Status.RESERVED,
        "stalls",
        "reservation-1",
    )
    assert order.total == Money(9000, "EUR")
    assert order.expires_at == HELD.expires_at
    assert decision.events == (
        TicketReserved(
            order_id="order-1",
            allocation=allocation("reservation-1", 2),
            user_id="user-1",
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
    decision = domain.pay(RESERVED, allocation())
    assert decision.state.status is Status.PAID
    assert decision.events == (
        OrderPaid(
            order_id="order-1",
            allocation=allocation("reservation-1", 2),
            total=Money(9000, "EUR"),
            reachable=True,
        ),
    )


def test_a_paid_order_is_paid_once() -> None:
    assert domain.pay(PAID, allocation()) == Decision(PAID)


def test_other_seats_that_late_money_got_are_the_orders_seats() -> None:
    assert domain.pay(RESERVED, allocation("reservation-1.1")).state.seats.reservation_id == "reservation-1.1"


def test_an_order_that_never_had_seats_is_not_paid() -> None:
    with pytest.raises(ValueError, match="never reserved"):
        domain.pay(PENDING, allocation())


@pytest.mark.parametrize("reason", FAILURES)
def test_an_order_that_failed_by_itself_can_still_be_paid(reason: CancelReason) -> None:
    off = domain.fail(RESERVED, reason).state
    paid = domain.pay(off, allocation("reservation-1.2")).state
    assert paid.status is Status.PAID
    assert paid.reason is None


@pytest.mark.parametrize("reason", ON_PURPOSE)
def test_an_order_that_was_cancelled_on_purpose_stays_cancelled(reason: CancelReason) -> None:
    off = domain.cancel(RESERVED, reason).state
    assert domain.pay(off, allocation()) == Decision(off)


@pytest.mark.parametrize("order", [PENDING, RESERVED])
@pytest.mark.parametrize("reason", FAILURES)
def test_an_order_that_waits_for_money_or_seats_fails(order: Order, reason: CancelReason) -> None:
    decision = domain.fail(order, reason)
    assert decision.state.status is Status.CANCELLED
    assert decision.state.reason is reason
    (off,) = decision.events
    assert isinstance(off, OrderCancelled)
    assert off.reason is reason
    assert off.seats.reservation_id == order.seats.reservation_id
    assert not off.was_paid


@pytest.mark.parametrize("order", [PAID, IN_STATE[Status.CANCELLED]])
def test_an_order_that_is_settled_does_not_fail(order: Order) -> None:
    assert domain.fail(order, CancelReason.PAYMENT_FAILED) == Decision(order)


@pytest.mark.parametrize("reason", ON_PURPOSE)
@pytest.mark.parametrize("order", [PENDING, RESERVED, PAID])
def test_any_order_can_be_cancelled_on_purpose(order: Order, reason: CancelReason) -> None:
    decision = domain.cancel(order, reason)
    assert decision.state.status is Status.CANCELLED
    assert decision.state.reason is reason
    (off,) = decision.events
    assert isinstance(off, OrderCancelled)
    assert off.was_paid is (order is PAID)
    assert off.total == order.total


@pytest.mark.parametrize("second", ON_PURPOSE)
@pytest.mark.parametrize("first", ON_PURPOSE)
def test_a_second_cancellation_changes_nothing(first: CancelReason, second: CancelReason) -> None:
    off = domain.cancel(PAID, first).state
    assert domain.cancel(off, second) == Decision(off)


def test_a_cancellation_on_purpose_closes_an_order_that_had_failed_by_itself() -> None:
    decision = domain.cancel(IN_STATE[Status.CANCELLED], CancelReason.BUYER)
    assert decision.state.reason is CancelReason.BUYER
    assert [type(event) for event in decision.events] == [OrderCancelled]
    assert domain.pay(decision.state, allocation("reservation-1.2")).events == ()


DECISIONS: list[Callable[[Order], Decision[Order]]] = [
    lambda order: domain.reserve(order, HELD, now=NOON),
    lambda order: domain.pay(order, allocation()),
    lambda order: domain.fail(order, CancelReason.EXPIRED),
    lambda order: domain.cancel(order, CancelReason.BUYER),
]


@pytest.mark.parametrize("status", list(Status))
def test_an_order_moves_only_as_the_table_says(status: Status) -> None:
    reached = {status}
    for decide in DECISIONS:
        with suppress(ValueError):  # this does not happen to an order that stands so
            reached.add(decide(IN_STATE[status]).state.status)
    assert reached == {status, *NEXT[status]}


@pytest.mark.parametrize("status", [Status.RESERVED, Status.PAID, Status.CANCELLED])
def test_an_order_gets_its_seats_once(status: Status) -> None:
    with pytest.raises(ValueError, match=f"can't go from {status}"):
        domain.reserve(IN_STATE[status], HELD, now=NOON)


def _lives() -> list[list[Decision[Order]]]:
    """What was decided about an order, one after the other, in some of the ways that its life can take."""
    placed = domain.place(REQUEST, order_id="order-1", now=NOON)
    reserved = domain.reserve(placed.state, HELD, now=NOON)
    failed = domain.fail(reserved.state, CancelReason.DECLINED)
    late = domain.pay(failed.state, allocation("reservation-1.1"))
    paid = domain.pay(reserved.state, allocation())
    again = domain.pay_again(TURNED_DOWN, method="card-slow", now=NOON)
    return [
        [placed, domain.fail(placed.state, CancelReason.SOLD_OUT)],
        [placed, reserved, paid, domain.cancel(paid.state, CancelReason.ORGANIZER)],
        [placed, reserved, failed, domain.cancel(failed.state, CancelReason.BUYER)],
        [placed, reserved, failed, late, domain.cancel(late.state, CancelReason.BUYER)],
        [Decision(TURNED_DOWN), again],
    ]


def evolved(order: Order, decision: Decision[Order], *, at: datetime) -> Order:
    """The order after what this decision tells."""
    facts: Any = decision.events
    for fact in facts:
        order = evolve(order, fact, at=at)
    return order


class TestEvolving:
    """What a fact does stands once: for whoever decides, and for whoever reads the log."""

    @pytest.mark.parametrize("life", range(5))
    def test_what_was_decided_follows_from_what_was_told(self, life: int) -> None:
        for before, after in pairwise(_lives()[life]):
            order = evolved(before.state, after, at=NOON)
            # With what is paid is in no event of the order that asked for it, nor when it is looked at next.
            assert order == msgspec.structs.replace(
                after.state, requested_method=order.requested_method, due_at=order.due_at
            )

    def test_a_placed_order_follows_from_its_event_but_for_what_that_keeps_to_itself(self) -> None:
        placed = domain.place(REQUEST, order_id="order-1", now=NOON)
        fact: Any = placed.events[0]
        assert domain.as_placed(fact, at=NOON) == msgspec.structs.replace(
            placed.state, has_contact=False, payment_method=""
        )

    def test_what_is_told_again_changes_nothing(self) -> None:
        reserved = domain.reserve(PENDING, HELD, now=NOON)
        off = domain.cancel(PAID, CancelReason.BUYER)
        request = domain.pay_again(TURNED_DOWN, method="card-slow", now=NOON)
        for decision in (reserved, off, request):
            assert evolved(decision.state, decision, at=NOON + timedelta(days=1)) is decision.state

    def test_a_failure_that_is_told_after_the_money_came_changes_nothing(self) -> None:
        assert evolved(PAID, domain.fail(RESERVED, CancelReason.DECLINED), at=NOON) is PAID


def test_only_a_buyer_who_left_an_address_is_reachable() -> None:
    assert PENDING.reachable
    assert not domain.place(
        OrderRequest(concert_id="c", user_id="u", quantity=1), order_id="o", now=NOON
    ).state.reachable


@pytest.mark.parametrize(("quantity", "section"), [(3, None), (1, "stalls"), (2, "balcony")])
def test_an_order_takes_no_seats_that_were_held_for_another_request(quantity: int, section: str | None) -> None:
    wanted = OrderRequest(concert_id="concert-1", user_id="user-1", quantity=quantity, section=section)
    order = domain.place(wanted, order_id="order-1", now=NOON).state
    with pytest.raises(HeldOtherwise):
        domain.reserve(order, HELD, now=NOON)


class TestCancellingInTime:
    BOUND = msgspec.structs.replace(RESERVED, cancel_until=NOON)

    @pytest.mark.parametrize("status", [Status.RESERVED, Status.PAID])
    def test_a_buyer_may_until_the_concert_says_so(self, status: Status) -> None:
        order = msgspec.structs.replace(self.BOUND, status=status)
        domain.check_cancellable(order, CancelReason.BUYER, now=NOON - timedelta(microseconds=1))
        with pytest.raises(TooLateToCancel) as refusal:
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


def told(state: ChargeState, round: int = 1, *, closed: bool = False, told_again: bool = False) -> ChargeStanding:
    return ChargeStanding("order-1", state, round, closed, told_again)


def compare(order: Order, charge: ChargeStanding, *, has_seats: bool = False, seconds: float = 60) -> Compared:
    now = NOON + timedelta(seconds=seconds)
    taken = lost_events.looked_at(order, now=now, look_at=now + timedelta(seconds=60))
    return lost_events.compared(taken, charge, has_seats=has_seats)


def money(status: PaymentStatus, *, round: int = 1) -> OrderPayment:
    return OrderPayment(status=status, at=NOON + timedelta(seconds=5), attempts=1, round=round)


LOOK = NOON + timedelta(seconds=60)
CHARGED = domain.learn(RESERVED, money(PaymentStatus.COMPLETED))
TURNED_DOWN = domain.unpaid(
    RESERVED, money(PaymentStatus.DECLINED), reason=CancelReason.DECLINED, retry_until=HELD.expires_at
).state
PAYING_AGAIN = domain.pay_again(TURNED_DOWN, method="card-slow", now=NOON + timedelta(seconds=9)).state


class TestComparing:
    """An order of which nothing more is heard, with what payments and concerts say."""

    def test_silent_is_a_reserved_order_with_a_charge_or_a_sale_under_way(self) -> None:
        since = NOON + timedelta(seconds=20)
        assert [
            each for each in (RESERVED, CHARGED, PAYING_AGAIN) if not lost_events.is_silent(each, since=since)
        ] == []
        settled = (PENDING, TURNED_DOWN, PAID, domain.cancel(PAID, CancelReason.BUYER).state)
        assert [each for each in settled if lost_events.is_silent(each, since=since)] == []
        assert not lost_events.is_silent(CHARGED, since=NOON)

    def test_payments_that_does_not_know_the_order_is_told_as_it_was_told_before(self) -> None:
        first = domain.reserve(PENDING, HELD, now=NOON)
        found = compare(first.state, told(ChargeState.UNKNOWN, 0))
        assert found == (Decision(first.state, first.events, at=NOON, again=True), lost_events.Lost.RESERVED)

    def test_a_buyers_other_way_to_pay_is_told_again_while_payments_is_a_round_behind(self) -> None:
        first = domain.pay_again(TURNED_DOWN, method="card-slow", now=NOON + timedelta(seconds=9))
        found = compare(first.state, told(ChargeState.FAILED))
        again = Decision(first.state, first.events, at=NOON + timedelta(seconds=9), again=True)
        assert found == (again, lost_events.Lost.REQUESTED)

    @pytest.mark.parametrize("order", [RESERVED, CHARGED])
    def test_while_a_charge_is_open_nothing_is_told(self, order: Order) -> None:
        assert compare(order, told(ChargeState.OPEN)) == (Decision(order), None)

    def test_what_payments_tells_again_is_waited_for(self) -> None:
        found = compare(CHARGED, told(ChargeState.TAKEN, told_again=True))
        assert found == (Decision(CHARGED), lost_events.Lost.MONEY)

    def test_an_order_that_went_on_meanwhile_is_left_alone(self) -> None:
        for order in (PAID, TURNED_DOWN, domain.cancel(PAID, CancelReason.BUYER).state):
            assert compare(order, told(ChargeState.TAKEN)) == (Decision(order), None)

    @pytest.mark.parametrize("reason", ON_PURPOSE)
    def test_a_cancellation_is_told_again_until_payments_and_concerts_know(self, reason: CancelReason) -> None:
        first = domain.cancel(PAID, reason)
        off = lost_events.watched(first.state, look_at=LOOK)
        for found in (
            compare(off, told(ChargeState.TAKEN)),
            compare(off, told(ChargeState.UNKNOWN, 0)),
            compare(off, told(ChargeState.REFUNDED, closed=True), has_seats=True),
        ):
            assert found.lost is lost_events.Lost.CANCELLED
            assert (found.decision.events, found.decision.again) == (first.events, True)
            assert (found.decision.state.due_at, found.decision.state.looks) == (LOOK + timedelta(seconds=60), 1)

    @pytest.mark.parametrize("state", [ChargeState.FAILED, ChargeState.REFUNDED])
    def test_a_cancelled_order_without_money_and_seats_is_never_looked_at_again(self, state: ChargeState) -> None:
        off = lost_events.watched(domain.cancel(PAID, CancelReason.BUYER).state, look_at=LOOK)
        found = compare(off, told(state, closed=True))
        assert found.lost is None
        assert (found.decision.state.due_at, found.decision.events) == (None, ())

    def test_before_its_time_a_cancelled_order_is_not_looked_at(self) -> None:
        off = lost_events.watched(domain.cancel(PAID, CancelReason.BUYER).state, look_at=LOOK)
        assert lost_events.looked_at(off, now=LOOK - timedelta(seconds=1), look_at=LOOK) is off

    def test_without_an_answer_it_is_looked_at_later(self) -> None:
        off = lost_events.watched(domain.cancel(PAID, CancelReason.BUYER).state, look_at=LOOK)
        later = lost_events.looked_at(off, now=LOOK, look_at=LOOK + timedelta(seconds=60))
        assert (later.due_at, later.looks) == (LOOK + timedelta(seconds=60), 1)

    def test_an_order_that_failed_with_money_is_looked_at_until_that_is_back(self) -> None:
        off = lost_events.watched(domain.fail(CHARGED, CancelReason.EXPIRED).state, look_at=LOOK)
        assert off.due_at == LOOK
        assert compare(off, told(ChargeState.OPEN)).decision.state.due_at == LOOK + timedelta(seconds=60)
        back = domain.learn(off, money(PaymentStatus.REFUNDED))
        assert back.due_at is None

    @pytest.mark.parametrize("status", [PaymentStatus.DECLINED, PaymentStatus.FAILED])
    def test_an_order_that_failed_for_want_of_money_is_not_looked_at(self, status: PaymentStatus) -> None:
        failed = domain.fail(domain.learn(RESERVED, money(status)), CancelReason.DECLINED).state
        assert lost_events.watched(failed, look_at=LOOK) is failed

    def test_an_order_that_never_had_seats_is_not_looked_at(self) -> None:
        off = domain.cancel(PENDING, CancelReason.BUYER).state
        assert lost_events.watched(off, look_at=LOOK) is off

    def test_money_that_went_back_ends_an_order_that_waits_for_its_seats(self) -> None:
        decision = domain.money_back(CHARGED, money(PaymentStatus.REFUNDED))
        assert (decision.state.status, decision.state.reason) == (Status.CANCELLED, CancelReason.EXPIRED)
        off = domain.cancel(PAID, CancelReason.BUYER).state
        assert domain.money_back(off, money(PaymentStatus.REFUNDED)).events == ()

    def test_what_is_asked_is_what_the_order_knows(self) -> None:
        assert lost_events.question(RESERVED) == ChargeQuestion("order-1", 1, True, False, False)
        assert lost_events.question(PAYING_AGAIN) == ChargeQuestion("order-1", 2, True, False, False)
        off = domain.learn(domain.cancel(PAID, CancelReason.BUYER).state, money(PaymentStatus.REFUNDED))
        assert lost_events.question(off) == ChargeQuestion("order-1", 1, False, True, True)
