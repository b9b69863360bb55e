"""What may be done about an order after it was placed: part refunds, another name or address, a comment, its
confirmation once more. Pure, as `domain.py`: no I/O, clock or HTTP.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from cludale.kernel.bills import TicketCount
from cludale.kernel.decision import Decision
from cludale.kernel.ids import same_as
from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid, Refusal, RefusedForNow
from cludale.kernel.times import rfc3339
from cludale.services.orders import parts
from cludale.services.orders.billing_address import BillingAddress
from cludale.services.orders.domain import evolve, request_of
from cludale.services.orders.events import (
    AmendedField,
    ConfirmationRequested,
    OrderAmended,
    PartRefund,
    PartRefundRequested,
    Party,
)
from cludale.services.orders.order import Order, Status, TooLateToCancel
from cludale.services.orders.privacy.domain import Particulars

MOST_REFUNDS = 100
"""Part refunds of one order."""
RESEND_SECONDS = 60
"""Between two confirmations that are sent again."""
MOST_RESENDS = 20
"""Confirmations of one order that are sent again."""
MOST_AMENDMENTS = 200
"""Changes of one order's name, address and comment."""


class NotPaid(RefusedForNow):
    """Only a paid order can be refunded in part, and only its confirmation can be sent again."""

    def __init__(self, order: Order) -> None:
        hint = {
            Status.PENDING: "it has no seats yet; cancel it, or wait until it is Paid",
            Status.RESERVED: "its payment isn't through yet; cancel it, or wait until it is Paid",
            Status.CANCELLED: "all of its money goes back, if it had any",
        }[order.status]
        super().__init__(f"Order {order.id!r} is {order.status}: {hint}.", status=order.status)


class TooManyTickets(Refusal):
    """Fewer tickets are left, or as many: who gives all of them back cancels the order."""

    def __init__(self, order: Order, *, wanted: int) -> None:
        held = order.held
        hint = "cancel the order to give all of them back" if wanted == held else f"it has {held} left"
        super().__init__(f"{wanted} tickets of order {order.id!r} can't be given back: {hint}.", held=held)


class RefundTooLarge(Refusal):
    """More than is left of what was paid."""

    def __init__(self, order: Order, *, wanted: Money, left: Money) -> None:
        super().__init__(f"{wanted} can't be given back: of what order {order.id!r} cost, {left} are left.", left=left)


class TooManyChanges(Refusal):
    """An order keeps so many part refunds, amendments or repeated confirmations, and no more."""

    def __init__(self, order: Order, what: str, limit: int) -> None:
        super().__init__(f"Order {order.id!r} has had {limit} {what} already.", limit=limit)


class ResentTooSoon(RefusedForNow):
    """Its confirmation was sent again a moment ago."""

    def __init__(self, order: Order, *, again_at: datetime) -> None:
        at = rfc3339(again_at)
        super().__init__(f"The confirmation of order {order.id!r} can be sent again from {at} on.", againAt=at)


class NoAddress(RefusedForNow):
    """The buyer left no address, so there is nowhere to send it."""

    def __init__(self, order: Order) -> None:
        super().__init__(f"Order {order.id!r} has no e-mail address and no phone number.")


class BuyerErased(Refusal):
    """What was kept of the buyer is gone for good, and nothing is put in its place."""

    def __init__(self, order: Order) -> None:
        super().__init__(f"What was kept of the buyer of order {order.id!r} was erased; it can't be set again.")


class CommentForOrganizers(Refusal):
    """Comments, reasons and refunds of money alone are the organizer's."""

    def __init__(self, field: str) -> None:
        super().__init__(f"Only the organizer may give {field!r}.", field=field)


class RefundWish(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What somebody wants back: `tickets`, at their price, or `amount` alone. Exactly one of them is given."""

    by: Party
    tickets: int = 0
    of: tuple[TicketCount, ...] = ()
    """Which, where an order's tickets are of several categories; they are `tickets` together."""
    amount: Money | None = None
    reason: str | None = None
    seller: str | None = None
    """Who gives it back, if that is somebody who sells; it counts where the order was sold at the box office."""
    seats: tuple[str, ...] = ()
    """Which, by the ids of numbered seats, `tickets` of them; none: those at the end."""


def refund(order: Order, wish: RefundWish, *, now: datetime) -> Decision[Order]:
    """Give a part back. The buyer may do so with tickets, for as long as the order can be cancelled.

    Raises NotPaid, TooLateToCancel, TooManyTickets, RefundTooLarge, TooManyChanges, Invalid (another currency).
    """
    allocation, total = order.allocation, order.total
    if order.status is not Status.PAID or allocation is None or total is None:
        raise NotPaid(order)
    if wish.by is Party.BUYER and order.cancel_until is not None and now >= order.cancel_until:
        raise TooLateToCancel(order.id, order.cancel_until)
    if len(order.refunds) >= MOST_REFUNDS:
        raise TooManyChanges(order, "part refunds", MOST_REFUNDS)
    part = _part(order, wish, total)
    requested = PartRefundRequested(order_id=order.id, part=part, allocation=allocation)
    after = evolve(order, requested, at=now)
    kept = msgspec.structs.replace(after.refunds[-1], by=wish.by)
    return Decision(msgspec.structs.replace(after, refunds=(*after.refunds[:-1], kept)), (requested,))


def _part(order: Order, wish: RefundWish, total: Money) -> PartRefund:
    """What goes back. Tickets at the price that was paid for them; never more than is left."""
    left = parts.left(total, order.refunds)
    given_back: parts.GivenBack | None = None
    if wish.amount is None:
        if wish.tickets >= order.held:
            raise TooManyTickets(order, wanted=wish.tickets)
        given_back = parts.priced(order.bill, order.refunds, wish.of, wish.tickets)
        worth = total.amount // order.seats.quantity * wish.tickets if given_back is None else given_back.worth
        amount = Money(min(worth, left.amount), total.currency)
    else:
        amount = wish.amount
        if amount.currency != total.currency:
            raise Invalid(("amount.currency", f"must be {total.currency}, in which the order was paid"))
        if amount.amount > left.amount:
            raise RefundTooLarge(order, wanted=amount, left=left)
    number = len(order.refunds) + 1
    return PartRefund(
        number=number,
        refund_id=f"{same_as('refund', order.id)}.{number}",
        tickets=wish.tickets,
        amount=amount,
        left=Money(left.amount - amount.amount, total.currency),
        held=order.held - wish.tickets,
        of=UNSET if given_back is None else given_back.tickets,
        numbers=_numbers_back(order, wish),
        seller=UNSET if order.till is None or wish.seller is None else wish.seller,
    )


def _numbers_back(order: Order, wish: RefundWish) -> tuple[int, ...] | UnsetType:
    """Which tickets go back, where seats have numbers: those that are named, else the last in the order of the plan, so
    that the others stay together. Raises Invalid.
    """
    seats = order.seats.numbered_seats
    if seats is UNSET:
        if wish.seats:
            raise Invalid(("seats", "of this order have no numbers: give a `quantity`"))
        return UNSET
    if not wish.tickets:
        return UNSET
    back = parts.numbers_back(order.refunds)
    kept = {seat.id: number for number, seat in enumerate(seats, 1) if number not in back}
    if not wish.seats:
        places = {number: seats[number - 1].at for number in kept.values()}
        return tuple(sorted(sorted(places, key=places.__getitem__)[-wish.tickets :]))
    wrong = [(f"seats[{i}]", "is no seat that the order has") for i, id in enumerate(wish.seats) if id not in kept]
    if wrong or len(set(wish.seats)) != len(wish.seats):
        raise Invalid(*(wrong or [("seats", "has one twice")]))
    return tuple(sorted(kept[id] for id in wish.seats))


class AddressOnInvoice(Refusal):
    """The order's invoice has a postal address: only the organizer can correct it."""

    def __init__(self, order: Order) -> None:
        super().__init__(
            f"The invoice of order {order.id!r} has a postal address already. Ask the organizer to correct it."
        )


class Amendment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is to be otherwise about an order; what is unset stays, None takes it away."""

    name: str | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET
    phone: str | UnsetType | None = UNSET
    comment: str | UnsetType | None = UNSET
    billing: BillingAddress | UnsetType | None = UNSET


class KeptParticulars(NamedTuple):
    """What is kept of an order's buyer."""

    particulars: Particulars
    is_erased: bool = False
    billed_to: BillingAddress | None = None
    """The postal address that stands on its invoice by now."""


class Amended(NamedTuple):
    """An order that was amended, and what is kept apart of it from then on."""

    decision: Decision[Order]
    particulars: Particulars


def amend(order: Order, kept: KeptParticulars, wanted: Amendment, *, by: Party) -> Amended:
    """Another name or address, or the organizer's comment; what is there already changes nothing.

    Raises CommentForOrganizers, BuyerErased, AddressOnInvoice, TooManyChanges.
    """
    known = kept.particulars
    if by is Party.BUYER and wanted.comment is not UNSET:
        raise CommentForOrganizers("comment")
    changes: dict[str, str | None] = {
        field.value: value
        for field in AmendedField
        if (value := getattr(wanted, field.value)) is not UNSET and value != getattr(known, field.value)
    }
    billing = known.billing if wanted.billing is UNSET else wanted.billing
    if not changes and billing == known.billing:
        return Amended(Decision(order), known)
    if kept.is_erased:
        raise BuyerErased(order)
    if billing != known.billing and by is Party.BUYER and kept.billed_to is not None:
        raise AddressOnInvoice(order)
    if order.amendments >= MOST_AMENDMENTS:
        raise TooManyChanges(order, "changes", MOST_AMENDMENTS)
    amended = OrderAmended(
        order_id=order.id,
        concert_id=order.seats.concert_id,
        fields=tuple(AmendedField(name) for name in changes),
        by=by,
        billing_address=billing != known.billing,
    )
    particulars = msgspec.structs.replace(known, **changes, billing=billing)
    after = evolve(order, amended, at=order.created_at)
    after = msgspec.structs.replace(after, has_contact=particulars.has_contact)
    if order.status is Status.CANCELLED and order.off_reachable is None:
        # Its cancellation may have to be told again, word for word.
        after = msgspec.structs.replace(after, off_reachable=order.reachable)
    return Amended(Decision(after, (amended,)), particulars)


def explained(decision: Decision[Order], known: Particulars, reason: str) -> Amended:
    """A part refund with its reason, which is kept apart: it may be about a person, so it is in no event either."""
    number = decision.state.refunds[-1].part.number
    reasons = {**known.reasons, str(number): reason}
    return Amended(decision, msgspec.structs.replace(known, reasons=reasons))


def resend(order: Order, *, now: datetime) -> Decision[Order]:
    """Send the confirmation once more. Raises NotPaid, NoAddress, ResentTooSoon, TooManyChanges."""
    allocation, total = order.allocation, order.total
    if order.status is not Status.PAID or allocation is None or total is None:
        raise NotPaid(order)
    if not order.reachable:
        raise NoAddress(order)
    again_at = None if order.resent_at is None else order.resent_at + timedelta(seconds=RESEND_SECONDS)
    if again_at is not None and now < again_at:
        raise ResentTooSoon(order, again_at=again_at)
    if order.resends >= MOST_RESENDS:
        raise TooManyChanges(order, "confirmations sent again", MOST_RESENDS)
    requested = ConfirmationRequested(
        order_id=order.id,
        number=order.resends + 1,
        total=total,
        tickets_returned=parts.returned(order.refunds),
        refunded=Money(parts.refunded(order.refunds), total.currency),
        bill=order.bill or UNSET,
        numbers_back=tuple(sorted(parts.numbers_back(order.refunds))) or UNSET,
        allocation=allocation,
    )
    return Decision(evolve(order, requested, at=now), (requested,))


def has_open_refund(order: Order) -> bool:
    """Is the order Paid, with a part refund under way?"""
    return order.status is Status.PAID and any(each.is_open for each in order.refunds)


def asked_again(order: Order, *, now: datetime, look_at: datetime) -> Decision[Order]:
    """Ask for the first part refund that is under way once more, if that is due; the next time is at `look_at`."""
    if order.due_at is None or order.due_at > now or not has_open_refund(order):
        return Decision(order)
    first = next(each for each in order.refunds if each.is_open)
    after = msgspec.structs.replace(order, due_at=look_at, looks=order.looks + 1)
    return Decision(after, (request_of(order, first),), at=first.at, again=True)
