"""Notifications, put together."""

from cludale.http.access import Access
from cludale.runtime.service import Service
from cludale.services.notifications import api
from cludale.services.notifications.replay import NotificationsReplay
from cludale.services.notifications.service import Notifications
from cludale.services.orders.events import OrderCancelled, OrderPaid
from cludale.services.payments.events import PaymentCompleted

HEARS = frozenset({OrderPaid.__name__, OrderCancelled.__name__, PaymentCompleted.__name__})


def build(notifications: Notifications, access: Access) -> Service:
    """The service with its routes and subscriptions."""
    return Service(
        name="notifications",
        hears=HEARS,
        handle=notifications.handle,
        routes=api.routes(notifications, access),
        statuses=api.STATUS,
        replay=NotificationsReplay(),
        sweep=notifications.sweep,
        stop=notifications.stop,
    )
