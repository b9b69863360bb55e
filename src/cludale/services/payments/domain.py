"""Payment rules: charging in rounds of attempts, giving up, refunding. No I/O, clock or HTTP.

A payment that has something left to do says when (`due_at`): try the charge, make sure that nothing is
held (`closing`), give a part of the money back (`parts`), or all that is left of it (`refunding`). What
it does outside, it does by a key of the provider's, so that doing it twice moves the money once.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET

from cludale.kernel.backoff import Backoff
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Event
from cludale.kernel.tills import Till
from cludale.ports.sales import Outlook, SaleOutlook, SeatsGone
from cludale.ports.seats import ConcertOver
from cludale.services.orders.events import (
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
from cludale.services.payments.payment import (
    ATTEMPTS_KEPT,
    NEXT,
    Attempt,
    AttemptLimits,
    AttemptOutcome,
    Failure,
    Part,
    Payment,
    PaymentClosed,
    Status,
    payment_id,
)

_STAGE: Mapping[Status, int] = {Status.PENDING: 0, Status.COMPLETED: 1, Status.FAILED: 1, Status.REFUNDED: 2}
"""How far a round has come."""


LEASE_EXTRA_SECONDS = 2
"""What an attempt may take beside asking the provider."""
RETELLS = 3
"""How often it is told again."""


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
        return with_part(payment, Part(part=event.part, done_at=at))
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


def with_part(payment: Payment, part: Part) -> Payment:
    """The payment with the latest state of this part refund; one that is already paid back stays so."""
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
    # a round's end that is still to be told again was put off by the mend
    return msgspec.structs.replace(after, due_at=at if owes_money(after) or after.retells else None)


def ended(payment: Payment, event: Moved, *, now: datetime, limits: AttemptLimits) -> Decision[Payment]:
    """This has just happened. The end of a round that the organizer began is to be told again later."""
    after = _allowed(payment, evolve(payment, event, at=now))
    return Decision(to_be_retold(after, now=now, limits=limits), as_told(after, event), at=now)


def as_told(payment: Payment, event: Event) -> Sequence[Event]:
    """What is told: how a cart's round ended, of each of its lines. That money was taken which went back is not."""
    if not payment.shares or not isinstance(event, PaymentCompleted | PaymentFailed):
        return (event,)
    told: list[Event] = []
    for share in payment.shares:
        own = {"payment_id": payment_id(share.order_id), "order_id": share.order_id, "amount": share.amount}
        if isinstance(event, PaymentFailed):
            told.append(msgspec.structs.replace(event, concert_id=share.seats.concert_id, **own))
        elif not share.refunding and share.refunded_at is None:
            told.append(msgspec.structs.replace(event, allocation=share.seats, **own))
    return told


def to_be_retold(after: Payment, *, now: datetime, limits: AttemptLimits) -> Payment:
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
    return now + timedelta(seconds=limits.attempt_seconds + LEASE_EXTRA_SECONDS)


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
    outcome: AttemptOutcome,
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
        case AttemptOutcome.CHARGED:
            return ended(tried, completed(tried), now=now, limits=limits)
        case AttemptOutcome.DECLINED:
            return _failed(tried, FailureReason.DECLINED, returned=False, now=now, limits=limits)
        case AttemptOutcome.UNKNOWN:
            if tried.tries >= limits.attempts:
                return Decision(close(tried, FailureReason.GAVE_UP, now=now))
            return Decision(msgspec.structs.replace(tried, due_at=min(retry_at, tried.expires_at)))


WAITS = Backoff(5.0, 60.0)
"""Between two questions about a charge that waits for the buyer or a bank."""


def waits(payment: Payment, reference: str | None, *, now: datetime) -> Payment:
    """The provider has not taken the money yet: the buyer has something left to do. Ask again later.

    Waiting is no attempt in vain. It ends when the money is taken or declined, or when the hold does.
    """
    if payment.status is not Status.PENDING:
        return payment
    told = msgspec.structs.replace(payment, reference=reference or payment.reference, waits=payment.waits + 1)
    if told.closing is not None:
        return told
    ask_at = now + timedelta(seconds=WAITS.seconds(payment.waits + 1))
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
    return ended(payment, failure_of(payment, failure), now=now, limits=limits)


def failure_of(payment: Payment, failure: Failure) -> PaymentFailed:
    """That no money came of it, as it is told."""
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


def owes_money(payment: Payment) -> bool:
    """Is there something to give back, for certain or perhaps? That is never given up on."""
    if payment.refunding or payment.closing is not None or payment.open_part is not None:
        return True
    if payment.shares and any(each.refunding or any(p.done_at is None for p in each.parts) for each in payment.shares):
        return True
    return payment.open_mend is not None and payment.status is not Status.PENDING  # a charge that is open comes first


def owes_part(payment: Payment) -> bool:
    """Is a part, or a mend, what is given back next?"""
    if payment.open_part is not None:
        return True
    return payment.open_mend is not None and not payment.refunding and payment.closing is None


def put_off(payment: Payment, *, until: datetime) -> Payment:
    """The provider gave no answer: try to give back again at `until`, if that is still to be done."""
    if not owes_money(payment):
        return payment
    if owes_part(payment):  # how often the charge was tried stays as it was told
        return msgspec.structs.replace(payment, part_tries=payment.part_tries + 1, due_at=until)
    return msgspec.structs.replace(payment, tries=payment.tries + 1, due_at=until)


def refund_of(payment: Payment) -> PaymentRefunded:
    """That the money went back, as it is told."""
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
