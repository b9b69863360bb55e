"""Who there is: the five services, what they hear, and what they keep."""

from collections.abc import Mapping

from cludale.ports.records import Kind
from cludale.runtime import dead_letters
from cludale.services.audit import manifest as audit_manifest
from cludale.services.audit import store as audit_store
from cludale.services.concerts import manifest as concerts_manifest
from cludale.services.concerts import store as concerts_store
from cludale.services.notifications import manifest as notifications_manifest
from cludale.services.notifications import store as notifications_store
from cludale.services.orders import manifest as orders_manifest
from cludale.services.orders import store as orders_store
from cludale.services.payments import manifest as payments_manifest
from cludale.services.payments import store as payments_store

SERVICES = ("concerts", "orders", "payments", "notifications", "audit")
HEARS: Mapping[str, frozenset[str]] = {
    "concerts": concerts_manifest.HEARS,
    "orders": orders_manifest.HEARS,
    "payments": payments_manifest.HEARS,
    "notifications": notifications_manifest.HEARS,
    "audit": audit_manifest.HEARS,
}
"""Which events each service hears, for whoever sets up a broker."""

KINDS: tuple[Kind, ...] = (
    *concerts_store.KINDS,
    *orders_store.KINDS,
    *payments_store.KINDS,
    *notifications_store.KINDS,
    *audit_store.KINDS,
    *dead_letters.KINDS,
)

STATE_KINDS: tuple[Kind, ...] = (*audit_store.KINDS, *dead_letters.KINDS)
"""Those of audit by itself."""

RANGED = ("time", "buriedAt", "dueAt")
"""Fields that are asked for by range only, for a store that needs to know."""
