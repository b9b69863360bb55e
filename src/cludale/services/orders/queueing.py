"""Orders that wait for seats on a waiting list: Pending until their buyer takes what they are offered. No I/O or clock.

Nothing is charged before: who waited pays on the order's page, as after a charge that failed. The list itself, and who
is served next, is concerts' affair.
"""

from datetime import datetime, timedelta

from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel.allocation import Allocation
from cludale.kernel.bills import Bill
from cludale.kernel.decision import Decision
from cludale.kernel.money import Money
from cludale.kernel.refusals import Refusal
from cludale.ports.seats import HoldEnded, SeatsHeld
from cludale.services.concerts.events import ClaimRefused, WaitingListLeft, WhyLeft
from cludale.services.orders import domain
from cludale.services.orders.events import CancelReason
from cludale.services.orders.order import NotReserved, Offer, Order, Status, Waits

LOOK_SECONDS = 300.0
"""How often an order that waits asks how it stands, for an offer of which it did not hear."""

ENDED = {
    WhyLeft.SALE_ENDED: CancelReason.SALE_ENDED,
    WhyLeft.CONCERT_OVER: CancelReason.CONCERT_OVER,
    WhyLeft.CALLED_OFF: CancelReason.CALLED_OFF,
    WhyLeft.NOT_SOLD: CancelReason.NO_SUCH_TICKETS,
}
REFUSED = {ClaimRefused.CODE: CancelReason.CODE_USED_UP, ClaimRefused.BUYER: CancelReason.OVER_THE_LIMIT}


class NothingOffered(Refusal):
    """The order waits yet: there is nothing to pay for."""

    def __init__(self, order: Order) -> None:
        super().__init__(f"Order {order.id!r} waits for seats: none are offered to it yet.", status=order.status)


def is_waiting(order: Order) -> bool:
    """Does it wait, and has it no offer?"""
    return order.status is Status.PENDING and order.waits is not None and order.waits.offer is None


def looks_again(order: Order, *, now: datetime, joined: bool = False) -> Order:
    """It waits on: it asks later how it stands."""
    waits = Waits() if order.waits is None else order.waits
    if joined and waits.joined_at is None:
        waits = replace(waits, joined_at=now)
    due_at = now + timedelta(seconds=LOOK_SECONDS)
    return replace(order, waits=waits, due_at=due_at, tries=order.tries + 1)


def asks_now(order: Order, *, now: datetime) -> Order:
    """It hears that something is offered to it: it asks what."""
    if not is_waiting(order):
        return order
    return replace(order, due_at=now, tries=order.tries + 1)


def offered(order: Order, held: SeatsHeld) -> Order:
    """These seats are held for it until a time; told again, it changes nothing."""
    if order.status is not Status.PENDING or (order.waits is not None and order.waits.offer is not None):
        return order
    offer = Offer(
        section=held.allocation.section,
        reservation_id=held.allocation.reservation_id,
        price=held.price,
        expires_at=held.expires_at,
        cancel_until=held.cancel_until,
        bill=held.bill,
        numbered_seats=held.allocation.numbered_seats,
        moves=held.allocation.moves,
    )
    waits = replace(order.waits or Waits(), offer=offer)
    return replace(order, waits=waits, due_at=held.expires_at, tries=order.tries + 1)


def take(order: Order, *, method: str, now: datetime) -> Decision[Order]:
    """Its buyer takes what it is offered, and pays. Raises NotReserved, NothingOffered, HoldEnded."""
    if order.status is not Status.PENDING or order.waits is None:
        raise NotReserved(order)
    offer = order.waits.offer
    if offer is None:
        raise NothingOffered(order)
    if now >= offer.expires_at:
        raise HoldEnded(offer.reservation_id)
    return domain.reserve(replace(order, payment_method=method), _held(order, offer), now=now)


def _held(order: Order, offer: Offer) -> SeatsHeld:
    allocation = Allocation(
        concert_id=order.seats.concert_id,
        section=offer.section,
        reservation_id=offer.reservation_id,
        quantity=order.seats.quantity,
        numbered_seats=offer.numbered_seats,
        moves=offer.moves,
    )
    return SeatsHeld(allocation, offer.price, offer.expires_at, None, offer.cancel_until, offer.bill)


def with_others(order: Order, told: Allocation) -> Order | None:
    """What is offered to it are these seats by now, whichever of two moves is heard of first. None: it was not offered
    any of this reservation, as far as it has heard.
    """
    offer = None if order.waits is None else order.waits.offer
    if order.waits is None or offer is None or offer.reservation_id != told.reservation_id:
        return None
    if (told.moves or 0) <= (offer.moves or 0):
        return order
    moved = replace(offer, numbered_seats=told.numbered_seats, moves=told.moves)
    return replace(order, waits=replace(order.waits, offer=moved))


def total(order: Order) -> Money | None:
    """What it costs to take what is offered."""
    offer = None if order.waits is None else order.waits.offer
    if offer is None:
        return None
    bill: Bill | None = offer.bill
    return offer.price.times(order.seats.quantity) if bill is None else bill.money


def lapsed(order: Order, *, now: datetime) -> Decision[Order] | None:
    """What is offered was not taken in time; None: it asks for seats, or how it stands."""
    if order.waits is None or order.waits.offer is None:
        return None
    if now < order.waits.offer.expires_at:
        return Decision(order)
    return domain.fail(order, CancelReason.EXPIRED)


def left(order: Order, told: WaitingListLeft) -> Decision[Order]:
    """It is on the list no more, so it gets nothing; where it was cancelled itself, it knows."""
    if order.status is not Status.PENDING or told.reason not in ENDED:
        return Decision(order)
    return domain.fail(order, ENDED[told.reason] if told.claim is UNSET else REFUSED[told.claim])
