"""Messages to buyers."""

from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import msgspec

from cludale.kernel.decision import Decision
from cludale.ports.messengers import Trouble
from cludale.services.notifications import domain as notifications_domain
from cludale.services.notifications import due as notifications_due
from cludale.services.orders.events import OrderCancelled, OrderPaid
from cludale_proof.planted.planting import bug, swap


@bug("notifications: a new notification for each delivery")
def _(stack: ExitStack) -> None:
    made = [0]

    def wrong(kind: Any, order_id: str, **_: Any) -> str:
        made[0] += 1
        return f"{kind.value}-{order_id.partition('-')[2]}.{made[0]}"

    swap(stack, notifications_domain, "notification_id", wrong)


@bug("notifications: whoever was told that the payment failed is told of no other cancellation", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = notifications_domain.notification_id
    swap(stack, notifications_domain, "notification_id", lambda kind, order_id, **_: right(kind, order_id))


@bug("notifications: the buyer is told of every cancellation that he was paid")
def _(stack: ExitStack) -> None:
    right = notifications_domain.tell

    def wrong(fact: Any, money: Any, **kwargs: Any) -> Any:
        if isinstance(fact, OrderCancelled) and fact.was_paid and fact.total and (seats := fact.allocation):
            fact = OrderPaid(order_id=fact.order_id, allocation=seats, total=fact.total, reachable=fact.reachable)
        return right(fact, money, **kwargs)

    swap(stack, notifications_domain, "tell", wrong)


@bug("notifications: a message whose sending a crash cut off is never sent")
def _(stack: ExitStack) -> None:
    right = notifications_domain.take_up

    def wrong(notification: Any, *, now: datetime, **kwargs: Any) -> Any:
        taken = right(notification, now=now, **kwargs)
        if taken is notification or taken.due_at is None:
            return taken
        return msgspec.structs.replace(taken, due_at=now + timedelta(days=365))

    swap(stack, notifications_domain, "take_up", wrong)


@bug("notifications: a confirmation does not wait for its receipt", theme="bad delivery")
def _(stack: ExitStack) -> None:
    swap(stack, notifications_domain, "needs_receipt", lambda fact: False)


@bug("notifications: a receipt says when it was heard of, not when the money was taken")
def _(stack: ExitStack) -> None:
    right = notifications_domain.receipt
    swap(stack, notifications_domain, "receipt", lambda fact, *, at: right(fact, at=at + timedelta(seconds=1)))


@bug("notifications: a message that the server did not take is taken for sent")
def _(stack: ExitStack) -> None:
    right = notifications_due.Sending.try_again

    def wrong(self: Any, notification: Any, channel: Any, why: str, trouble: Any) -> Any:
        if channel is None or trouble is Trouble.REFUSED:
            return right(self, notification, channel, why, trouble)
        return lambda n, now: notifications_domain.sent(n, channel, now=now)

    swap(stack, notifications_due.Sending, "try_again", wrong)


def _without_its_event(right: Any) -> Any:
    return lambda *args, **kwargs: Decision(right(*args, **kwargs).state)


@bug("notifications: nobody hears that a message came back", theme="addresses that are gone")
def _(stack: ExitStack) -> None:
    swap(stack, notifications_domain, "bounced", _without_its_event(notifications_domain.bounced))


@bug("notifications: a report that comes twice is told of twice", theme="addresses that are gone")
def _(stack: ExitStack) -> None:
    right = notifications_domain.bounced

    def wrong(notification: Any, status: str, **kwargs: Any) -> Any:
        return right(msgspec.structs.replace(notification, bounced_at=None), status, **kwargs)

    swap(stack, notifications_domain, "bounced", wrong)


@bug("notifications: what was sent is sent again to whoever asks", theme="addresses that are gone")
def _(stack: ExitStack) -> None:
    right = notifications_domain.retry

    def wrong(notification: Any, *, now: datetime) -> Any:
        if notification.status == "Sent" and notification.bounced_at is None:
            notification = msgspec.structs.replace(notification, bounced_at=now)
        return right(notification, now=now)

    swap(stack, notifications_domain, "retry", wrong)
