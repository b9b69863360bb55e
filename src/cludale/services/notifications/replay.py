"""Notifications from the log: what was sent, folded from the public facts. What was only tried is in no event.

Receipts are not rebuilt: they are what PaymentCompleted says, and a log may have events from before receipts were kept.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cludale.kernel.events import Envelope
from cludale.runtime.replay import Ref, States, Table
from cludale.services.notifications.domain import Notification, Status, evolve
from cludale.services.notifications.events import NotificationSent, WebhookEvent
from cludale.services.notifications.store import NOTIFICATIONS
from cludale.services.notifications.webhooks import replay as webhooks


def _comparable(notification: Notification) -> Mapping[str, object] | None:
    if notification.status is not Status.SENT:
        return None
    return {
        "orderId": notification.order_id,
        "concertId": notification.concert_id,
        "kind": notification.kind.value,
        "channel": notification.channel,
        "paymentId": notification.payment_id,
        "status": notification.status.value,
    }


class NotificationsReplay:
    """The notifications as the log tells of them."""

    service = "notifications"
    event_types = frozenset({NotificationSent.__name__, *webhooks.EVENT_TYPES})
    tables: Sequence[Table[Any]] = (
        Table(
            NOTIFICATIONS.kind,
            NOTIFICATIONS.decode,
            NOTIFICATIONS.put,
            lambda notification: notification.id,
            _comparable,
        ),
        webhooks.TABLE,
    )

    def touches(self, event: Envelope) -> Sequence[Ref]:
        """The one notification, or endpoint."""
        if isinstance(event.data, WebhookEvent):
            return (webhooks.ref(event.data),)
        return (self._ref(event.data),)

    def fold(self, event: Envelope, states: States) -> None:
        """It was sent; or what became of the endpoint."""
        if isinstance(event.data, WebhookEvent):
            webhooks.fold(event, states)
            return
        ref = self._ref(event.data)
        states.put(ref, evolve(states.get(ref), event.data, at=event.time))

    def _ref(self, sent: NotificationSent) -> Ref:
        return Ref(NOTIFICATIONS.kind.name, sent.notification_id, sent.notification_id)
