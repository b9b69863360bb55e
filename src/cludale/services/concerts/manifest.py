"""Concerts, put together."""

from cludale.http.access import Access
from cludale.ports.records import Records
from cludale.runtime.service import Service
from cludale.services.concerts import api
from cludale.services.concerts.replay import ConcertsReplay
from cludale.services.concerts.service import Concerts
from cludale.services.orders.events import OrderCancelled
from cludale.services.payments.events import PaymentCompleted

HEARS = frozenset({PaymentCompleted.__name__, OrderCancelled.__name__})


def build(concerts: Concerts, records: Records, access: Access) -> Service:
    """The service with its routes and subscriptions."""
    http = api.ConcertsApi(concerts, records, access)
    return Service(
        name="concerts",
        hears=HEARS,
        handle=concerts.handle,
        routes=http.handlers(),
        express=http.express(),
        statuses=api.STATUS,
        replay=ConcertsReplay(),
        sweep=concerts.sweep,
    )
