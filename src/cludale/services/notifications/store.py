"""How notifications and receipts are stored. The only place that knows the form."""

from operator import attrgetter

from cludale.kernel.times import rfc3339
from cludale.ports.records import Kind, Query
from cludale.runtime.aggregates import DUE, AggregateStore
from cludale.services.notifications.domain import MailSettings, Notification, Receipt
from cludale.services.notifications.templates import Template
from cludale.services.notifications.webhooks import store as webhooks

NOTIFICATIONS = AggregateStore(
    Kind("notifications", "notification", ("orderId", DUE), (DUE,)),
    Notification,
    identity=attrgetter("id"),
    index=lambda n: (n.order_id, rfc3339(n.due_at) if n.due_at else None),
    cause=attrgetter("cause"),
)
"""DUE is when a notification is to be sent, or sent again."""

RECEIPTS = AggregateStore(
    Kind("notifications", "receipt", is_append_only=True), Receipt, identity=attrgetter("order_id")
)
"""Under the order's id."""

TEMPLATES = AggregateStore(
    Kind("notifications", "template", ("organizer",), may_lack=True),
    Template,
    identity=lambda template: template.id,
    index=lambda template: (template.organizer,),
)
"""Under kind, language and organizer. One that was reset stays, and counts its changes."""

MAIL_SETTINGS = AggregateStore(
    Kind("notifications", "stationery", may_lack=True), MailSettings, identity=lambda settings: settings.organizer
)

KINDS = (NOTIFICATIONS.kind, RECEIPTS.kind, TEMPLATES.kind, MAIL_SETTINGS.kind, *webhooks.KINDS)


def listed(*, order_id: str | None, after: str | None, limit: int) -> Query:
    """A page of notifications: those of one order, or all."""
    return Query(equal={} if order_id is None else {"orderId": order_id}, after=after, limit=limit)
