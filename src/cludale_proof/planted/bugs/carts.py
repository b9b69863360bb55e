"""Carts: all or none, charged once."""

from contextlib import ExitStack
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.services.notifications import domain as notifications_domain
from cludale.services.orders.carts import domain as order_carts
from cludale.services.orders.carts.domain import Cart, Looked
from cludale.services.orders.order import Status
from cludale.services.payments import carts as payment_carts
from cludale.services.payments import payment as payments_payment
from cludale.services.payments import service as payments_service
from cludale.services.payments.payment import Payment
from cludale_proof.planted.planting import bug, swap


@bug("carts: one line is lost on the way to its charge", theme="carts")
def _(stack: ExitStack) -> None:
    right = order_carts.told_reserved

    def wrong(cart_id: str, orders: Any) -> Any:
        return right(cart_id, orders[:-1] if len(orders) > 1 else orders)

    swap(stack, order_carts, "told_reserved", wrong)


@bug("carts: each line is charged by itself, beside the cart", theme="carts")
def _(stack: ExitStack) -> None:
    swap(stack, payments_service, "cart_of", lambda _: None)
    swap(stack, payment_carts, "record_id", payments_payment.payment_id)


@bug("carts: a line is kept where another comes to nothing", theme="carts")
def _(stack: ExitStack) -> None:
    right = order_carts.look

    def wrong(cart: Cart, orders: Any, **rest: Any) -> Looked:
        found = right(cart, orders, **rest)
        return Looked(cart) if found.orders else found

    swap(stack, order_carts, "look", wrong)


@bug("carts: it is told as paid once one of its lines is", theme="carts")
def _(stack: ExitStack) -> None:
    right = order_carts.look

    def wrong(cart: Cart, orders: Any, **rest: Any) -> Looked:
        if any(order.status is Status.PAID for order in orders):
            orders = [replace(o, status=Status.PAID) if o.status is Status.RESERVED else o for o in orders]
        return right(cart, orders, **rest)

    swap(stack, order_carts, "look", wrong)


@bug("carts: the refunds of its lines have one key", theme="carts")
def _(stack: ExitStack) -> None:
    right = payment_carts.line_of

    def wrong(payment: Payment, order_id: str) -> Payment:
        return replace(right(payment, order_id), id=payment.id)

    swap(stack, payment_carts, "line_of", wrong)


@bug("carts: the money of a line that is given back is kept", theme="carts")
def _(stack: ExitStack) -> None:
    right = payment_carts.order_cancelled

    def wrong(payment: Payment | None, order: Any, *, cause: Any, now: datetime) -> Decision[Payment] | None:
        if payment is not None and payment.status is payments_payment.Status.COMPLETED:
            return Decision(payment)
        return right(payment, order, cause=cause, now=now)

    swap(stack, payment_carts, "order_cancelled", wrong)


@bug("carts: its buyer is told of each line", theme="carts")
def _(stack: ExitStack) -> None:
    swap(stack, notifications_domain, "is_told_with_cart", lambda _: False)
