"""Orders whose seats an organizer moved: what they have now, and what their buyer is told. No I/O, clock or HTTP.

Which seats are whose is concerts' affair. An order that is not paid shows the others, and its confirmation will name
them; one that is paid tells of them, so that its tickets and its buyer follow.
"""

from datetime import datetime

from cludale.kernel.allocation import numbers_moved, seats_named
from cludale.kernel.decision import Decision
from cludale.services.concerts.events import SeatsMoved
from cludale.services.orders import parts, queueing
from cludale.services.orders.domain import evolve, is_closed
from cludale.services.orders.events import OrderReseated
from cludale.services.orders.order import Order, Status


def moved(order: Order, fact: SeatsMoved, *, at: datetime) -> Decision[Order] | None:
    """The order with its new seats. None: an earlier event about its seats has yet to come.

    An order that was cancelled keeps what it had. What is known already, or is older, changes nothing.
    """
    if order.status is Status.PENDING and (offered := queueing.with_others(order, fact.allocation)) is not None:
        return Decision(offered)
    if is_early(order, fact):
        return None
    after = evolve(order, fact, at=at)
    if after.seats is order.seats:
        return Decision(order)
    if order.status is not Status.PAID:
        return Decision(after)
    back = parts.numbers_back(order.refunds)
    numbers = tuple(n for n in numbers_moved(order.seats, fact.allocation) if n not in back)
    if not numbers:
        return Decision(after)
    had = seats_named(order.seats)
    told = OrderReseated(
        order_id=order.id,
        numbers=numbers,
        seats_before=tuple(had[number - 1] for number in numbers),
        reason=fact.reason,
        reachable=order.reachable,
        allocation=fact.allocation,
    )
    return Decision(after, (told,))


def is_early(order: Order, fact: SeatsMoved) -> bool:
    """Has the order yet to hear of its seats, or of those that it was sold instead of them?"""
    if is_closed(order):
        return False
    had = order.seats.reservation_id
    if had is None:
        return order.status is Status.PENDING
    return fact.reservation_id.startswith(f"{had}.")
