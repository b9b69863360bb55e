"""What a buyer is told, when, and when we give up. No I/O, clock or HTTP, no words, and no address either.

A notification's id follows from the order and what it says, so a fact that is heard twice tells the buyer once. An
order has at most three: it failed, it was paid after all, and then it was cancelled; beside these one for each part
refund, for each time that its confirmation is asked for again and for each time that its concert, or its seats, are
moved. A notification keeps what it says, never where it goes: the address is asked for anew each time it is sent.

A confirmation carries the receipt of the money that was taken (`Receipt`, from PaymentCompleted), and a cancellation
says by it whether money goes back.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from cludale.kernel.allocation import Allocation, OrderSeats, seats_line, seats_named
from cludale.kernel.bills import Bill
from cludale.kernel.carts import cart_of, number_of
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.ids import same_as
from cludale.kernel.money import Money
from cludale.kernel.refusals import Refusal
from cludale.ports.contacts import Contact
from cludale.ports.messengers import Trouble
from cludale.services.concerts.events import SeatsOffered
from cludale.services.notifications.events import Channel, NotificationBounced, NotificationKind, NotificationSent
from cludale.services.orders.events import (
    CancelReason,
    CartLine,
    CartPaid,
    ConfirmationRequested,
    OrderCancelled,
    OrderMoved,
    OrderPaid,
    OrderReseated,
    PartRefund,
)
from cludale.services.payments.events import PartRefunded, PaymentCompleted


class Status(StrEnum):
    """Where a notification is in its life."""

    PENDING = "Pending"
    SENT = "Sent"
    FAILED = "Failed"


NEXT: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.SENT, Status.FAILED}),
    Status.SENT: frozenset({Status.PENDING}),  # it came back, and the organizer has it sent again
    Status.FAILED: frozenset({Status.PENDING}),  # the organizer has it sent again
}


class AlreadySent(Refusal):
    """The buyer has it, as far as we know; it is not sent twice."""

    def __init__(self, notification_id: str) -> None:
        super().__init__(f"{notification_id!r} was sent already.", id=notification_id)


class MailSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """How an organizer's messages are written."""

    organizer: str
    language: str
    """To buyers of whom it isn't known which they read."""
    changed_at: datetime
    changed_by: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The money that was taken for an order."""

    order_id: str
    payment_id: str
    amount: Money
    taken_at: datetime


class Notification(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """One thing that one buyer is told."""

    id: str
    order_id: str
    concert_id: str
    kind: NotificationKind
    status: Status
    created_at: datetime
    quantity: int = 0
    section: str | None = None
    seats_said: str | None = None
    """Its numbered seats by their rows, `C 12, 13`; None, as in those written before this field existed: they have no
    numbers."""
    seats_were: str | None = None
    """The seats before a move to others, written as `seats_said`. None where nothing was moved, and in records written
    before this field existed."""
    seats_back: str | None = None
    """Of a refund: those that it gives back, as `seats_said`. None in those written before this field existed."""
    total: Money | None = None
    reason: CancelReason | None = None
    """Of a cancellation."""
    was_paid: bool = False
    """Before it was cancelled."""
    payment_id: str | None = None
    """The payment that took the money; None: nothing is known to have been taken."""
    paid: Money | None = None
    """How much that was."""
    paid_at: datetime | None = None
    note: str | None = None
    """What the organizer says of it, where the concert is called off or moved."""
    date: str | None = None
    """When the concert is to be, since it was moved; None: not known yet."""
    cancel_until: datetime | None = None
    """Until when its buyer may cancel, since it was moved."""
    returned: int = 0
    """Tickets that were given back, of `quantity`."""
    refunded: Money | None = None
    """What had gone back in part, or was on its way; None: nothing had."""
    until: datetime | None = None
    """Until when the seats of an offer are held."""
    part: PartRefund | None = None
    """What a refund gives back, and what is left."""
    bill: Bill | None = None
    """What the order costs, line by line; None, as in those written before this field existed: each ticket costs the
    same.
    """
    lines: tuple[CartLine, ...] = ()
    """Of the confirmation of a cart: its orders, `order_id` is the first of them. Empty, as in those written before
    this field existed: of one order."""
    cause: Cause = Cause()
    channel: Channel | None = None
    """None until an address was looked for."""
    sent_at: datetime | None = None
    due_at: datetime | None = None
    """When it is to be sent, or sent again if by then nothing is known of the last try; None: nothing left to do."""
    attempts: int = 0
    unanswered: int = 0
    """Tries in a row of which nothing is known: the process ended, or the server gave no answer to the message."""
    tried_since: datetime | None = None
    """From when on it is tried; None: since it was created."""
    detail: str | None = None
    """Why the last try came to nothing."""
    bounced_at: datetime | None = None
    """When it came back, since it was last sent; None: it did not, as far as is known."""
    bounce: str | None = None
    """Why, as a status code of RFC 3463."""
    bounces: int = 0
    """How often it came back."""

    @property
    def named(self) -> str:
        """What it is about, for the buyer: the order, or the cart."""
        return (cart_of(self.order_id) or self.order_id) if self.lines else self.order_id

    @property
    def each_order(self) -> "Sequence[Notification]":
        """What it says of each order of a cart; of one order, that."""
        if not self.lines:
            return (self,)
        return [
            msgspec.structs.replace(
                self,
                order_id=line.order_id,
                concert_id=line.seats.concert_id,
                section=line.seats.section,
                quantity=line.seats.quantity,
                seats_said=seats_line(seats_named(line.seats)) or None,
                total=line.total,
                lines=(),
            )
            for line in self.lines
        ]


class RetryLimits(NamedTuple):
    """When a message is given up, and how long a try may take before another takes it up."""

    seconds: float
    """For how long it is tried."""
    unanswered: int
    """How many tries in a row may come to no answer: each of them may have reached the buyer."""
    lease_seconds: float


def notification_id(kind: NotificationKind, order_id: str, *, was_paid: bool = False) -> str:
    """The id of the one notification that says this of this order: `confirmation-0199…`.

    A ticket's cancellation is another one than that of an order which was never paid: who was told that the payment
    failed, and paid after all, is told again.
    """
    return same_as(f"ticket-{kind}" if was_paid else kind, order_id)


ToldOf = (
    OrderPaid
    | CartPaid
    | OrderCancelled
    | OrderMoved
    | OrderReseated
    | ConfirmationRequested
    | PartRefunded
    | SeatsOffered
)
"""What a buyer is told of."""


def is_told_with_cart(fact: object) -> bool:
    """Is this said to the buyer of a cart already, or about to be, by what is said of the cart or of its first line?

    A cart is confirmed once, and where it comes to nothing, that is said once. What is given back of it later is said
    of each order.
    """
    if isinstance(fact, OrderPaid):
        return cart_of(fact.order_id) is not None
    if not isinstance(fact, OrderCancelled) or number_of(fact.order_id) <= 1:
        return False
    return not fact.was_paid or fact.reason is CancelReason.CART_INCOMPLETE


def id_for(fact: ToldOf) -> str:
    """The id of the notification that tells of this."""
    match fact:
        case OrderPaid() | CartPaid():  # nearly all
            id = notification_id(NotificationKind.CONFIRMATION, fact.order_id)
        case OrderMoved():
            id = f"{notification_id(NotificationKind.MOVED, fact.order_id)}.{fact.revision}"
        case OrderReseated():
            id = f"{notification_id(NotificationKind.RESEATED, fact.order_id)}.{fact.allocation.moves or 0}"
        case PartRefunded():
            id = f"{notification_id(NotificationKind.REFUND, fact.order_id)}.{fact.part.number}"
        case ConfirmationRequested():
            id = f"{notification_id(NotificationKind.CONFIRMATION, fact.order_id)}.{fact.number}"
        case SeatsOffered():
            id = notification_id(NotificationKind.OFFER, fact.order_id)
        case OrderCancelled():
            id = notification_id(NotificationKind.CANCELLATION, fact.order_id, was_paid=fact.was_paid)
    return id


_WITHOUT_TOTAL = PartRefunded | OrderMoved | OrderReseated | SeatsOffered
"""Made once: a union that is written where it is asked for is made anew."""


def receipt(fact: PaymentCompleted, *, at: datetime) -> Receipt:
    """The receipt for money that was taken at `at`."""
    return Receipt(order_id=fact.order_id, payment_id=fact.payment_id, amount=fact.amount, taken_at=at)


def goes_by_receipt(fact: ToldOf) -> bool:
    """Does what the buyer is told depend on whether money was taken? Not where there was none to take."""
    if isinstance(fact, _WITHOUT_TOTAL):
        return False
    return fact.total is not None and fact.total.amount > 0


def needs_receipt(fact: ToldOf) -> bool:
    """Was money taken for certain? Then its receipt comes, if it is not here yet."""
    return goes_by_receipt(fact) and (fact.was_paid if isinstance(fact, OrderCancelled) else True)


def _pending(
    fact: ToldOf,
    kind: NotificationKind,
    seats: Allocation | OrderSeats,
    *,
    cause: Cause,
    now: datetime,
    back: Collection[int] = (),
    **more: Any,
) -> Notification:
    """A message about seats that is to be sent. `back`: the numbers of tickets that were given back, where seats have
    numbers. `more`: the fields that are its own, or otherwise.
    """
    left = [seat for number, seat in enumerate(seats_named(seats), 1) if number not in back]
    fields: dict[str, Any] = {
        "id": id_for(fact),
        "kind": kind,
        "status": Status.PENDING,
        "created_at": now,
        "quantity": seats.quantity,
        "section": seats.section,
        "seats_said": seats_line(left) or None,
        "cause": cause,
        "due_at": now,
    }
    if not isinstance(fact, CartPaid):
        fields |= {"order_id": fact.order_id, "concert_id": fact.concert_id}
    fields |= more
    return Notification(**fields)


def _paid_by(money: Receipt | None) -> Mapping[str, Any]:
    """What a message says of the money that was taken."""
    return {} if money is None else {"payment_id": money.payment_id, "paid": money.amount, "paid_at": money.taken_at}


def tell_moved(fact: OrderMoved, *, cause: Cause, now: datetime) -> Decision[Notification]:
    """The buyer is told that the concert is moved."""
    date = None if fact.is_open else fact.date
    own = {"note": fact.reason, "date": date, "cancel_until": fact.cancel_until, **_given_back(fact.part_refunds)}
    notification = _pending(fact, NotificationKind.MOVED, fact.seats, cause=cause, now=now, **own)
    return _log_unless_reachable(notification, reachable=fact.reachable)


def tell_reseated(fact: OrderReseated, *, cause: Cause, now: datetime) -> Decision[Notification]:
    """The buyer is told which tickets are for other seats."""
    seats = seats_named(fact.allocation)
    notification = _pending(
        fact,
        NotificationKind.RESEATED,
        fact.allocation,
        cause=cause,
        now=now,
        quantity=len(fact.numbers),
        seats_said=seats_line(seats[number - 1] for number in fact.numbers) or None,
        seats_were=seats_line(fact.seats_before) or None,
        note=fact.reason,
    )
    return _log_unless_reachable(notification, reachable=fact.reachable)


def tell_of_cart(fact: CartPaid, money: Receipt | None, *, cause: Cause, now: datetime) -> Decision[Notification]:
    """The confirmation of a cart: one for all its lines, with one receipt."""
    first = fact.lines[0]
    notification = _pending(
        fact,
        NotificationKind.CONFIRMATION,
        first.seats,
        cause=cause,
        now=now,
        order_id=first.order_id,
        concert_id=first.seats.concert_id,
        quantity=sum(line.seats.quantity for line in fact.lines),
        section=None,
        seats_said=None,
        total=fact.total,
        payment_id=f"payment-{fact.cart_id}" if money else None,
        paid=fact.total if money else None,
        paid_at=money.taken_at if money else None,
        lines=fact.lines,
    )
    return _log_unless_reachable(notification, reachable=fact.reachable)


def tell(
    fact: OrderPaid | CartPaid | OrderCancelled | OrderMoved, money: Receipt | None, *, cause: Cause, now: datetime
) -> Decision[Notification]:
    """What the buyer is told of `fact`: now, in the log, if they left no address; else as soon as it can be sent."""
    if isinstance(fact, OrderMoved):
        return tell_moved(fact, cause=cause, now=now)
    if isinstance(fact, CartPaid):
        return tell_of_cart(fact, money, cause=cause, now=now)
    seats: Allocation | OrderSeats
    if isinstance(fact, OrderPaid):
        kind, seats = NotificationKind.CONFIRMATION, fact.allocation
        own: dict[str, Any] = {"bill": fact.bill or None}
    else:
        kind, seats = NotificationKind.CANCELLATION, fact.seats
        own = {
            "reason": fact.reason,
            "was_paid": fact.was_paid,
            "note": fact.note or None,
            "refunded": _refunded(fact.part_refunds),
            **_given_back(fact.part_refunds),
        }
    own |= _paid_by(money)
    notification = _pending(fact, kind, seats, cause=cause, now=now, total=fact.total, **own)
    return _log_unless_reachable(notification, reachable=fact.reachable)


def _log_unless_reachable(notification: Notification, *, reachable: bool) -> Decision[Notification]:
    """As soon as it can be sent; who left no address is told in the log, now."""
    if reachable:
        return Decision(notification)
    logged = msgspec.structs.replace(
        notification, status=Status.SENT, channel=Channel.LOG, sent_at=notification.created_at, due_at=None
    )
    return Decision(logged, (_sent_event(logged, Channel.LOG),))


def _given_back(parts: Sequence[PartRefund]) -> Mapping[str, Any]:
    """How many tickets were given back, and which."""
    return {
        "returned": sum(each.tickets for each in parts),
        "back": frozenset(number for each in parts for number in each.numbers or ()),
    }


def _refunded(parts: Sequence[PartRefund]) -> Money | None:
    return Money(sum(each.amount.amount for each in parts), parts[0].amount.currency) if parts else None


def tell_once_more(
    fact: ConfirmationRequested, money: Receipt | None, *, cause: Cause, now: datetime
) -> Decision[Notification]:
    """The confirmation again, as the order is now. Only an order with an address is asked for it."""
    return Decision(
        _pending(
            fact,
            NotificationKind.COPY,
            fact.allocation,
            cause=cause,
            now=now,
            total=fact.total,
            bill=fact.bill or None,
            returned=fact.tickets_returned,
            back=fact.numbers_back or (),
            refunded=fact.refunded if fact.refunded.amount else None,
            **_paid_by(money),
        )
    )


def tell_of_part(fact: PartRefunded, *, cause: Cause, now: datetime) -> Decision[Notification]:
    """A part of the money went back; who left no address is told in the log, as soon as that is known."""
    seats, numbered = fact.allocation, seats_named(fact.allocation)
    back = seats_line(numbered[number - 1] for number in fact.part.numbers or ()) or None
    own: dict[str, Any] = {"returned": seats.quantity - fact.part.held, "part": fact.part}
    own |= {"seats_said": None, "seats_back": back}
    return Decision(_pending(fact, NotificationKind.REFUND, seats, cause=cause, now=now, **own))


def tell_of_offer(fact: SeatsOffered, *, cause: Cause, now: datetime) -> Decision[Notification]:
    """It is the turn of somebody who waited; who left no address is told in the log, as soon as that is known."""
    bill = None if fact.bill is msgspec.UNSET else fact.bill
    own: dict[str, Any] = {"seats_said": None, "until": fact.expires_at, "total": fact.total, "bill": bill}
    return Decision(_pending(fact, NotificationKind.OFFER, fact.allocation, cause=cause, now=now, **own))


def take_up(notification: Notification, *, now: datetime, limits: RetryLimits) -> Notification:
    """Begin a try, if it is due: counted before it is made, so that one which brings the process down ends some day."""
    if notification.due_at is None or notification.due_at > now:
        return notification
    if notification.unanswered >= limits.unanswered:
        return _failed(notification, _unanswered(notification))
    return msgspec.structs.replace(
        notification,
        attempts=notification.attempts + 1,
        unanswered=notification.unanswered + 1,
        due_at=now + timedelta(seconds=limits.lease_seconds),
    )


def sent(notification: Notification, channel: Channel, *, now: datetime) -> Decision[Notification]:
    """The message was handed over to this channel."""
    if Status.SENT not in NEXT[notification.status]:
        return Decision(notification)
    after = msgspec.structs.replace(
        notification, status=Status.SENT, channel=channel, sent_at=now, due_at=None, detail=None, unanswered=0
    )
    return Decision(after, (_sent_event(after, channel),))


def not_sent(
    notification: Notification,
    channel: Channel | None,
    why: str,
    trouble: Trouble,
    *,
    now: datetime,
    retry_at: datetime,
    limits: RetryLimits,
) -> Decision[Notification]:
    """A try came to nothing: again at `retry_at`, unless it is refused for good or was tried for long enough."""
    if notification.status is not Status.PENDING:
        return Decision(notification)
    tried = msgspec.structs.replace(
        notification,
        channel=channel,
        detail=why,
        due_at=retry_at,
        unanswered=notification.unanswered if trouble is Trouble.UNKNOWN else 0,
    )
    if trouble is Trouble.REFUSED:
        return Decision(_failed(tried, why))
    if tried.unanswered >= limits.unanswered:
        return Decision(_failed(tried, f"{_unanswered(tried)}; the last: {why}"))
    if now >= (tried.tried_since or tried.created_at) + timedelta(seconds=limits.seconds):
        return Decision(_failed(tried, why))
    return Decision(tried)


def retry(notification: Notification, *, now: datetime) -> Notification:
    """Send one again that was given up or came back; one that is to be sent anyway stays. Raises AlreadySent."""
    if notification.status is Status.SENT and notification.bounced_at is None:
        raise AlreadySent(notification.id)
    if Status.PENDING not in NEXT[notification.status]:
        return notification
    return msgspec.structs.replace(
        notification,
        status=Status.PENDING,
        due_at=now,
        tried_since=now,
        unanswered=0,
        sent_at=None,
        bounced_at=None,
        bounce=None,
    )


def bounced(notification: Notification, status: str, *, now: datetime) -> Decision[Notification]:
    """It came back. Told again changes nothing until it was sent again; one that is in the log only came from nobody.

    One that is still Pending was taken by a server that gave no answer: it is tried no more.
    """
    if notification.bounced_at is not None or notification.channel in (Channel.LOG, Channel.SMS):
        return Decision(notification)
    if notification.status is Status.PENDING and not notification.attempts:
        return Decision(notification)
    after = msgspec.structs.replace(
        notification, bounced_at=now, bounce=status, bounces=notification.bounces + 1, detail=f"it came back: {status}"
    )
    if notification.status is Status.PENDING:
        after = msgspec.structs.replace(after, status=Status.FAILED, due_at=None, channel=Channel.EMAIL)
    event = NotificationBounced(
        notification_id=notification.id,
        order_id=notification.order_id,
        concert_id=notification.concert_id,
        kind=notification.kind,
        status=status,
    )
    return Decision(after, (event,))


def _unanswered(notification: Notification) -> str:
    return f"{notification.unanswered} tries in a row came to no answer, so it may have arrived"


def _failed(notification: Notification, why: str) -> Notification:
    return msgspec.structs.replace(notification, status=Status.FAILED, due_at=None, detail=why)


def _sent_event(notification: Notification, channel: Channel) -> NotificationSent:
    return NotificationSent(
        notification_id=notification.id,
        order_id=notification.order_id,
        concert_id=notification.concert_id,
        kind=notification.kind,
        channel=channel,
        payment_id=notification.payment_id,
    )


def evolve(
    notification: Notification | None, event: NotificationSent | NotificationBounced, *, at: datetime
) -> Notification:
    """The notification as the public facts tell of it: that it was sent and came back, not what was tried before."""
    known = notification or Notification(
        id=event.notification_id,
        order_id=event.order_id,
        concert_id=event.concert_id,
        kind=event.kind,
        status=Status.PENDING,
        created_at=at,
    )
    if isinstance(event, NotificationBounced):
        tried = known if known.attempts else msgspec.structs.replace(known, attempts=1)
        return bounced(tried, event.status, now=at).state
    if known.bounced_at is not None:
        known = retry(known, now=at)
    known = msgspec.structs.replace(known, payment_id=event.payment_id)
    return sent(known, event.channel, now=at).state


def way_to(contact: Contact | None) -> tuple[Channel, str]:
    """The channel and the address: e-mail before text message, the log where neither was left."""
    if contact is not None and contact.email is not None:
        return Channel.EMAIL, contact.email
    if contact is not None and contact.phone is not None:
        return Channel.SMS, contact.phone
    return Channel.LOG, ""
