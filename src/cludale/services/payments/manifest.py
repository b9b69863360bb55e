"""Payments, put together."""

from collections.abc import Sequence

from cludale.http.access import Access
from cludale.ports.records import Records
from cludale.runtime.service import Service
from cludale.services.concerts.events import SaleRefused
from cludale.services.orders.events import OrderCancelled, PaymentRequested, TicketReserved
from cludale.services.payments import api
from cludale.services.payments.replay import PaymentsReplay
from cludale.services.payments.service import Payments

HEARS = frozenset(each.__name__ for each in (TicketReserved, PaymentRequested, OrderCancelled, SaleRefused))


def build(payments: Payments, records: Records, access: Access, *, methods: Sequence[str]) -> Service:
    """The service with its routes and subscriptions. `methods`: the ways to pay that the provider knows."""
    return Service(
        name="payments",
        hears=HEARS,
        handle=payments.handle,
        routes=api.routes(payments, records, access, methods=methods),
        statuses=api.STATUS,
        replay=PaymentsReplay(),
        sweep=payments.sweep,
        stop=payments.stop,
    )
