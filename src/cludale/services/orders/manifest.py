"""Orders, put together."""

from collections.abc import Sequence

from cludale.http.access import Access
from cludale.ports.records import Records
from cludale.runtime.service import Service
from cludale.services.concerts.events import SaleRefused, SeatsSold
from cludale.services.orders import api
from cludale.services.orders.replay import OrdersReplay
from cludale.services.orders.service import Orders
from cludale.services.payments.events import PaymentCompleted, PaymentFailed, PaymentRefunded

HEARS = frozenset(each.__name__ for each in (SeatsSold, SaleRefused, PaymentCompleted, PaymentFailed, PaymentRefunded))


def build(orders: Orders, records: Records, access: Access, *, methods: Sequence[str]) -> Service:
    """The service with its routes and subscriptions. `methods`: the ways to pay that the provider knows."""
    http = api.OrdersApi(orders, records, access, methods=methods)
    return Service(
        name="orders",
        hears=HEARS,
        handle=orders.handle,
        routes=http.handlers(),
        express=http.express(),
        statuses=api.STATUS,
        replay=OrdersReplay(),
        sweep=orders.sweep,
    )
