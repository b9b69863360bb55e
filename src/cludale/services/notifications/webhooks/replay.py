"""Endpoints from the log: whose they are, and what they are told. Where and with what secrets is in no event."""

from collections.abc import Mapping

from cludale.kernel.events import Envelope
from cludale.runtime.replay import NotYet, Ref, States, Table
from cludale.services.notifications.events import (
    WebhookChanged,
    WebhookCreated,
    WebhookDeleted,
    WebhookEvent,
    WebhookStopped,
)
from cludale.services.notifications.webhooks.endpoints import Endpoint, evolve
from cludale.services.notifications.webhooks.store import ENDPOINTS, PARTITION

EVENT_TYPES = frozenset(each.__name__ for each in (WebhookCreated, WebhookChanged, WebhookStopped, WebhookDeleted))


def _comparable(endpoint: Endpoint) -> Mapping[str, object]:
    return {
        "organizer": endpoint.organizer,
        "status": endpoint.status.value,
        "eventTypes": endpoint.event_types,
        "concertId": endpoint.concert_id,
        "revision": endpoint.revision,
        "createdAt": endpoint.created_at,
    }


TABLE: Table[Endpoint] = Table(ENDPOINTS.kind, ENDPOINTS.decode, ENDPOINTS.put, lambda _: PARTITION, _comparable)


def ref(event: WebhookEvent) -> Ref:
    """The endpoint that it is about."""
    return Ref(ENDPOINTS.kind.name, PARTITION, event.webhook_id)


def fold(event: Envelope, states: States) -> None:
    """What became of it, in whatever order the log has that. Raises NotYet before it was created."""
    at = ref(event.data)
    known = states.get(at)
    if known is None and not isinstance(event.data, WebhookCreated):
        raise NotYet
    states.put(at, evolve(known, event.data, at=event.time))
