"""Payment rules: charging in rounds of attempts, giving up, refunding. No I/O, clock or HTTP.

A payment that has something left to do says when (`due_at`): try the charge, make sure that nothing is
held (`closing`), give a part of the money back (`parts`), or all that is left of it (`refunding`). What
it does outside, it does by a key of the provider's, so that doing it twice moves the money once.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
from msgspec import UNSET

from cludale.kernel.allocation import Allocation
from cludale.kernel.carts import is_cart
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Event
from cludale.kernel.ids import same_as
from cludale.kernel.money import Money
from cludale.kernel.refusals import Refusal
from cludale.kernel.tills import Till
from cludale.ports.charges import ChargeQuestion, ChargeStanding, ChargeState
from cludale.ports.payment_gateway import Charge
from cludale.ports.sales import Outlook, SaleOutlook, SeatsGone
from cludale.ports.seats import ConcertOver
from cludale.services.orders.events import (
    OrderCancelled,
    PartRefund,
    PartRefundRequested,
    PaymentRequested,
    TicketReserved,
)
from cludale.services.payments.events import (
    FailureReason,
    PartRefunded,
    PaymentCompleted,
    PaymentFailed,
    PaymentMended,
    PaymentRefunded,
)
from cludale.services.payments.mends import Mend


class Status(StrEnum):
    """Where a payment is in its life."""

    PENDING = "Pending"
    COMPLETED = "Completed"
    FAILED = "Failed"
    REFUNDED = "Refunded"


NEXT: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.COMPLETED, Status.FAILED}),
    Status.COMPLETED: frozenset({Status.REFUNDED}),
    Status.FAILED: frozenset({Status.PENDING}),  # tried anew, in a new round
    Status.REFUNDED: frozenset(),
}

_STAGE: Mapping[Status, int] = {Status.PENDING: 0, Status.COMPLETED: 1, Status.FAILED: 1, Status.REFUNDED: 2}
"""How far a round has come."""

ATTEMPTS_KEPT = 20


class Outcome(StrEnum):
    """How an attempt ended."""

    CHARGED = "charged"
    DECLINED = "declined"
    UNKNOWN = "no answer"


class Attempt(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One try to charge."""

    at: datetime
    round: int
    outcome: Outcome
    detail: str | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """How the last round failed, as it was told."""

    at: datetime
    reason: FailureReason
    returned: bool
    retry_until: datetime | None


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """A part of the money that was asked back."""

    part: PartRefund
    done_at: datetime | None = None
    """When it went back; None: it is still to be given back."""


class Share(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """What a cart's payment has of the money of one of its lines, beside the charge. As in Payment."""

    order_id: str
    amount: Money
    closed: bool = False
    refunding: bool = False
    refunded_at: datetime | None = None
    parts: tuple[Part, ...] = ()
    part_tries: int = 0
    due_at: datetime | None = None
    cause: Cause | None = None
    """Of what is being done for it; None: of the charge."""
    seats: Allocation


class Payment(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """The money side of one order, or of a cart."""

    id: str
    order_id: str
    amount: Money
    method: str
    status: Status
    created_at: datetime
    expires_at: datetime
    round: int = 1
    tries: int = 0
    """Attempts in this round."""
    attempts: tuple[Attempt, ...] = ()
    due_at: datetime | None = None
    closing: FailureReason | None = None
    """The round is over without a known charge: to be Failed once the provider holds nothing."""
    refunding: bool = False
    closed: bool = False
    """The order was cancelled on purpose: no new round."""
    hold_ends_at: datetime | None = None
    """When the order's own hold ends, once a round had another time for its end."""
    cause: Cause = Cause()
    """Of what is being done now."""
    failure: Failure | None = None
    """Of the last round, while it is Failed; None for one that never began, and for records of older versions."""
    refunded_at: datetime | None = None
    retells: int = 0
    """How often the end of the round is still to be told again: orders knows nothing of a round that the organizer
    began, so it doesn't miss the end of it."""
    parts: tuple[Part, ...] = ()
    """Part refunds, as they were heard of; never more than was paid."""
    part_tries: int = 0
    """Attempts in vain to give back the part, or the mend, that is now being given back."""
    reference: str | None = None
    """The provider's own id of this round's charge, once it has said one. Default for records of older versions."""
    waits: int = 0
    """How often the provider said of this round that the buyer or a bank has something left to do."""
    mends: tuple[Mend, ...] = ()
    """What reconciliation had given back beside all that. Default for records of older versions."""
    till: Till | None = None
    """How it was paid at the box office; None, as in records of older versions: the provider is asked."""
    back_by: str | None = None
    """Who gave it back there, if that was somebody in particular."""
    shares: tuple[Share, ...] = ()
    """Of a cart: its lines' (`carts.py`). `order_id` is the cart then, and `allocation` the seats of its first line.
    Empty: of one order, as in records of older versions."""
    allocation: Allocation
    """What is paid for; handed on whole."""

    @property
    def is_free(self) -> bool:
        """Does it cost nothing?"""
        return not self.amount.amount

    @property
    def asks_provider(self) -> bool:
        """Does the provider take its money? Of what is free or paid at the box office it never hears."""
        return self.till is None and not self.is_free

    @property
    def open_part(self) -> PartRefund | None:
        """The first part refund that is still to be given back."""
        return next((each.part for each in self.parts if each.done_at is None), None)

    @property
    def open_mend(self) -> Mend | None:
        """The first mend that is still to be given back."""
        return next((each for each in self.mends if each.done_at is None), None)

    @property
    def owed_back(self) -> int:
        """Minor units that part refunds give back; of a cart also what went back of whole lines."""
        if not self.shares:
            return sum(each.part.amount.amount for each in self.parts)
        back = 0
        for share in self.shares:
            parts = sum(each.part.amount.amount for each in share.parts)
            back += parts if share.refunded_at is None else share.amount.amount
        return back

    @property
    def rest(self) -> Money:
        """What part refunds leave of the money: what goes back if all of it does."""
        return Money(self.amount.amount - sum(each.part.amount.amount for each in self.parts), self.amount.currency)

    @property
    def hold_end(self) -> datetime:
        """When the hold of the order's seats ends."""
        return self.hold_ends_at or self.expires_at

    @property
    def key(self) -> str:
        """The provider's key of this round."""
        return f"{self.id}.{self.round}"

    @property
    def charge(self) -> Charge:
        """This round's, as the provider is asked for it."""
        return Charge(self.key, self.amount, self.reference, self.created_at)


class AttemptLimits(msgspec.Struct, frozen=True):
    """How often a charge is tried in a round, and how long one attempt may take at most (lease included)."""

    attempts: int
    lease_seconds: float
    retell_seconds: float = 60.0
    """After what time the end of a round that the organizer began is told again; the next wait is three times that."""


RETELLS = 3
"""How often it is told again."""


class PaymentClosed(Refusal):
    """This order can't be charged any more."""

    def __init__(self, payment: Payment) -> None:
        super().__init__(f"Order {payment.order_id!r} can't be charged any more.", paymentStatus=payment.status)


def payment_id(order_id: str) -> str:
    """The id of an order's payment, or a cart's: there is one for each."""
    return f"payment-{order_id}" if is_cart(order_id) else same_as("payment", order_id)


Moved = PaymentCompleted | PaymentFailed | PaymentRefunded | PartRefunded | PaymentMended


def as_begun(order: TicketReserved, *, at: datetime) -> Payment:
    """The payment of an order that can be paid since `at`."""
    return Payment(
        id=payment_id(order.order_id),
        order_id=order.order_id,
        allocation=order.allocation,
        amount=order.total,
        method=order.payment_method,
        status=Status.PENDING,
        created_at=at,
        expires_at=order.expires_at,
        till=order.till or None,
    )


def evolve(payment: Payment, event: Moved, *, at: datetime) -> Payment:
    """The payment after this fact, which happened at `at`: there is nothing left to do then.

    The log may tell of an earlier round, or of the same again: that changes nothing.
    """
    if isinstance(event, PartRefunded):
        return _with_part(payment, Part(part=event.part, done_at=at))
    if isinstance(event, PaymentMended):
        return _with_mend(payment, event, at=at)
    match event:
        case PaymentCompleted():
            status = Status.COMPLETED
        case PaymentFailed():
            status = Status.FAILED
        case PaymentRefunded():
            status = Status.REFUNDED
    if (event.round, _STAGE[status]) <= (payment.round, _STAGE[payment.status]):
        return payment
    if isinstance(event, PaymentRefunded):
        due_at = payment.due_at if payment.open_part is not None or payment.open_mend is not None else None
        return msgspec.structs.replace(
            payment, status=status, round=event.round, refunding=False, refunded_at=at, due_at=due_at
        )
    failure = None
    if isinstance(event, PaymentFailed):
        failure = Failure(at=at, reason=event.reason, returned=event.returned, retry_until=event.retry_until)
    return msgspec.structs.replace(
        payment,
        status=status,
        round=event.round,
        tries=event.attempts,
        closing=None,
        failure=failure,
        due_at=None if payment.open_mend is None else at,
        waits=0,
    )


def _with_part(payment: Payment, part: Part) -> Payment:
    """The payment with this part refund as it is now; what is back stays that."""
    before = next((each for each in payment.parts if each.part.number == part.part.number), None)
    if before is not None and (before.done_at is not None or part.done_at is None):
        return payment
    others = tuple(each for each in payment.parts if each is not before)
    after = msgspec.structs.replace(payment, parts=tuple(sorted((*others, part), key=lambda each: each.part.number)))
    if part.done_at is None:
        return after
    owes = after.refunding or after.open_part is not None or after.open_mend is not None
    return msgspec.structs.replace(after, due_at=part.done_at if owes else None, part_tries=0)


def _with_mend(payment: Payment, event: PaymentMended, *, at: datetime) -> Payment:
    """The payment with this mend done; what is back stays that."""
    before = next((each for each in payment.mends if each.number == event.number), None)
    if before is not None and before.done_at is not None:
        return payment
    begun_at, reference = (at, None) if before is None else (before.begun_at, before.reference)
    done = Mend(
        number=event.number,
        difference_id=event.difference_id,
        kind=event.kind,
        key=event.key,
        reference=reference,
        amount=event.amount,
        begun_at=begun_at,
        done_at=at,
    )
    others = tuple(each for each in payment.mends if each is not before)
    mends = tuple(sorted((*others, done), key=lambda each: each.number))
    after = msgspec.structs.replace(payment, mends=mends, part_tries=0)
    if before is None or after.status is Status.PENDING:
        return after  # the log says nothing of what is due, and a round that is open has a time of its own
    return msgspec.structs.replace(after, due_at=at if owes_money(after) else None)


def ended(payment: Payment, event: Moved, *, now: datetime, limits: AttemptLimits) -> Decision[Payment]:
    """This has just happened. The end of a round that the organizer began is to be told again later."""
    after = _allowed(payment, evolve(payment, event, at=now))
    return Decision(_to_be_retold(after, now=now, limits=limits), _told(after, event), at=now)


def _told(payment: Payment, event: Event) -> Sequence[Event]:
    """What is told: how a cart's round ended, of each of its lines."""
    if not payment.shares or not isinstance(event, PaymentCompleted | PaymentFailed):
        return (event,)
    told: list[Event] = []
    for share in payment.shares:
        own = {"payment_id": payment_id(share.order_id), "order_id": share.order_id, "amount": share.amount}
        if isinstance(event, PaymentCompleted):
            told.append(msgspec.structs.replace(event, allocation=share.seats, **own))
        else:
            told.append(msgspec.structs.replace(event, concert_id=share.seats.concert_id, **own))
    return told


def _to_be_retold(after: Payment, *, now: datetime, limits: AttemptLimits) -> Payment:
    """The end of a round that the organizer began is told again, once nothing else is left to do."""
    if not after.retells or after.due_at is not None:
        return after
    return msgspec.structs.replace(after, due_at=now + timedelta(seconds=limits.retell_seconds))


def become(payment: Payment, status: Status, **changes: object) -> Payment:
    """The payment in this status. Raises ValueError where NEXT does not lead there."""
    return _allowed(payment, msgspec.structs.replace(payment, status=status, **changes))


def _allowed(payment: Payment, after: Payment) -> Payment:
    """What it becomes. Raises ValueError where NEXT does not lead there."""
    if after.status not in NEXT[payment.status]:
        raise ValueError(f"{payment.id} can't go from {payment.status} to {after.status}")
    return after


def begin(
    payment: Payment | None, order: TicketReserved, *, cause: Cause, now: datetime, limits: AttemptLimits
) -> Decision[Payment]:
    """The order can be paid: its payment is Pending and its first attempt under way."""
    if payment is not None:
        return Decision(payment)  # cancelled before it began, or begun already
    begun = msgspec.structs.replace(as_begun(order, at=now), due_at=lease(now, limits), cause=cause)
    return _unless_asked(begun, now=now)


def _unless_asked(payment: Payment, *, now: datetime) -> Decision[Payment]:
    """What costs nothing is paid at once, without the provider; unless its hold has ended. So is what is paid at the
    box office, whenever it is heard of: that money is in the till, and where there are no seats for it any more it is
    given back from there.
    """
    if payment.asks_provider or (payment.till is None and is_too_late(payment, now)):
        return Decision(payment)
    fact = completed(payment)
    return Decision(_allowed(payment, evolve(payment, fact, at=now)), (fact,))


def lease(now: datetime, limits: AttemptLimits) -> datetime:
    """The end of an attempt that begins now."""
    # Who began the attempt has until then; after that anyone may take it up, by the same key.
    return now + timedelta(seconds=limits.lease_seconds)


def retry(
    payment: Payment, *, method: str | None, cause: Cause, now: datetime, limits: AttemptLimits, hold: timedelta
) -> Payment:
    """Charge a failed payment anew, perhaps with another method. Raises PaymentClosed."""
    if payment.status is not Status.FAILED:
        return payment
    if payment.closed:
        raise PaymentClosed(payment)
    hold_end = payment.hold_end
    begun = _new_round(
        payment,
        method=method or payment.method,
        expires_at=hold_end if now < hold_end else now + hold,
        due_at=lease(now, limits),
        cause=cause,
    )
    return msgspec.structs.replace(begun, retells=RETELLS)


def wants_seats_again(payment: Payment, now: datetime) -> bool:
    """Would a charge that begins now be for seats that are no longer held?"""
    return payment.status is Status.FAILED and not payment.closed and now >= payment.hold_end


def check_seats(payment: Payment, outlook: SaleOutlook) -> None:
    """May this be charged, with this outlook? Raises PaymentClosed, SeatsGone, ConcertOver."""
    if outlook.outlook is Outlook.CANCELLED:
        raise PaymentClosed(payment)
    if outlook.outlook is Outlook.OVER and outlook.over_at is not None:
        raise ConcertOver(payment.allocation.concert_id, outlook.over_at)
    if outlook.outlook in (Outlook.GONE, Outlook.OVER):
        raise SeatsGone(payment.order_id, payment.allocation, held_until=payment.hold_end, left=outlook.left)


def was_late(payment: Payment) -> bool:
    """Was the money taken after the hold's end, so that its sale may be refused?"""
    if payment.status is not Status.COMPLETED or not payment.attempts:
        return False
    return payment.attempts[-1].at >= payment.hold_end


def requested(
    payment: Payment, request: PaymentRequested, *, cause: Cause, now: datetime, limits: AttemptLimits
) -> Payment:
    """The buyer pays in another way: a new round, within the hold. A round that has begun is not begun again.

    If the order was cancelled on purpose meanwhile, the round ends as it begins, so that the order hears of its end.
    """
    if payment.status is not Status.FAILED or request.round != payment.round + 1:
        return payment
    begun = _new_round(
        payment,
        method=request.payment_method,
        expires_at=payment.hold_end,
        due_at=lease(now, limits),
        cause=cause,
    )
    return close(begun, FailureReason.CANCELLED, now=now) if payment.closed else begun


def _new_round(payment: Payment, *, method: str, expires_at: datetime, due_at: datetime, cause: Cause) -> Payment:
    return become(
        payment,
        Status.PENDING,
        method=method,
        round=payment.round + 1,
        tries=0,
        expires_at=expires_at,
        hold_ends_at=None if expires_at == payment.hold_end else payment.hold_end,
        due_at=due_at,
        cause=cause,
        failure=None,
        retells=0,
        reference=None,
        waits=0,
    )


def take_up(payment: Payment, *, now: datetime, limits: AttemptLimits) -> Payment:
    """Somebody works on this payment now, if it is due: others leave it alone for the lease."""
    if payment.due_at is None or payment.due_at > now:
        return payment
    return msgspec.structs.replace(payment, due_at=lease(now, limits))


def is_claimed(payment: Payment, now: datetime) -> bool:
    """Does somebody work on this round, which has just begun?"""
    return payment.status is Status.PENDING and payment.due_at is not None and payment.due_at > now


def is_too_late(payment: Payment, now: datetime) -> bool:
    """Has the hold ended, so that no attempt is worth beginning?"""
    return payment.status is Status.PENDING and payment.closing is None and now >= payment.expires_at


def expire(payment: Payment, *, now: datetime) -> Payment:
    """Close the round if the hold has ended; not if the payment got its end, or a new round, meanwhile."""
    return close(payment, FailureReason.EXPIRED, now=now) if is_too_late(payment, now) else payment


def attempted(
    payment: Payment,
    outcome: Outcome,
    detail: str | None,
    *,
    now: datetime,
    retry_at: datetime,
    limits: AttemptLimits,
    reference: str | None = None,
) -> Decision[Payment]:
    """An attempt to charge has ended. `reference`: the provider's own id of it, if it has said one."""
    if payment.status is not Status.PENDING:
        return Decision(payment)
    attempt = Attempt(at=now, round=payment.round, outcome=outcome, detail=detail)
    tried = msgspec.structs.replace(
        payment,
        tries=payment.tries + 1,
        attempts=(*payment.attempts, attempt)[-ATTEMPTS_KEPT:],
        reference=reference or payment.reference,
    )
    if tried.closing is not None:
        return Decision(tried)  # whatever it took, the provider is being told to give it back
    match outcome:
        case Outcome.CHARGED:
            return ended(tried, completed(tried), now=now, limits=limits)
        case Outcome.DECLINED:
            return _failed(tried, FailureReason.DECLINED, returned=False, now=now, limits=limits)
        case Outcome.UNKNOWN:
            if tried.tries >= limits.attempts:
                return Decision(close(tried, FailureReason.GAVE_UP, now=now))
            return Decision(msgspec.structs.replace(tried, due_at=min(retry_at, tried.expires_at)))


WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 60.0
"""Between two questions about a charge that waits for the buyer or a bank: the first wait, and the longest."""


def waits(payment: Payment, reference: str | None, *, now: datetime) -> Payment:
    """The provider has not taken the money yet: the buyer has something left to do. Ask again later.

    Waiting is no attempt in vain. It ends when the money is taken or declined, or when the hold does.
    """
    if payment.status is not Status.PENDING:
        return payment
    told = msgspec.structs.replace(payment, reference=reference or payment.reference, waits=payment.waits + 1)
    if told.closing is not None:
        return told
    ask_at = now + timedelta(seconds=min(LONGEST_WAIT_SECONDS, WAIT_SECONDS * 2.0 ** min(payment.waits, 10)))
    return msgspec.structs.replace(told, due_at=min(ask_at, told.expires_at))


def heard(payment: Payment, key: str, *, now: datetime) -> Payment:
    """The provider has news of the charge under this key: it is asked now, if something is left to be found out."""
    if payment.key != key or payment.status is not Status.PENDING or not (payment.waits or payment.closing):
        return payment
    return msgspec.structs.replace(payment, due_at=now)


def close(payment: Payment, reason: FailureReason, *, now: datetime) -> Payment:
    """End the round: the provider is to give back what an unanswered attempt may have taken."""
    return msgspec.structs.replace(payment, closing=reason, due_at=now)


def voided(payment: Payment, *, returned: bool, now: datetime, limits: AttemptLimits) -> Decision[Payment]:
    """The provider holds nothing for this round, and never will; `returned` if there was something to give back."""
    if payment.status is not Status.PENDING or payment.closing is None:
        return Decision(payment)
    return _failed(payment, payment.closing, returned=returned, now=now, limits=limits)


_TRIED_IN_VAIN = frozenset({FailureReason.DECLINED, FailureReason.GAVE_UP})
"""After these another way to pay may work."""


def _failed(
    payment: Payment, reason: FailureReason, *, returned: bool, now: datetime, limits: AttemptLimits
) -> Decision[Payment]:
    can_retry = reason in _TRIED_IN_VAIN and not payment.closed and now < payment.hold_end
    failure = Failure(at=now, reason=reason, returned=returned, retry_until=payment.hold_end if can_retry else None)
    return ended(payment, _failed_for(payment, failure), now=now, limits=limits)


def _failed_for(payment: Payment, failure: Failure) -> PaymentFailed:
    return PaymentFailed(
        payment_id=payment.id,
        order_id=payment.order_id,
        concert_id=payment.allocation.concert_id,
        amount=payment.amount,
        round=payment.round,
        attempts=payment.tries,
        reason=failure.reason,
        returned=failure.returned,
        retry_until=failure.retry_until,
    )


def completed(payment: Payment) -> PaymentCompleted:
    """The fact that its money was taken."""
    return PaymentCompleted(
        payment_id=payment.id,
        order_id=payment.order_id,
        allocation=payment.allocation,
        amount=payment.amount,
        round=payment.round,
        attempts=payment.tries,
        till=payment.till or UNSET,
    )


def order_cancelled(
    payment: Payment | None, order: OrderCancelled, *, cause: Cause, now: datetime
) -> Decision[Payment] | None:
    """The order was cancelled on purpose: charge no more, and give back what was taken.

    An order that failed by itself asks for nothing: its payment has failed already, or SaleRefused says so.
    None: there is nothing to pay, nor will there be.
    """
    if not order.reason.is_on_purpose:
        return Decision(payment) if payment is not None else None
    if payment is None:
        return never(order.order_id, order, now=now)
    if payment.closed:
        return Decision(payment)
    closed = msgspec.structs.replace(payment, closed=True, cause=cause)
    for part in order.part_refunds:  # whose own events may still be on their way
        closed = _with_part(closed, Part(part=part))
    match payment.status:
        case Status.PENDING:
            return Decision(close(closed, payment.closing or FailureReason.CANCELLED, now=now))
        case Status.COMPLETED:
            return refund(closed, cause=cause, now=now, back_by=order.seller or None)
        case _:
            return Decision(closed)


def never(paid_by: str, order: OrderCancelled, *, now: datetime) -> Decision[Payment] | None:
    """The cancellation came before the order could be paid: remember it, so that it is never charged. `paid_by`: the
    order itself, or its cart.
    """
    if order.allocation is None or order.total is None:
        return None
    return Decision(
        Payment(
            id=payment_id(paid_by),
            order_id=paid_by,
            allocation=order.allocation,
            amount=order.total,
            method="",
            status=Status.FAILED,
            created_at=now,
            expires_at=now,
            closed=True,
        )
    )


def refund(payment: Payment, *, cause: Cause, now: datetime, back_by: str | None = None) -> Decision[Payment]:
    """Give the money back, if it was taken and isn't on its way back. `back_by`: who does, at the box office."""
    if payment.status is not Status.COMPLETED or payment.refunding:
        return Decision(payment)
    return Decision(msgspec.structs.replace(payment, refunding=True, due_at=now, cause=cause, back_by=back_by))


def has_taken_money(payment: Payment) -> bool:
    """Was the money taken, so that a part of it can go back?"""
    return payment.status in (Status.COMPLETED, Status.REFUNDED)


def part_requested(
    payment: Payment, request: PartRefundRequested, *, cause: Cause, now: datetime, again: bool
) -> Decision[Payment]:
    """A part of the money is to go back, once. Asked `again`, it is told again that it is back, if it is.

    Raises ValueError for more than is left: orders never asks for that.
    """
    part = request.part
    known = next((each for each in payment.parts if each.part.number == part.number), None)
    if known is not None:
        if not again or known.done_at is None:
            return Decision(payment)
        return Decision(payment, (_part_back(payment, part),), at=known.done_at, again=True)
    if payment.refunding or payment.status is not Status.COMPLETED or part.amount.amount > payment.rest.amount:
        raise ValueError(f"{payment.id} has no {part.amount} left to give back")
    after = _with_part(payment, Part(part=part))
    return Decision(msgspec.structs.replace(after, due_at=now, cause=cause))


def part_refunded(payment: Payment, part: PartRefund, *, now: datetime, limits: AttemptLimits) -> Decision[Payment]:
    """This part of the money is back."""
    if all(each.part.number != part.number or each.done_at is not None for each in payment.parts):
        return Decision(payment)
    event = _part_back(payment, part)
    return Decision(_to_be_retold(evolve(payment, event, at=now), now=now, limits=limits), (event,), at=now)


def _part_back(payment: Payment, part: PartRefund) -> PartRefunded:
    return PartRefunded(payment_id=payment.id, order_id=payment.order_id, part=part, allocation=payment.allocation)


def owes_money(payment: Payment) -> bool:
    """Is there something to give back, for certain or perhaps? That is never given up on."""
    if payment.refunding or payment.closing is not None or payment.open_part is not None:
        return True
    if payment.shares and any(each.refunding or any(p.done_at is None for p in each.parts) for each in payment.shares):
        return True
    return payment.open_mend is not None and payment.status is not Status.PENDING  # a charge that is open comes first


def _owes_part(payment: Payment) -> bool:
    """Is a part, or a mend, what is given back next?"""
    if payment.open_part is not None:
        return True
    return payment.open_mend is not None and not payment.refunding and payment.closing is None


def tries_in_vain(payment: Payment) -> int:
    """How often it was tried to give back what it owes."""
    return payment.part_tries if _owes_part(payment) else payment.tries


def put_off(payment: Payment, *, until: datetime) -> Payment:
    """The provider gave no answer: try to give back again at `until`, if that is still to be done."""
    if not owes_money(payment):
        return payment
    if _owes_part(payment):  # how often the charge was tried stays as it was told
        return msgspec.structs.replace(payment, part_tries=payment.part_tries + 1, due_at=until)
    return msgspec.structs.replace(payment, tries=payment.tries + 1, due_at=until)


def refunded(payment: Payment, *, now: datetime, limits: AttemptLimits) -> Decision[Payment]:
    """The money is back."""
    if payment.status is not Status.COMPLETED or not payment.refunding:
        return Decision(payment)
    return ended(payment, _back(payment), now=now, limits=limits)


def _back(payment: Payment) -> PaymentRefunded:
    return PaymentRefunded(
        payment_id=payment.id,
        order_id=payment.order_id,
        concert_id=payment.allocation.concert_id,
        amount=payment.rest,
        round=payment.round,
        attempts=sum(each.round == payment.round for each in payment.attempts),
        till=UNSET if payment.till is None else _given_back_by(payment.till, payment.back_by),
    )


def _given_back_by(till: Till, seller: str | None) -> Till:
    """By nobody in particular is by who sold it: that till has the money."""
    return till if seller is None else msgspec.structs.replace(till, seller=seller)


def standing(order_id: str, payment: Payment | None) -> ChargeStanding:
    """How the money of an order stands."""
    if payment is None:
        return ChargeStanding(order_id, ChargeState.UNKNOWN)
    is_going_back = payment.refunding or (payment.status is Status.REFUNDED and payment.open_part is not None)
    state = ChargeState.OPEN if is_going_back else _STATES[payment.status]
    return ChargeStanding(order_id, state, payment.round, payment.closed)


_STATES: Mapping[Status, ChargeState] = {
    Status.PENDING: ChargeState.OPEN,
    Status.COMPLETED: ChargeState.TAKEN,
    Status.FAILED: ChargeState.FAILED,
    Status.REFUNDED: ChargeState.REFUNDED,
}


def compared(payment: Payment, order: ChargeQuestion) -> Decision[Payment]:
    """Tell again how the round has ended, if this order has yet to hear it or to hear what follows from it.

    Money that was taken is told again to an order that isn't paid, though the order may know of it: concerts answers.
    Whose cancellation payments has yet to hear, or to carry out, is told nothing: the money goes back anyway.
    """
    match standing(order.order_id, payment).state:
        case ChargeState.OPEN if payment.status is Status.REFUNDED and order.is_refunded:
            return Decision(payment)
        case ChargeState.TAKEN if order.cancelled_on_purpose:
            return Decision(payment)
        case ChargeState.FAILED if payment.round < order.round or (payment.round == order.round and not order.is_open):
            return Decision(payment)
        case ChargeState.REFUNDED if order.is_refunded:
            return Decision(payment)
        case _:
            return told_again(payment)


def told_again(payment: Payment) -> Decision[Payment]:
    """How the round has ended, once more, as it was told and with the time that it had. Nothing while it is open."""
    fact: Event | None = None
    at: datetime | None = None
    match payment.status:
        case Status.COMPLETED if not payment.refunding:
            fact = completed(payment)
            at = payment.attempts[-1].at if payment.attempts else payment.created_at  # free, or at the box office
        case Status.FAILED if payment.failure is not None or payment.tries or not payment.closed:
            failure = payment.failure or _failure_of_old(payment)
            fact, at = _failed_for(payment, failure), failure.at
        case Status.REFUNDED:
            fact, at = _back(payment), payment.refunded_at
    return Decision(payment) if fact is None else Decision(payment, _told(payment, fact), at=at, again=True)


def _failure_of_old(payment: Payment) -> Failure:
    """Of a record that doesn't have it: no way to pay is left by now."""
    last = payment.attempts[-1] if payment.attempts else None
    reason = FailureReason.EXPIRED
    if last is not None:
        reason = FailureReason.DECLINED if last.outcome is Outcome.DECLINED else FailureReason.GAVE_UP
    return Failure(at=last.at if last else payment.created_at, reason=reason, returned=False, retry_until=None)


def is_to_be_retold(payment: Payment) -> bool:
    """Is nothing left to do but to tell again how the round has ended?"""
    return payment.status is not Status.PENDING and not owes_money(payment)


def retold(payment: Payment, *, now: datetime, limits: AttemptLimits) -> Decision[Payment]:
    """Tell the end of a round that the organizer began once more, and say when the next time is, if there is one."""
    if not is_to_be_retold(payment) or payment.due_at is None:
        return Decision(payment)
    left = max(0, payment.retells - 1)
    wait = timedelta(seconds=limits.retell_seconds * 3.0 ** (RETELLS - left))
    after = msgspec.structs.replace(payment, retells=left, due_at=now + wait if left else None)
    if not payment.retells:
        return Decision(after)
    again = told_again(payment)
    return Decision(after, again.events, at=again.at, again=True)
