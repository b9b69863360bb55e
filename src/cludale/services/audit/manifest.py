"""Audit, put together."""

from cludale.http.access import Access
from cludale.runtime.service import Service
from cludale.services.audit import api
from cludale.services.audit.service import Audit, Redeliver
from cludale.services.catalogue import CATALOGUE

HEARS = frozenset(CATALOGUE.types)


def build(audit: Audit, redeliver: Redeliver, access: Access) -> Service:
    """The service with its routes and subscriptions; `redeliver` hands events to the services once more."""
    return Service(
        name="audit",
        hears=HEARS,
        handle=audit.handle,
        routes=api.routes(audit, redeliver, access),
        statuses=api.STATUS,
    )
