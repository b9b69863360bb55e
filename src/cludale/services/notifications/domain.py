"""What a buyer is told, when, and when we give up. No I/O, clock or HTTP, and no address either.

A notification's id follows from the order and what it says, so a fact that is heard twice tells the buyer once. An
order has at most three: it failed, it was paid after all, and then it was cancelled. A notification keeps what its
text says, never where it goes: the address is asked for anew each time it is sent.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import msgspec

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.ids import same_as
from cludale.kernel.money import Money
from cludale.ports.contacts import Contact
from cludale.ports.messengers import Message
from cludale.services.notifications.events import Channel, NotificationKind, NotificationSent
from cludale.services.orders.events import CancelReason, OrderCancelled, OrderPaid


class Status(StrEnum):
    """Where a notification is in its life."""

    PENDING = "Pending"
    SENT = "Sent"
    FAILED = "Failed"


NEXT: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.SENT, Status.FAILED}),
    Status.SENT: frozenset(),
    Status.FAILED: frozenset(),
}


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
    total: Money | None = None
    reason: CancelReason | None = None
    """Of a cancellation."""
    was_paid: bool = False
    """Before it was cancelled."""
    cause: Cause = Cause()
    channel: Channel | None = None
    """None until an address was looked for."""
    sent_at: datetime | None = None
    due_at: datetime | None = None
    """When it is to be sent, or sent again if by then nothing is known of the last try; None: nothing left to do."""
    attempts: int = 0
    detail: str | None = None
    """Why the last try came to nothing."""


class Limits(NamedTuple):
    """How often a message is tried, and how long a try may take before another takes it up."""

    attempts: int
    lease_seconds: float


def notification_id(kind: NotificationKind, order_id: str, *, was_paid: bool = False) -> str:
    """The id of the one notification that says this of this order: `confirmation-0199…`.

    A ticket's cancellation is another one than that of an order which was never paid: who was told that the payment
    failed, and paid after all, is told again.
    """
    return same_as(f"ticket-{kind.value}" if was_paid else kind.value, order_id)


def tell(fact: OrderPaid | OrderCancelled, *, cause: Cause, now: datetime) -> Decision[Notification]:
    """What the buyer is told of `fact`: now, in the log, if they left no address; else as soon as it can be sent."""
    cancelled = fact if isinstance(fact, OrderCancelled) else None
    kind = NotificationKind.CANCELLATION if cancelled else NotificationKind.CONFIRMATION
    was_paid = cancelled.was_paid if cancelled else False
    reachable = fact.reachable
    notification = Notification(
        id=notification_id(kind, fact.order_id, was_paid=was_paid),
        order_id=fact.order_id,
        concert_id=fact.concert_id,
        kind=kind,
        status=Status.PENDING if reachable else Status.SENT,
        created_at=now,
        quantity=fact.quantity,
        section=fact.section,
        total=fact.total,
        reason=cancelled.reason if cancelled else None,
        was_paid=was_paid,
        cause=cause,
        channel=None if reachable else Channel.LOG,
        sent_at=None if reachable else now,
        due_at=now if reachable else None,
    )
    return Decision(notification, () if reachable else (_sent_event(notification, Channel.LOG),))


def take_up(notification: Notification, *, now: datetime, limits: Limits) -> Notification:
    """Begin a try, counted before it is made, so that one which brings the process down is not made for ever."""
    if notification.attempts >= limits.attempts:
        return _failed(notification, notification.detail or "no try came to an end")
    due_at = now + timedelta(seconds=limits.lease_seconds)
    return msgspec.structs.replace(notification, attempts=notification.attempts + 1, due_at=due_at)


def sent(notification: Notification, channel: Channel, *, now: datetime) -> Decision[Notification]:
    """It was handed over."""
    if Status.SENT not in NEXT[notification.status]:
        return Decision(notification)
    after = msgspec.structs.replace(
        notification, status=Status.SENT, channel=channel, sent_at=now, due_at=None, detail=None
    )
    return Decision(after, (_sent_event(after, channel),))


def not_sent(
    notification: Notification,
    channel: Channel | None,
    why: str,
    *,
    retry_at: datetime | None,
    limits: Limits,
) -> Decision[Notification]:
    """A try came to nothing: again at `retry_at`, unless that is None (no use) or it was the last try."""
    if notification.status is not Status.PENDING:
        return Decision(notification)
    tried = msgspec.structs.replace(notification, channel=channel, detail=why, due_at=retry_at)
    if retry_at is None or notification.attempts >= limits.attempts:
        return Decision(_failed(tried, why))
    return Decision(tried)


def _failed(notification: Notification, why: str) -> Notification:
    return msgspec.structs.replace(notification, status=Status.FAILED, due_at=None, detail=why)


def _sent_event(notification: Notification, channel: Channel) -> NotificationSent:
    return NotificationSent(
        notification_id=notification.id,
        order_id=notification.order_id,
        concert_id=notification.concert_id,
        kind=notification.kind,
        channel=channel,
    )


def evolve(notification: Notification | None, event: NotificationSent, *, at: datetime) -> Notification:
    """The notification as the public fact tells of it: that it was sent, not what was tried before."""
    known = notification or Notification(
        id=event.notification_id,
        order_id=event.order_id,
        concert_id=event.concert_id,
        kind=event.kind,
        status=Status.PENDING,
        created_at=at,
    )
    return sent(known, event.channel, now=at).state


def way_to(contact: Contact | None) -> tuple[Channel, str]:
    """The channel and the address: e-mail before text message, the log where neither was left."""
    if contact is not None and contact.email is not None:
        return Channel.EMAIL, contact.email
    if contact is not None and contact.phone is not None:
        return Channel.SMS, contact.phone
    return Channel.LOG, ""


_WHY: Mapping[CancelReason | None, str] = {
    CancelReason.BUYER: "as you wished",
    CancelReason.ORGANIZER: "by the organizer",
    CancelReason.DECLINED: "because the payment was declined",
    CancelReason.PAYMENT_FAILED: "because the payment did not go through",
    CancelReason.EXPIRED: "because it was not paid in time",
    CancelReason.SOLD_OUT: "because there are not enough seats left",
    CancelReason.NOT_ON_SALE: "because its tickets are not on sale yet",
    CancelReason.CONCERT_OVER: "because the concert is over",
    CancelReason.PRICE_TOO_HIGH: "because no seat is left at the price that you named",
    CancelReason.OTHER_CURRENCY: "because its prices are in another currency than the one that you named",
    CancelReason.NO_SUCH_CONCERT: "because there is no such concert",
    CancelReason.NO_SUCH_SECTION: "because the concert has no such section",
    CancelReason.OVER_THE_LIMIT: "because one order can't have so many tickets",
    CancelReason.HELD_OTHERWISE: "because its key was used before, for another order",
    CancelReason.UNREACHABLE: "because no seats could be had in time",
    None: "",
}


_CHARGE_MAY_BE_UNDER_WAY = frozenset(
    {CancelReason.BUYER, CancelReason.ORGANIZER, CancelReason.PAYMENT_FAILED, CancelReason.EXPIRED}
)
"""When an unpaid order is cancelled for one of these; then it is voided or given back."""


def summary(notification: Notification) -> str:
    """What happened, in one line."""
    n = notification
    if n.kind is NotificationKind.CONFIRMATION:
        return f"Order {n.order_id} is confirmed: {_seats(n)}, {n.total} paid."
    return f"Order {n.order_id} is cancelled, {_WHY[n.reason]}: {_seats(n)}.{_refund(n)}"


def _seats(n: Notification) -> str:
    where = f" in section {n.section}" if n.section else ""
    return f"{n.quantity} ticket{'' if n.quantity == 1 else 's'}{where} for concert {n.concert_id}"


def _refund(n: Notification) -> str:
    if n.was_paid:
        return f" The {n.total} that you paid are refunded." if n.total else " What you paid is refunded."
    if n.reason in _CHARGE_MAY_BE_UNDER_WAY:
        return " If money was taken for it all the same, you get it back."
    return ""


def message(notification: Notification, to: str) -> Message:
    """The message; it has the same id and text each time it is sent."""
    if notification.kind is NotificationKind.CONFIRMATION:
        subject = f"Your tickets: order {notification.order_id} is confirmed"
        ending = "Please keep this message; the order number opens the door."
    else:
        subject = f"Order {notification.order_id} is cancelled"
        ending = "Your card has not been charged." if _untouched(notification) else ""
    text = f"Hello,\n\n{summary(notification)}\n{ending}\n" if ending else f"Hello,\n\n{summary(notification)}\n"
    return Message(notification.id, to, subject, text)


def _untouched(n: Notification) -> bool:
    """Is it certain that no money moved?"""
    return n.reason is CancelReason.DECLINED
