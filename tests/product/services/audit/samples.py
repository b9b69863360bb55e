"""The life of an order as events, and a store to record it in."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from tests.fakes import NOON
from tests.seats import allocation

from cludale.kernel.events import Cause, Envelope, Event, envelop
from cludale.kernel.money import Money
from cludale.kernel.wire import Codec
from cludale.ports.bus import Delivery
from cludale.services.catalogue import CATALOGUE
from cludale.services.concerts.events import SeatsReserved
from cludale.services.notifications.events import Channel, NotificationKind, NotificationSent
from cludale.services.orders.events import OrderPaid, OrderPlaced

CODEC = Codec(CATALOGUE)
SOURCES = {kind: topic.source for topic in CATALOGUE.topics for kind in topic.events}


def enveloped(event: Event, id: str, cause: str | None = None, at: datetime = NOON) -> Envelope:
    return envelop(event, id=id, source=SOURCES[type(event)], time=at, cause=Cause(cause))


def placed(id: str, order: str = "order-1", at: datetime = NOON, cause: str | None = None) -> Envelope:
    event = OrderPlaced(order_id=order, concert_id="concert-1", user_id="user-1", quantity=2, section=None)
    return enveloped(event, id, cause, at)


def reserved(id: str, cause: str | None, order: str = "order-1", at: datetime = NOON) -> Envelope:
    event = SeatsReserved(
        allocation=allocation(f"reservation-of-{order}", 2, section="main"),
        order_id=order,
        expires_at=at + timedelta(seconds=600),
    )
    return enveloped(event, id, cause, at)


def paid(id: str, cause: str | None, order: str = "order-1", at: datetime = NOON) -> Envelope:
    event = OrderPaid(
        order_id=order,
        allocation=allocation(f"reservation-of-{order}", 2, section="main"),
        total=Money(9000, "EUR"),
        reachable=False,
    )
    return enveloped(event, id, cause, at)


def told(id: str, cause: str | None, order: str = "order-1", at: datetime = NOON) -> Envelope:
    event = NotificationSent(
        notification_id=f"confirmation-of-{order}",
        order_id=order,
        concert_id="concert-1",
        kind=NotificationKind.CONFIRMATION,
        channel=Channel.LOG,
    )
    return enveloped(event, id, cause, at)


def delivered(*events: Envelope, attempt: int = 1) -> Sequence[Delivery]:
    return [Delivery(event, CODEC.encode(event), attempt) for event in events]
