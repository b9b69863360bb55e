"""What a release has to know of the services: what each hears, and whose paths are whose. From their manifests."""

from collections.abc import Collection, Mapping, Sequence

from cludale.adapters.dapr.subscriptions import dead_letter_topic
from cludale.services.audit import manifest as audit
from cludale.services.concerts import manifest as concerts
from cludale.services.notifications import manifest as notifications
from cludale.services.orders import manifest as orders
from cludale.services.payments import manifest as payments

HEARS: Mapping[str, Collection[str]] = {
    "concerts": concerts.HEARS,
    "orders": orders.HEARS,
    "payments": payments.HEARS,
    "notifications": notifications.HEARS,
    "audit": audit.HEARS,
}

PATHS: Mapping[str, Sequence[str]] = {name: (f"/{name}",) for name in HEARS}
"""Each service's paths begin with its name; a test compares this with the routes."""

DEAD_LETTER_TOPICS: Sequence[str] = [dead_letter_topic(name) for name in HEARS]
"""Where a sidecar puts what its service could not take."""
