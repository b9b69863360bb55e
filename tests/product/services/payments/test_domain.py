"""Payment rules: rounds of attempts, giving up, giving back. Whatever happens, the money moves once."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import pytest
from tests.fakes import NOON
from tests.seats import allocation

from cludale.kernel.allocation import OrderSeats
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.ports.charges import ChargeQuestion
from cludale.ports.sales import Outlook, SaleOutlook, SeatsGone
from cludale.ports.seats import ConcertOver
from cludale.services.orders.events import CancelReason, OrderCancelled, PaymentRequested, TicketReserved
from cludale.services.payments import comparison, domain, refunds
from cludale.services.payments.events import FailureReason, PaymentCompleted, PaymentFailed, PaymentRefunded
from cludale.services.payments.payment import NEXT, AttemptLimits, AttemptOutcome, Payment, PaymentClosed, Status

TOTAL = Money(9000, "EUR")
LIMITS = AttemptLimits(attempts=3, attempt_seconds=5)
HOLD = timedelta(seconds=600)
TICKET = TicketReserved(
    order_id="order-1",
    allocation=allocation("reservation-1", 2),
    user_id="user-1",
    total=TOTAL,
    payment_method="card-ok",
    expires_at=NOON + HOLD,
)
CAUSE = Cause("event-1")
REQUEST = Cause("event-9")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def begun() -> Payment:
    return domain.begin(None, TICKET, cause=CAUSE, now=NOON, limits=LIMITS).state


def tried(payment: Payment, *outcomes: AttemptOutcome) -> Payment:
    for outcome in outcomes:
        payment = domain.attempted(payment, outcome, None, now=at(1), retry_at=at(2), limits=LIMITS).state
    return payment


def off(reason: CancelReason = CancelReason.BUYER, *, had_seats: bool = True) -> OrderCancelled:
    return OrderCancelled(
        order_id="order-1",
        seats=OrderSeats(
            concert_id="concert-1",
            quantity=2,
            section="stalls" if had_seats else None,
            reservation_id="reservation-1" if had_seats else None,
        ),
        total=TOTAL if had_seats else None,
        reason=reason,
        was_paid=False,
        reachable=False,
    )


COMPLETED = tried(begun(), AttemptOutcome.CHARGED)
DECLINED = tried(begun(), AttemptOutcome.DECLINED)
REFUNDING = refunds.refund(COMPLETED, cause=REQUEST, now=NOON).state
REFUNDED = refunds.refunded(REFUNDING, now=at(9), limits=LIMITS).state
CLOSING = domain.close(begun(), FailureReason.EXPIRED, now=at(600))
IN_STATE = {Status.PENDING: begun(), Status.COMPLETED: COMPLETED, Status.FAILED: DECLINED, Status.REFUNDED: REFUNDED}


class TestBeginning:
    def test_a_reserved_order_begins_one_payment(self) -> None:
        payment = begun()
        assert payment.id == "payment-1"
        assert (payment.status, payment.amount, payment.round) == (Status.PENDING, TOTAL, 1)
        assert payment.key == "payment-1.1"
        assert payment.cause == CAUSE

    def test_who_began_the_attempt_has_a_lease_on_it(self) -> None:
        assert begun().due_at == at(7)

    @pytest.mark.parametrize("payment", IN_STATE.values(), ids=list(IN_STATE))
    def test_a_payment_begins_once(self, payment: Payment) -> None:
        assert domain.begin(payment, TICKET, cause=CAUSE, now=at(9), limits=LIMITS) == Decision(payment)


class TestCharging:
    def test_a_charge_completes_the_payment(self) -> None:
        decision = domain.attempted(begun(), AttemptOutcome.CHARGED, None, now=at(1), retry_at=at(2), limits=LIMITS)
        assert decision.state.status is Status.COMPLETED
        assert decision.state.due_at is None
        assert decision.events == (
            PaymentCompleted(
                payment_id="payment-1",
                order_id="order-1",
                allocation=allocation("reservation-1", 2),
                amount=TOTAL,
                round=1,
                attempts=1,
            ),
        )

    def test_a_decline_is_final_for_the_round_and_says_until_when_another_way_can_be_tried(self) -> None:
        decision = domain.attempted(
            begun(), AttemptOutcome.DECLINED, "no funds", now=at(1), retry_at=at(2), limits=LIMITS
        )
        assert decision.state.status is Status.FAILED
        assert decision.state.attempts[-1].detail == "no funds"
        assert decision.events == (
            PaymentFailed(
                payment_id="payment-1",
                order_id="order-1",
                concert_id="concert-1",
                amount=TOTAL,
                round=1,
                attempts=1,
                reason=FailureReason.DECLINED,
                returned=False,
                retry_until=at(600),
            ),
        )

    @pytest.mark.parametrize("seconds", [600, 601])
    def test_a_decline_after_the_hold_has_ended_is_the_end(self, seconds: float) -> None:
        decision = domain.attempted(
            begun(), AttemptOutcome.DECLINED, "no funds", now=at(seconds), retry_at=at(700), limits=LIMITS
        )
        (failed,) = decision.events
        assert isinstance(failed, PaymentFailed)
        assert failed.retry_until is None

    @pytest.mark.parametrize(
        ("reason", "until"),
        [(FailureReason.GAVE_UP, 600), (FailureReason.EXPIRED, None), (FailureReason.CANCELLED, None)],
    )
    def test_whoever_gave_no_answer_may_give_one_by_another_way(
        self, reason: FailureReason, until: float | None
    ) -> None:
        decision = domain.voided(domain.close(begun(), reason, now=at(5)), returned=False, now=at(6), limits=LIMITS)
        (failed,) = decision.events
        assert isinstance(failed, PaymentFailed)
        assert failed.retry_until == (None if until is None else at(until))

    def test_no_answer_is_tried_again_by_the_same_key(self) -> None:
        again = tried(begun(), AttemptOutcome.UNKNOWN)
        assert (again.status, again.due_at, again.tries) == (Status.PENDING, at(2), 1)
        assert again.key == begun().key

    def test_a_retry_waits_no_longer_than_the_hold(self) -> None:
        decision = domain.attempted(begun(), AttemptOutcome.UNKNOWN, None, now=at(599), retry_at=at(650), limits=LIMITS)
        assert decision.state.due_at == at(600)

    def test_after_the_last_attempt_the_provider_is_told_to_give_back(self) -> None:
        given_up = tried(begun(), *[AttemptOutcome.UNKNOWN] * 3)
        assert given_up.status is Status.PENDING
        assert given_up.closing is FailureReason.GAVE_UP
        assert given_up.due_at == at(1)

    def test_the_attempts_are_told_and_bounded(self) -> None:
        limits = AttemptLimits(attempts=100, attempt_seconds=5)
        payment = begun()
        for i in range(30):
            payment = domain.attempted(
                payment, AttemptOutcome.UNKNOWN, str(i), now=at(i), retry_at=at(i + 1), limits=limits
            ).state
        assert [each.detail for each in payment.attempts] == [str(i) for i in range(10, 30)]
        assert payment.tries == 30

    @pytest.mark.parametrize("outcome", list(AttemptOutcome))
    @pytest.mark.parametrize("payment", [COMPLETED, DECLINED, REFUNDING, REFUNDED])
    def test_an_attempt_that_ends_after_the_payment_changes_nothing(
        self, payment: Payment, outcome: AttemptOutcome
    ) -> None:
        decision = domain.attempted(payment, outcome, None, now=at(9), retry_at=at(10), limits=LIMITS)
        assert decision.state is payment
        assert decision.events == ()

    @pytest.mark.parametrize("outcome", list(AttemptOutcome))
    def test_an_attempt_that_ends_while_the_round_is_being_closed_decides_nothing(
        self, outcome: AttemptOutcome
    ) -> None:
        decision = domain.attempted(CLOSING, outcome, None, now=at(601), retry_at=at(602), limits=LIMITS)
        assert decision.events == ()
        assert (decision.state.status, decision.state.closing) == (Status.PENDING, FailureReason.EXPIRED)
        assert decision.state.due_at == CLOSING.due_at


class TestWhatIsFree:
    def test_it_is_paid_at_once(self) -> None:
        ticket = msgspec.structs.replace(TICKET, total=Money(0, "EUR"))
        decision = domain.begin(None, ticket, cause=CAUSE, now=NOON, limits=LIMITS)
        assert (decision.state.status, decision.state.due_at, decision.state.attempts) == (Status.COMPLETED, None, ())
        (done,) = decision.events
        assert isinstance(done, PaymentCompleted)
        assert (done.amount, done.attempts) == (Money(0, "EUR"), 0)

    def test_not_once_its_hold_has_ended(self) -> None:
        ticket = msgspec.structs.replace(TICKET, total=Money(0, "EUR"))
        decision = domain.begin(None, ticket, cause=CAUSE, now=at(600), limits=LIMITS)
        assert (decision.state.status, decision.events) == (Status.PENDING, ())


class TestTheEndOfTheHold:
    def test_no_attempt_begins_after_it(self) -> None:
        assert not domain.is_too_late(begun(), at(599.999))
        assert domain.is_too_late(begun(), at(600))

    def test_the_round_is_closed_and_the_provider_told(self) -> None:
        late = domain.expire(begun(), now=at(600))
        assert (late.closing, late.due_at) == (FailureReason.EXPIRED, at(600))

    @pytest.mark.parametrize("payment", [COMPLETED, DECLINED, REFUNDING, REFUNDED, CLOSING])
    def test_it_says_nothing_of_a_payment_that_has_its_end(self, payment: Payment) -> None:
        assert domain.expire(payment, now=at(601)) is payment

    def test_it_says_nothing_of_a_new_round(self) -> None:
        anew = domain.retry(DECLINED, method=None, cause=CAUSE, now=at(601), limits=LIMITS, hold=HOLD)
        assert domain.expire(anew, now=at(602)) is anew

    @pytest.mark.parametrize("returned", [True, False])
    def test_the_payment_fails_once_nothing_is_held(self, returned: bool) -> None:
        decision = domain.voided(CLOSING, returned=returned, now=NOON, limits=LIMITS)
        assert decision.state.status is Status.FAILED
        assert (decision.state.closing, decision.state.due_at) == (None, None)
        (failed,) = decision.events
        assert isinstance(failed, PaymentFailed)
        assert (failed.reason, failed.returned) == (FailureReason.EXPIRED, returned)

    def test_voiding_twice_fails_it_once(self) -> None:
        failed = domain.voided(CLOSING, returned=True, now=NOON, limits=LIMITS).state
        assert domain.voided(failed, returned=False, now=NOON, limits=LIMITS) == Decision(failed)


class TestANewRound:
    def test_a_failed_payment_can_be_tried_anew_with_another_card(self) -> None:
        anew = domain.retry(DECLINED, method="card-slow", cause=REQUEST, now=at(60), limits=LIMITS, hold=HOLD)
        assert (anew.status, anew.round, anew.tries, anew.method) == (Status.PENDING, 2, 0, "card-slow")
        assert anew.key == "payment-1.2"
        assert anew.expires_at == at(600)

    def test_after_the_hold_a_new_round_has_as_long_as_a_hold(self) -> None:
        anew = domain.retry(DECLINED, method="card-slow", cause=REQUEST, now=at(700), limits=LIMITS, hold=HOLD)
        assert (anew.expires_at, anew.hold_end) == (at(1300), at(600))

    def test_the_buyer_begins_a_new_round_within_the_hold_and_once(self) -> None:
        request = PaymentRequested(order_id="order-1", concert_id="concert-1", round=2, payment_method="card-slow")
        anew = domain.requested(DECLINED, request, cause=REQUEST, now=at(60), limits=LIMITS)
        assert (anew.status, anew.round, anew.tries, anew.method) == (Status.PENDING, 2, 0, "card-slow")
        assert (anew.expires_at, anew.due_at) == (at(600), at(67))
        for known in (
            anew,
            tried(anew, AttemptOutcome.DECLINED),
            tried(anew, AttemptOutcome.CHARGED),
            begun(),
            COMPLETED,
        ):
            assert domain.requested(known, request, cause=REQUEST, now=at(61), limits=LIMITS) is known
        closed = refunds.order_cancelled(DECLINED, off(), cause=REQUEST, now=at(1))
        assert closed is not None
        ended = domain.requested(closed.state, request, cause=REQUEST, now=at(61), limits=LIMITS)
        assert (ended.round, ended.closing, ended.due_at) == (2, FailureReason.CANCELLED, at(61))
        assert anew.cause == REQUEST
        assert anew.attempts == DECLINED.attempts

    def test_without_another_method_the_same_is_tried(self) -> None:
        assert (
            domain.retry(DECLINED, method=None, cause=REQUEST, now=at(60), limits=LIMITS, hold=HOLD).method == "card-ok"
        )

    @pytest.mark.parametrize("payment", [begun(), COMPLETED, REFUNDING, REFUNDED])
    def test_what_is_under_way_or_was_paid_is_not_charged_anew(self, payment: Payment) -> None:
        assert domain.retry(payment, method="card-slow", cause=REQUEST, now=at(60), limits=LIMITS, hold=HOLD) is payment

    def test_an_order_that_was_cancelled_on_purpose_can_not_be_charged(self) -> None:
        closed = msgspec.structs.replace(DECLINED, closed=True)
        with pytest.raises(PaymentClosed) as refusal:
            domain.retry(closed, method=None, cause=REQUEST, now=at(60), limits=LIMITS, hold=HOLD)
        assert refusal.value.values == {"paymentStatus": "Failed"}


class TestSeatsForLateMoney:
    def test_they_are_asked_for_once_the_hold_has_ended_and_not_before(self) -> None:
        assert not domain.wants_seats_again(DECLINED, at(599.9))
        assert domain.wants_seats_again(DECLINED, at(600))

    @pytest.mark.parametrize("payment", [begun(), COMPLETED, REFUNDING, REFUNDED, CLOSING])
    def test_they_are_not_asked_for_where_no_charge_begins(self, payment: Payment) -> None:
        assert not domain.wants_seats_again(payment, at(700))
        assert not domain.wants_seats_again(msgspec.structs.replace(DECLINED, closed=True), at(700))

    @pytest.mark.parametrize("outlook", [Outlook.POSSIBLE, Outlook.SOLD])
    def test_where_there_are_seats_it_is_charged(self, outlook: Outlook) -> None:
        domain.check_seats(DECLINED, SaleOutlook(outlook))

    def test_where_there_are_none_it_is_refused_with_what_is_left(self) -> None:
        with pytest.raises(SeatsGone, match="Nothing was charged") as refusal:
            domain.check_seats(DECLINED, SaleOutlook(Outlook.GONE, 1))
        assert refusal.value.values == {"orderId": "order-1", "section": "stalls", "wanted": 2, "left": 1}

    def test_a_concert_that_is_over_and_an_order_that_was_cancelled_are_refused_by_name(self) -> None:
        with pytest.raises(ConcertOver):
            domain.check_seats(DECLINED, SaleOutlook(Outlook.OVER, 5, at(650)))
        with pytest.raises(PaymentClosed):
            domain.check_seats(DECLINED, SaleOutlook(Outlook.CANCELLED, 5))

    def test_money_is_late_that_was_taken_after_the_hold(self) -> None:
        anew = domain.retry(DECLINED, method=None, cause=REQUEST, now=at(700), limits=LIMITS, hold=HOLD)
        late = domain.attempted(anew, AttemptOutcome.CHARGED, None, now=at(701), retry_at=at(702), limits=LIMITS).state
        assert domain.was_late(late)
        assert not any(domain.was_late(each) for each in (anew, COMPLETED, DECLINED, REFUNDED))


class TestCancelling:
    def test_a_pending_payment_is_closed(self) -> None:
        decision = refunds.order_cancelled(begun(), off(), cause=REQUEST, now=at(1))
        assert decision is not None
        assert (decision.state.closing, decision.state.due_at) == (FailureReason.CANCELLED, at(1))
        assert decision.state.closed

    def test_money_that_was_taken_goes_back_once(self) -> None:
        decision = refunds.order_cancelled(COMPLETED, off(), cause=REQUEST, now=at(1))
        assert decision is not None
        assert decision.state.refunding
        back = refunds.refunded(decision.state, now=at(9), limits=LIMITS)
        assert back.events == (
            PaymentRefunded(
                payment_id="payment-1",
                order_id="order-1",
                concert_id="concert-1",
                amount=TOTAL,
                round=1,
                attempts=1,
            ),
        )
        assert refunds.refunded(back.state, now=at(9), limits=LIMITS) == Decision(back.state)
        assert refunds.order_cancelled(back.state, off(), cause=REQUEST, now=at(2)) == Decision(back.state)

    def test_a_failed_payment_is_not_tried_anew(self) -> None:
        decision = refunds.order_cancelled(DECLINED, off(), cause=REQUEST, now=at(1))
        assert decision is not None
        assert decision.state.closed
        assert decision.state.due_at is None

    def test_a_cancellation_that_comes_before_the_payment_forbids_it(self) -> None:
        decision = refunds.order_cancelled(None, off(), cause=REQUEST, now=at(1))
        assert decision is not None
        assert domain.begin(decision.state, TICKET, cause=CAUSE, now=at(2), limits=LIMITS) == Decision(decision.state)
        with pytest.raises(PaymentClosed):
            domain.retry(decision.state, method=None, cause=REQUEST, now=at(3), limits=LIMITS, hold=HOLD)

    def test_an_order_that_never_had_seats_has_nothing_to_pay(self) -> None:
        assert refunds.order_cancelled(None, off(had_seats=False), cause=REQUEST, now=at(1)) is None

    @pytest.mark.parametrize("reason", [reason for reason in CancelReason if not reason.is_on_purpose])
    def test_an_order_that_failed_by_itself_asks_nothing_of_its_payment(self, reason: CancelReason) -> None:
        assert refunds.order_cancelled(DECLINED, off(reason), cause=REQUEST, now=at(1)) == Decision(DECLINED)
        assert refunds.order_cancelled(None, off(reason), cause=REQUEST, now=at(1)) is None


class TestRefunding:
    @pytest.mark.parametrize("payment", [begun(), DECLINED, REFUNDING, REFUNDED])
    def test_only_money_that_was_taken_goes_back(self, payment: Payment) -> None:
        assert refunds.refund(payment, cause=REQUEST, now=at(1)) == Decision(payment)

    @pytest.mark.parametrize("payment", [REFUNDING, CLOSING])
    def test_a_give_back_without_an_answer_is_tried_later(self, payment: Payment) -> None:
        later = domain.put_off(payment, until=at(700))
        assert (later.due_at, later.tries) == (at(700), payment.tries + 1)

    @pytest.mark.parametrize("payment", [begun(), COMPLETED, DECLINED, REFUNDED])
    def test_what_has_nothing_to_give_back_is_not_put_off(self, payment: Payment) -> None:
        assert domain.put_off(payment, until=at(700)) is payment


def asked(
    *, round: int = 1, is_open: bool = True, is_refunded: bool = False, cancelled_on_purpose: bool = False
) -> ChargeQuestion:
    return ChargeQuestion("order-1", round, is_open, is_refunded, cancelled_on_purpose)


class TestComparing:
    """With what an order knows, of which nothing more is heard."""

    def test_payments_says_how_the_money_stands(self) -> None:
        said = [
            comparison.standing("order-1", each) for each in (None, begun(), COMPLETED, REFUNDING, REFUNDED, DECLINED)
        ]
        assert [each.state.value for each in said] == ["unknown", "open", "taken", "open", "refunded", "failed"]
        assert [each.round for each in said] == [0, 1, 1, 1, 1, 1]

    @pytest.mark.parametrize("is_open", [True, False])
    def test_money_is_told_again_to_an_order_that_is_not_paid_as_it_was_told(self, is_open: bool) -> None:
        first = domain.attempted(begun(), AttemptOutcome.CHARGED, None, now=at(1), retry_at=at(2), limits=LIMITS)
        again = comparison.compared(first.state, asked(is_open=is_open))
        assert again == Decision(first.state, first.events, at=first.at, again=True)
        assert first.at == at(1)

    def test_what_is_free_is_told_again_with_the_time_that_it_had(self) -> None:
        free = msgspec.structs.replace(TICKET, total=Money(0, "EUR"))
        first = domain.begin(None, free, cause=CAUSE, now=NOON, limits=LIMITS)
        assert comparison.compared(first.state, asked()) == Decision(first.state, first.events, at=NOON, again=True)

    def test_a_failure_is_told_again_to_an_order_that_waits_for_it(self) -> None:
        first = domain.attempted(begun(), AttemptOutcome.DECLINED, None, now=at(1), retry_at=at(2), limits=LIMITS)
        again = comparison.compared(first.state, asked())
        assert again == Decision(first.state, first.events, at=at(1), again=True)
        assert comparison.compared(first.state, asked(is_open=False)) == Decision(first.state)
        assert comparison.compared(first.state, asked(round=2)) == Decision(first.state)  # that round is yet to begin

    @pytest.mark.parametrize("returned", [True, False])
    def test_a_failure_keeps_all_that_was_told_of_it(self, returned: bool) -> None:
        first = domain.voided(CLOSING, returned=returned, now=NOON, limits=LIMITS)
        assert comparison.compared(first.state, asked()).events == first.events

    def test_a_refund_is_told_again_to_an_order_that_does_not_know_of_it(self) -> None:
        first = refunds.refunded(REFUNDING, now=at(9), limits=LIMITS)
        again = comparison.compared(first.state, asked(cancelled_on_purpose=True))
        assert again == Decision(first.state, first.events, at=at(9), again=True)
        assert comparison.compared(first.state, asked(is_refunded=True)) == Decision(first.state)

    def test_an_order_whose_cancellation_was_not_heard_is_told_nothing(self) -> None:
        assert comparison.compared(COMPLETED, asked(cancelled_on_purpose=True)) == Decision(COMPLETED)

    @pytest.mark.parametrize("payment", [begun(), REFUNDING, CLOSING])
    def test_what_is_under_way_is_told_when_it_has_an_end(self, payment: Payment) -> None:
        assert comparison.compared(payment, asked()) == Decision(payment)

    def test_a_payment_that_never_began_has_nothing_to_tell(self) -> None:
        never = refunds.order_cancelled(None, off(), cause=REQUEST, now=at(1))
        assert never is not None
        assert comparison.compared(never.state, asked(cancelled_on_purpose=True)) == Decision(never.state)

    @pytest.mark.parametrize(
        ("outcomes", "reason"),
        [
            ((), FailureReason.EXPIRED),
            ((AttemptOutcome.DECLINED,), FailureReason.DECLINED),
            ((AttemptOutcome.UNKNOWN,), FailureReason.GAVE_UP),
        ],
    )
    def test_a_failure_of_an_older_version_is_told_as_far_as_it_is_known(
        self, outcomes: Sequence[AttemptOutcome], reason: FailureReason
    ) -> None:
        old = msgspec.structs.replace(tried(begun(), *outcomes), status=Status.FAILED, failure=None)
        (fact,) = comparison.compared(old, asked()).events
        assert isinstance(fact, PaymentFailed)
        assert (fact.reason, fact.retry_until) == (reason, None)


class TestARoundOfTheOrganizers:
    """Orders knows nothing of it, so it would not miss the end of it: that is told again a few times."""

    ANEW = domain.retry(DECLINED, method=None, cause=REQUEST, now=at(60), limits=LIMITS, hold=HOLD)

    @pytest.mark.parametrize("outcome", [AttemptOutcome.CHARGED, AttemptOutcome.DECLINED])
    def test_its_end_is_told_three_times_more_each_after_a_longer_while(self, outcome: AttemptOutcome) -> None:
        first = domain.attempted(self.ANEW, outcome, None, now=at(61), retry_at=at(62), limits=LIMITS)
        payment, now, waits = first.state, at(61), []
        while payment.due_at is not None:
            waits.append((payment.due_at - now).total_seconds())
            now = payment.due_at
            again = comparison.retold(payment, now=now, limits=LIMITS)
            assert (again.events, again.at, again.again) == (first.events, at(61), True)
            payment = again.state
        assert waits == [60, 180, 540]
        assert comparison.retold(payment, now=at(9_999), limits=LIMITS) == Decision(payment)

    def test_money_that_is_wanted_back_meanwhile_goes_back(self) -> None:
        taken = domain.attempted(
            self.ANEW, AttemptOutcome.CHARGED, None, now=at(61), retry_at=at(62), limits=LIMITS
        ).state
        wanted = refunds.refund(taken, cause=REQUEST, now=at(70)).state
        assert not comparison.is_to_be_retold(wanted)
        assert wanted.due_at == at(70)

    def test_a_round_of_the_buyers_is_not_told_again_unasked(self) -> None:
        request = PaymentRequested(order_id="order-1", concert_id="concert-1", round=2, payment_method="card-ok")
        anew = domain.requested(DECLINED, request, cause=REQUEST, now=at(60), limits=LIMITS)
        assert tried(anew, AttemptOutcome.CHARGED).due_at is None


@pytest.mark.parametrize("payment", [COMPLETED, DECLINED, REFUNDED])
def test_a_payment_that_has_its_end_is_never_due(payment: Payment) -> None:
    assert payment.due_at is None
    assert domain.take_up(payment, now=at(1), limits=LIMITS) is payment


@pytest.mark.parametrize("wanted", list(Status))
@pytest.mark.parametrize("status", list(Status))
def test_a_payment_moves_only_as_the_table_says(status: Status, wanted: Status) -> None:
    payment = IN_STATE[status]
    if wanted in NEXT[status]:
        assert domain.become(payment, wanted).status is wanted
    else:
        with pytest.raises(ValueError, match=f"can't go from {status} to {wanted}"):
            domain.become(payment, wanted)
