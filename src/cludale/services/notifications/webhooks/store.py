"""How endpoints and deliveries are stored. The only place that knows the form."""

from cludale.kernel.times import rfc3339
from cludale.ports.records import Kind, Query
from cludale.runtime.aggregates import DUE, AggregateStore
from cludale.services.notifications.webhooks.deliveries import Delivery, Status
from cludale.services.notifications.webhooks.endpoints import Endpoint

_SERVICE = "notifications"
PARTITION = "webhooks"
"""All endpoints are in one, so that a look at all of them is a look at one place."""

ENDPOINTS = AggregateStore(
    Kind(_SERVICE, "webhook", ("organizer",), may_lack=True),
    Endpoint,
    identity=lambda endpoint: endpoint.id,
    index=lambda endpoint: (endpoint.organizer,),
    partition=lambda _: PARTITION,
)

DELIVERIES = AggregateStore(
    Kind(_SERVICE, "delivery", ("organizer", "webhookId", "status", DUE), (DUE,), may_lack=True),
    Delivery,
    identity=lambda delivery: delivery.id,
    index=lambda d: (
        d.organizer or None,
        d.webhook_id or None,
        None if d.status is Status.FORGOTTEN else d.status.value,
        rfc3339(d.due_at) if d.due_at else None,
    ),
    cause=lambda d: d.cause,
)
"""DUE is when a delivery is sent, or sent again, or forgotten. What is forgotten is in no index."""

KINDS = (ENDPOINTS.kind, DELIVERIES.kind)


def all_endpoints(*, after: str | None) -> Query:
    """A page of all endpoints."""
    return Query(after=after, limit=200, partition=PARTITION)


def of_organizer(organizer: str, *, after: str | None) -> Query:
    """A page of an organizer's endpoints."""
    return Query(equal={"organizer": organizer}, after=after, limit=200, partition=PARTITION)


def listed(organizer: str, *, webhook_id: str | None, status: Status | None, after: str | None, limit: int) -> Query:
    """A page of an organizer's deliveries, the newest first."""
    equal: dict[str, str | int | None] = {"organizer": organizer}
    if webhook_id is not None:
        equal["webhookId"] = webhook_id
    if status is not None:
        equal["status"] = status.value
    return Query(equal=equal, descending=True, after=after, limit=limit)
