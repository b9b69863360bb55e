"""Orders from the log, as the events alone tell of them: without addresses and payment methods' retries."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cludale.kernel.allocation import OrderSeats
from cludale.kernel.events import Envelope, Event
from cludale.runtime.replay import NotYet, Ref, States, Table
from cludale.services.orders.domain import Order, OrderPayment, PaymentStatus, Status, learn, money_told
from cludale.services.orders.events import (
    TOPIC,
    OrderCancelled,
    OrderPaid,
    OrderPlaced,
    PaymentRequested,
    TicketReserved,
)
from cludale.services.orders.store import ORDERS
from cludale.services.payments.events import PaymentCompleted, PaymentFailed, PaymentRefunded

_TELLING: tuple[type[Event], ...] = (*TOPIC.events, PaymentCompleted, PaymentFailed, PaymentRefunded)


def _told(order: Order) -> Mapping[str, object]:
    names = ("user_id", "status", "created_at", "total", "expires_at", "reason")
    told = {**msgspec.structs.asdict(order.seats), **{name: getattr(order, name) for name in names}}
    # An order that was reserved before orders kept this has none, though the log tells of it.
    return told if order.payment is None else {**told, "payment": order.payment}


class OrdersReplay:
    """Folds what orders published, and what payments said of the money."""

    service = "orders"
    event_types = frozenset(e.__name__ for e in _TELLING)
    tables: Sequence[Table[Any]] = (
        Table(ORDERS.kind, ORDERS.decode, ORDERS.put, lambda order: ORDERS.partition(order.id), _told),
    )

    def touches(self, event: Envelope) -> Sequence[Ref]:
        """The order."""
        return (Ref("order", ORDERS.partition(event.data.order_id), event.data.order_id),)

    def fold(self, event: Envelope, states: States) -> None:
        """Take the order one step on."""
        (ref,) = self.touches(event)
        states.put(ref, _after(states.get(ref), event))


def _after(order: Order | None, event: Envelope) -> Order:
    data = event.data
    if isinstance(data, OrderPlaced):
        return Order(
            id=data.order_id,
            seats=OrderSeats(concert_id=data.concert_id, quantity=data.quantity, section=data.section),
            user_id=data.user_id,
            status=Status.PENDING,
            payment_method="",
            created_at=event.time,
        )
    if order is None:
        raise NotYet
    match data:
        case TicketReserved() if order.status is not Status.PENDING:
            return order  # told again
        case TicketReserved():
            return msgspec.structs.replace(
                order,
                status=Status.RESERVED,
                payment_method=data.payment_method,
                seats=OrderSeats.of(data.allocation),
                total=data.total,
                expires_at=data.expires_at,
                cancel_until=data.cancel_until,
                payment=OrderPayment(status=PaymentStatus.PENDING, at=event.time),
            )
        case PaymentRequested() | PaymentCompleted() | PaymentFailed() | PaymentRefunded():
            if order.payment is None:
                raise NotYet
            return learn(order, money_told(data, at=event.time))
        case OrderPaid():
            if order.status is Status.PENDING:
                raise NotYet
            return msgspec.structs.replace(order, status=Status.PAID, seats=OrderSeats.of(data.allocation), reason=None)
        case OrderCancelled():
            return _cancelled(order, data)
        case _:
            raise ValueError(f"orders does not fold {event.type}")


def _cancelled(order: Order, off: OrderCancelled) -> Order:
    if order.reason is not None and order.reason.is_on_purpose:
        return order  # it was cancelled on purpose before, or this is told again
    if order.status is Status.PENDING and off.allocation is not None:
        raise NotYet
    if off.was_paid and order.status is not Status.PAID:
        raise NotYet
    if order.status is Status.PAID and not off.was_paid:
        return order  # it had failed, and the money came after all
    return msgspec.structs.replace(order, status=Status.CANCELLED, reason=off.reason)
