"""How notifications and receipts are stored. The only place that knows the form."""

from cludale.kernel.times import rfc3339
from cludale.ports.records import Kind
from cludale.runtime.aggregates import AggregateStore
from cludale.services.notifications.domain import Notification, Receipt

NOTIFICATIONS = AggregateStore(
    Kind("notifications", "notification", ("orderId", "dueAt"), ("dueAt",)),
    Notification,
    identity=lambda notification: notification.id,
    index=lambda n: (n.order_id, rfc3339(n.due_at) if n.due_at else None),
    cause=lambda n: n.cause,
)
"""`dueAt` is when a notification is to be sent, or sent again."""

RECEIPTS = AggregateStore(Kind("notifications", "receipt"), Receipt, identity=lambda receipt: receipt.order_id)
"""Under the order's id; written once."""

KINDS = (NOTIFICATIONS.kind, RECEIPTS.kind)
