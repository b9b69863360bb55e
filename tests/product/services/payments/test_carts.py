"""A cart's payment: one charge for all lines, and what goes back of each by the rules of any order."""

from datetime import datetime, timedelta

import msgspec
from tests.fakes import NOON
from tests.seats import allocation

from cludale.kernel.allocation import OrderSeats
from cludale.kernel.carts import line_id
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.ports.payment_gateway import Booked
from cludale.services.orders.events import (
    CancelReason,
    CartLine,
    CartReserved,
    OrderCancelled,
    PartRefund,
    PartRefundRequested,
)
from cludale.services.payments import carts, comparison, differences, domain, refunds
from cludale.services.payments.events import PartRefunded, PaymentCompleted, PaymentFailed, PaymentRefunded
from cludale.services.payments.payment import AttemptLimits, AttemptOutcome, Payment, Status
from cludale.services.payments.store import PAYMENTS

LIMITS = AttemptLimits(attempts=3, attempt_seconds=5)
CAUSE = Cause("event-1")
LINES = tuple(
    CartLine(
        order_id=line_id("cart-1", number),
        total=Money(1_000 * number, "EUR"),
        seats=allocation(f"reservation-1.ca0{number}", 2, concert_id=f"concert-{number}"),
    )
    for number in (1, 2, 3)
)
RESERVED = CartReserved(
    cart_id="cart-1",
    user_id="user-1",
    total=Money(6_000, "EUR"),
    payment_method="card-ok",
    expires_at=NOON + timedelta(seconds=600),
    lines=LINES,
)
FIRST, SECOND, THIRD = (line.order_id for line in LINES)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


BEGUN = carts.begin(None, RESERVED, cause=CAUSE, now=NOON, limits=LIMITS).state


def attempted(payment: Payment, outcome: AttemptOutcome) -> Payment:
    return domain.attempted(payment, outcome, None, now=at(1), retry_at=at(2), limits=LIMITS).state


COMPLETED = attempted(BEGUN, AttemptOutcome.CHARGED)


def off(line: CartLine, reason: CancelReason = CancelReason.BUYER) -> OrderCancelled:
    seats = OrderSeats.of(line.seats)
    return OrderCancelled(
        order_id=line.order_id, seats=seats, total=line.total, reason=reason, was_paid=True, reachable=False
    )


def cancelled(payment: Payment | None, line: CartLine) -> Payment:
    decision = carts.order_cancelled(payment, off(line), cause=CAUSE, now=at(5))
    assert decision is not None
    return decision.state


def refunded(payment: Payment, order_id: str) -> tuple[Payment, tuple[object, ...]]:
    decision = carts.of_line(payment, order_id, lambda line: refunds.refunded(line, now=at(6), limits=LIMITS))
    return decision.state, tuple(decision.events)


def test_a_cart_is_charged_once_and_each_line_is_told() -> None:
    decision = domain.attempted(BEGUN, AttemptOutcome.CHARGED, None, now=at(1), retry_at=at(2), limits=LIMITS)
    assert (decision.state.key, decision.state.amount) == ("payment-cart-1.1", Money(6_000, "EUR"))
    told = [each for each in decision.events if isinstance(each, PaymentCompleted)]
    assert [(each.order_id, each.amount, each.allocation) for each in told] == [
        (line.order_id, line.total, line.seats) for line in LINES
    ]
    assert len({each.payment_id for each in told}) == 3


def test_a_decline_is_told_to_each_line_and_the_next_round_begins_once() -> None:
    decision = domain.attempted(BEGUN, AttemptOutcome.DECLINED, None, now=at(1), retry_at=at(2), limits=LIMITS)
    told = [each for each in decision.events if isinstance(each, PaymentFailed)]
    assert [(each.order_id, each.concert_id, each.retry_until) for each in told] == [
        (line.order_id, line.seats.concert_id, NOON + timedelta(seconds=600)) for line in LINES
    ]
    assert list(comparison.told_again(decision.state).events) == told


def test_a_line_that_is_given_back_gives_back_its_own_money_and_no_other() -> None:
    owing = cancelled(COMPLETED, LINES[1])
    line = carts.next_owed(owing)
    assert line is not None
    assert (line.order_id, line.rest, line.key) == (SECOND, Money(2_000, "EUR"), "payment-1.ca02.1")
    assert (owing.due_at, owing.status, domain.owes_money(owing)) == (at(5), Status.COMPLETED, True)
    back, events = refunded(owing, SECOND)
    (told,) = events
    assert isinstance(told, PaymentRefunded)
    assert (told.order_id, told.amount) == (SECOND, Money(2_000, "EUR"))
    assert (carts.next_owed(back), back.due_at, back.owed_back) == (None, None, 2_000)
    assert carts.line_of(back, SECOND).status is Status.REFUNDED
    assert carts.line_of(back, FIRST).status is Status.COMPLETED
    assert cancelled(back, LINES[1]) is back


def test_a_part_of_a_line_goes_back_once() -> None:
    part = PartRefund(
        number=1, refund_id="refund-1", tickets=1, amount=Money(1_500, "EUR"), left=Money(1_500, "EUR"), held=1
    )
    asked = PartRefundRequested(order_id=THIRD, part=part, allocation=LINES[2].seats)
    owing = carts.of_line(
        COMPLETED, THIRD, lambda line: refunds.part_requested(line, asked, cause=CAUSE, now=at(5), again=False)
    ).state
    done = carts.of_line(owing, THIRD, lambda line: refunds.part_refunded(line, part, now=at(6), limits=LIMITS))
    (told,) = done.events
    assert isinstance(told, PartRefunded)
    assert (told.order_id, done.state.owed_back, done.state.due_at) == (THIRD, 1_500, None)
    later = carts.line_of(cancelled(done.state, LINES[2]), THIRD)
    assert later.rest == Money(1_500, "EUR")


def test_whatever_is_owed_is_due_and_put_off_line_by_line() -> None:
    owing = cancelled(cancelled(COMPLETED, LINES[0]), LINES[2])
    claimed = domain.take_up(owing, now=at(5), limits=LIMITS)
    later = carts.put_off(claimed, FIRST, until=at(50))
    line = carts.next_owed(later)
    assert line is not None
    assert (line.order_id, later.due_at) == (THIRD, at(5))


def test_the_end_of_a_round_that_the_organizer_began_is_told_again_of_the_lines_whose_money_is_kept() -> None:
    declined = attempted(BEGUN, AttemptOutcome.DECLINED)
    begun = domain.retry(declined, method=None, cause=CAUSE, now=at(3), limits=LIMITS, hold=timedelta(seconds=60))
    owing = cancelled(attempted(begun, AttemptOutcome.CHARGED), LINES[1])
    assert owing.due_at == at(5)
    back, _ = refunded(owing, SECOND)
    assert back.due_at is not None
    again = comparison.retold(back, now=at(90), limits=LIMITS)
    assert [each.order_id for each in again.events if isinstance(each, PaymentCompleted)] == [FIRST, THIRD]
    assert again.state.due_at is not None
    assert again.state.due_at > at(90)


def test_a_cancellation_before_the_charge_ends_it_for_all() -> None:
    closing = cancelled(BEGUN, LINES[1])
    assert (closing.closing, closing.closed, closing.due_at) == ("order-cancelled", True, at(5))
    assert cancelled(closing, LINES[0]) is closing


def test_a_cancellation_before_the_cart_is_heard_of_is_remembered() -> None:
    never = cancelled(None, LINES[1])
    assert (never.id, never.status, never.closed) == ("payment-cart-1", Status.FAILED, True)
    begun = carts.begin(never, RESERVED, cause=CAUSE, now=at(9), limits=LIMITS).state
    assert (begun.status, begun.closed, begun.due_at, len(begun.shares)) == (Status.FAILED, True, None, 3)


def test_what_is_free_is_paid_at_once() -> None:
    free = tuple(msgspec.structs.replace(line, total=Money(0, "EUR")) for line in LINES)
    told = msgspec.structs.replace(RESERVED, lines=free, total=Money(0, "EUR"))
    decision = carts.begin(None, told, cause=CAUSE, now=NOON, limits=LIMITS)
    assert decision.state.status is Status.COMPLETED
    assert len(decision.events) == 3


def test_the_books_agree_with_a_charge_of_which_lines_went_back() -> None:
    back, _ = refunded(cancelled(COMPLETED, LINES[1]), SECOND)
    tolerance = timedelta(seconds=1)
    for returned, wrong in ((2_000, None), (0, "refund-lost"), (3_000, "refunded-too-much")):
        booked = Booked(key=back.key, at=NOON, taken=back.amount, returned=returned)
        found = differences.found_in(booked, back, by="r", read_at=at(60), tolerance=tolerance)
        assert (None if found is None else found.kind.value) == wrong


def test_the_log_gives_the_payment_back() -> None:
    owing = cancelled(COMPLETED, LINES[1])
    decision = carts.of_line(owing, SECOND, lambda line: refunds.refunded(line, now=at(6), limits=LIMITS))
    told = domain.attempted(BEGUN, AttemptOutcome.CHARGED, None, now=at(1), retry_at=at(2), limits=LIMITS).events
    rebuilt = carts.as_begun(RESERVED, at=NOON)
    for event in (*told, *decision.events):
        assert isinstance(event, PaymentCompleted | PaymentRefunded)
        rebuilt = carts.evolve(rebuilt, event, at=at(6))
    assert rebuilt.status is Status.COMPLETED
    assert [each.refunded_at for each in rebuilt.shares] == [each.refunded_at for each in decision.state.shares]


def test_what_is_stored_is_read_as_it_was() -> None:
    owing = cancelled(COMPLETED, LINES[1])
    assert PAYMENTS.decode(PAYMENTS.put(owing, 0).body) == owing
