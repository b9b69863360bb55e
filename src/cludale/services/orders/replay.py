"""Orders from the log, as the events alone tell of them: without addresses and payment methods' retries."""

from collections.abc import Mapping, Sequence
from typing import Any

from cludale.kernel.events import Envelope, Event
from cludale.kernel.flat import fields_of
from cludale.runtime.replay import NotYet, PerhapsNever, Ref, States, Table
from cludale.services.concerts.events import SeatsMoved, SeatsReturned
from cludale.services.orders.carts import domain as carts
from cludale.services.orders.carts.domain import Cart
from cludale.services.orders.domain import OrderEvent, as_placed, evolve, is_closed
from cludale.services.orders.events import (
    TOPIC,
    CartPaid,
    CartReserved,
    ConfirmationRequested,
    ContactErased,
    DocumentIssued,
    InvoicingChanged,
    OrderAmended,
    OrderCancelled,
    OrderMoved,
    OrderPaid,
    OrderPlaced,
    OrderReseated,
    PartRefundRequested,
    TicketReserved,
)
from cludale.services.orders.invoices.replay import INVOICE_TABLES, fold_invoice, invoice_refs
from cludale.services.orders.order import Order, Status
from cludale.services.orders.reseating import is_early
from cludale.services.orders.store import CARTS, ORDERS
from cludale.services.payments.events import PartRefunded, PaymentCompleted, PaymentFailed, PaymentRefunded

_OF_ORDERS = tuple(event for event in TOPIC.events if event not in (ContactErased, InvoicingChanged))
"""An address is in no event and no order, so the log tells nothing of an order where one was erased; nor what an
organizer says of invoices."""
_TELLING: tuple[type[Event], ...] = (
    *_OF_ORDERS,
    PaymentCompleted,
    PaymentFailed,
    PaymentRefunded,
    PartRefunded,
    SeatsReturned,
    SeatsMoved,
)


def _comparable(order: Order) -> Mapping[str, object]:
    names = (
        "user_id",
        "status",
        "created_at",
        "total",
        "expires_at",
        "reason",
        "note",
        "moved",
        "moved_until",
        "amendments",
        "resends",
        "bill",
        "till",
        "back_by",
    )
    told = {**fields_of(order.seats), **{name: getattr(order, name) for name in names}}
    told["refunds"] = [(each.part, each.at, each.done_at) for each in order.refunds]
    if order.status is Status.PAID:
        # Who cancels gets all seats back anyway: that some were back before, if that was lost, is not told again.
        told["seats_back"] = [each.returned_at for each in order.refunds]
    # An order that was reserved before orders kept this has none, though the log tells of it.
    return told if order.payment is None else {**told, "payment": order.payment}


def _told_of_cart(cart: Cart) -> Mapping[str, object]:
    names = ("user_id", "created_at", "expires_at", "total", "payment_method", "lines", "is_paid")
    return {name: getattr(cart, name) for name in names}


class OrdersReplay:
    """Folds what orders published, and what payments said of the money."""

    service = "orders"
    event_types = frozenset(e.__name__ for e in _TELLING)
    tables: Sequence[Table[Any]] = (
        Table(ORDERS.kind, ORDERS.decode, ORDERS.put, lambda order: ORDERS.partition(order.id), _comparable),
        Table(CARTS.kind, CARTS.decode, CARTS.put, lambda cart: CARTS.partition(cart.id), _told_of_cart),
        *INVOICE_TABLES,
    )

    def touches(self, event: Envelope) -> Sequence[Ref]:
        """The order; or an invoice, and the series that it is in."""
        if isinstance(event.data, DocumentIssued):
            return invoice_refs(event.data)
        if isinstance(event.data, CartReserved | CartPaid):
            return (Ref("cart", CARTS.partition(event.data.cart_id), event.data.cart_id),)
        return (Ref("order", ORDERS.partition(event.data.order_id), event.data.order_id),)

    def fold(self, event: Envelope, states: States) -> None:
        """Take the order one step on, or its series by one document."""
        if isinstance(event.data, DocumentIssued):
            fold_invoice(event.data, event.time, states)
            return
        (ref,) = self.touches(event)
        if isinstance(event.data, CartReserved | CartPaid):
            states.put(ref, _cart_after(states.get(ref), event))
            return
        states.put(ref, _after(states.get(ref), event))


def _after(order: Order | None, event: Envelope) -> Order:
    data = event.data
    if isinstance(data, OrderPlaced):
        return as_placed(data, at=event.time)
    if order is None and isinstance(data, SeatsMoved):
        raise PerhapsNever  # an offer that is not taken is of an order that no event tells of
    if order is None or _is_missing(order, data):
        raise NotYet
    return evolve(order, data, at=event.time)


def _cart_after(cart: Cart | None, event: Envelope) -> Cart:
    if isinstance(event.data, CartReserved):
        return cart or carts.as_reserved(event.data, at=event.time)
    if cart is None:
        raise NotYet
    return carts.evolve(cart, event.data)


def _is_missing(order: Order, data: OrderEvent) -> bool:
    """Does the log tell later of what must have come before this?"""
    if isinstance(data, PartRefundRequested | PartRefunded | SeatsReturned | SeatsMoved):
        return _is_part_missing(order, data)
    match data:
        case TicketReserved() | OrderAmended() | ConfirmationRequested():
            return False
        case OrderMoved() | OrderPaid() | OrderReseated():
            return order.status is Status.PENDING
        case OrderCancelled():
            if is_closed(order):  # it was cancelled on purpose before, or this is told again
                return False
            waits_for_seats = order.status is Status.PENDING and data.allocation is not None
            return waits_for_seats or (data.was_paid and order.status is not Status.PAID)
        case _:
            return order.payment is None


def _is_part_missing(order: Order, data: PartRefundRequested | PartRefunded | SeatsReturned | SeatsMoved) -> bool:
    if isinstance(data, SeatsMoved):
        return is_early(order, data)
    known = len(order.refunds)
    if isinstance(data, PartRefundRequested):
        return order.status in (Status.PENDING, Status.RESERVED) or data.part.number > known + 1
    return (data.part.number if isinstance(data, PartRefunded) else data.number) > known
