"""Cart rules: several orders that are placed and paid together, all or none. No I/O, clock or HTTP.

The lines are orders like any other, each for one concert and section. The cart knows which they are and whether all of
them were paid; until then none of them goes its own way: what becomes of one becomes of all.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from cludale.kernel import carts as ids
from cludale.kernel.backoff import Backoff
from cludale.kernel.carts import MOST_LINES, line_id
from cludale.kernel.decision import Decision
from cludale.kernel.events import Event
from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid, RefusedForNow
from cludale.ports.seats import SeatsHeld
from cludale.services.orders import domain
from cludale.services.orders.events import CancelReason, CartLine, CartPaid, CartReserved
from cludale.services.orders.order import Order, OrderRequest, PaymentStatus, Status

LONGEST_WAIT_SECONDS = 3_600.0
"""Between two looks at a cart that has not come to its end."""


class CartStatus(StrEnum):
    """Where a cart is in its life."""

    RESERVED = "Reserved"
    PAID = "Paid"
    """All its lines were paid; each may have been given back since."""
    CANCELLED = "Cancelled"


class PartOfCart(RefusedForNow):
    """This order is a line of a cart that is not paid as a whole: only the whole cart can be paid or cancelled."""

    def __init__(self, order_id: str, cart_id: str) -> None:
        super().__init__(
            f"Order {order_id!r} is a line of cart {cart_id!r}, which is not paid yet: pay or cancel the cart.",
            cartId=cart_id,
        )


class Cart(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """A cart. How it stands, its lines say."""

    id: str
    user_id: str
    created_at: datetime
    expires_at: datetime
    """When the hold of its seats ends: the earliest of its lines'."""
    total: Money
    payment_method: str
    lines: tuple[str, ...]
    """Its orders."""
    is_paid: bool = False
    """All lines were paid, and that was told."""
    due_at: datetime | None = None
    """When its lines are looked at; None: it has come to its end."""
    looks: int = 0
    """How often they were looked at in vain."""
    traceparent: str | None = None


CartEvent = CartReserved | CartPaid


def evolve(cart: Cart, event: CartEvent) -> Cart:
    """The cart after this fact; the same again changes nothing."""
    return replace(cart, is_paid=True, due_at=None) if isinstance(event, CartPaid) and not cart.is_paid else cart


def as_reserved(event: CartReserved, *, at: datetime) -> Cart:
    """The cart whose lines got their seats at `at`."""
    return Cart(
        id=event.cart_id,
        user_id=event.user_id,
        created_at=at,
        expires_at=event.expires_at,
        total=event.total,
        payment_method=event.payment_method,
        lines=tuple(line.order_id for line in event.lines),
    )


def id_of(home: str, attempt: str) -> str:
    """The id of a cart in the partition of an idempotency key."""
    return ids.cart_id(home, attempt)


def check_lines(lines: int) -> None:
    """Raises Invalid."""
    if not 1 <= lines <= MOST_LINES:
        raise Invalid(("lines", f"must be 1 to {MOST_LINES}"))


class Placed(NamedTuple):
    """A new cart and its orders, and what is told once they have their seats."""

    cart: Cart
    orders: tuple[Order, ...]
    events: tuple[Event, ...]


def place(
    cart_id: str,
    requests: Sequence[OrderRequest],
    *,
    now: datetime,
) -> list[Decision[Order]]:
    """The orders that are its lines, still without seats."""
    return [
        domain.place(request, order_id=line_id(cart_id, number), now=now) for number, request in enumerate(requests, 1)
    ]


def reserve(
    cart_id: str,
    placed: Sequence[Decision[Order]],
    held: Sequence[SeatsHeld],
    *,
    now: datetime,
    look_at: datetime,
    traceparent: str | None,
) -> Placed:
    """All lines have got their seats, until the earliest of them ends. Raises HeldOtherwise."""
    until = min(each.expires_at for each in held)
    reserved = [
        domain.reserve(each.state, msgspec.structs.replace(seats, expires_at=until), now=now)
        for each, seats in zip(placed, held, strict=True)
    ]
    orders = tuple(each.state for each in reserved)
    told = told_reserved(cart_id, orders)
    cart = replace(as_reserved(told, at=now), due_at=look_at, traceparent=traceparent)
    return Placed(cart, orders, (*(event for each in reserved for event in each.events), told))


def told_reserved(cart_id: str, orders: Sequence[Order]) -> CartReserved:
    """The fact that all lines have their seats, as they got them."""
    lines = lines_of(orders)
    first = orders[0]
    if first.expires_at is None:
        raise ValueError(f"{first.id} has no seats")
    return CartReserved(
        cart_id=cart_id,
        user_id=first.user_id,
        total=total_of(lines),
        payment_method=first.payment_method,
        expires_at=first.expires_at,
        lines=lines,
    )


def lines_of(orders: Sequence[Order]) -> tuple[CartLine, ...]:
    """The lines of these orders. Raises ValueError for one without seats."""
    lines: list[CartLine] = []
    for order in orders:
        if order.allocation is None or order.total is None:
            raise ValueError(f"{order.id} has no seats")
        lines.append(CartLine(order_id=order.id, total=order.total, seats=order.allocation))
    return tuple(lines)


def total_of(lines: Sequence[CartLine]) -> Money:
    """What all of them cost."""
    return Money(sum(line.total.amount for line in lines), lines[0].total.currency)


def is_settled(cart: Cart, orders: Sequence[Order]) -> bool:
    """Is nothing under way: has it come to its end, or does it wait for its buyer?"""
    if not all(order.is_settled for order in orders):
        return False
    return cart.is_paid or not any(order.status is Status.PAID for order in orders)


def status(cart: Cart, orders: Sequence[Order]) -> CartStatus:
    """How it stands: Paid once that was told, Cancelled once all are off, or one is and the others follow."""
    if cart.is_paid:
        all_off = all(order.status is Status.CANCELLED for order in orders)
        return CartStatus.CANCELLED if all_off else CartStatus.PAID
    if any(order.status is Status.CANCELLED for order in orders):
        return CartStatus.CANCELLED
    return CartStatus.RESERVED


class Looked(NamedTuple):
    """What comes of looking at a cart's lines: the cart, the orders that change, and what is told."""

    cart: Cart
    orders: Mapping[str, Decision[Order]] = {}
    events: tuple[Event, ...] = ()
    again: bool = False
    """The events were told before."""


def look(cart: Cart, orders: Sequence[Order], *, now: datetime, is_due: bool, wait: timedelta) -> Looked:
    """All or none: all paid is told once; where one has come to nothing for good, or others were paid without it, so do
    the others.

    `is_due`: this is its regular look, `wait` before the next. A payment that was not heard of is asked for again then.
    """
    if cart.is_paid:
        return Looked(cart if cart.due_at is None else replace(cart, due_at=None))
    if all(order.status is Status.PAID for order in orders):
        lines = lines_of(orders)
        paid = CartPaid(cart_id=cart.id, total=total_of(lines), reachable=orders[0].reachable, lines=lines)
        return Looked(evolve(cart, paid), {}, (paid,))
    off = [order for order in orders if order.status is Status.CANCELLED]
    others = [order for order in orders if order.status is not Status.CANCELLED]
    is_for_good = any(domain.is_closed(order) for order in off) or any(o.status is Status.PAID for o in others)
    if off and others and is_for_good:
        reason = CancelReason.CART_INCOMPLETE
        followers = {order.id: domain.cancel(order, reason) for order in others}
        return Looked(_later(cart, now, wait), followers)
    return _regular_look(cart, orders, now=now, wait=wait) if is_due else Looked(cart)


def _regular_look(cart: Cart, orders: Sequence[Order], *, now: datetime, wait: timedelta) -> Looked:
    is_over = all(order.status is Status.CANCELLED for order in orders)
    if is_over and now >= cart.expires_at + wait:
        return Looked(replace(cart, due_at=None))
    if all(_is_unheard(order) for order in orders) and now < cart.expires_at:
        return Looked(_later(cart, now, wait), {}, (told_reserved(cart.id, orders),), again=True)
    return Looked(_later(cart, now, wait))


def _is_unheard(order: Order) -> bool:
    """Is its first charge open, as far as is known?"""
    payment = order.payment
    is_open = payment is not None and payment.round == 1 and payment.status is PaymentStatus.PENDING
    return order.status is Status.RESERVED and is_open


def _later(cart: Cart, now: datetime, wait: timedelta) -> Cart:
    later = Backoff(wait.total_seconds(), LONGEST_WAIT_SECONDS).seconds(cart.looks + 1)
    return replace(cart, due_at=now + timedelta(seconds=later), looks=cart.looks + 1)


def take_up(cart: Cart, *, now: datetime, until: datetime) -> Cart:
    """Somebody looks at its lines now, if that is due: nobody else does before `until`."""
    return cart if cart.due_at is None or cart.due_at > now else replace(cart, due_at=until)


def cancel(orders: Sequence[Order], reason: CancelReason, *, now: datetime) -> Mapping[str, Decision[Order]]:
    """Somebody cancels all of it on purpose; what is cancelled for good stays so. Raises TooLateToCancel."""
    for order in orders:
        if not domain.is_closed(order):
            domain.check_cancellable(order, reason, now=now)
    return {order.id: domain.cancel(order, reason) for order in orders if not domain.is_closed(order)}


def pay_again(orders: Sequence[Order], *, method: str, now: datetime) -> Mapping[str, Decision[Order]]:
    """The buyer pays in another way, all of it. Raises NotReserved, AlreadyPaid, ChargeOpen, HoldEnded."""
    return {order.id: domain.pay_again(order, method=method, now=now) for order in orders}
