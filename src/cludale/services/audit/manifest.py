"""Audit, put together."""

from cludale.http.access import Access
from cludale.runtime.service import Service
from cludale.services.audit import api
from cludale.services.audit.replay import Redelivery
from cludale.services.audit.service import Audit
from cludale.services.catalogue import CATALOGUE

HEARS = frozenset(CATALOGUE.types)


def build(audit: Audit, redelivery: Redelivery, access: Access) -> Service:
    """The service with its routes and subscriptions; `redelivery` hands events to the services once more."""
    return Service(
        name="audit",
        hears=HEARS,
        handle=audit.handle,
        routes=api.routes(audit, redelivery, access),
        statuses=api.STATUS,
        sweep=audit.sweep,
    )
