"""An order: what was asked for, and how far it has come. No I/O, clock or HTTP."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec import UNSET, UnsetType

from cludale.kernel.allocation import Allocation, NumberedSeat, OrderSeats
from cludale.kernel.bills import Bill, PriceWish
from cludale.kernel.money import Money
from cludale.kernel.refusals import Refusal, RefusedForNow
from cludale.kernel.tills import Till
from cludale.kernel.times import rfc3339
from cludale.ports.contacts import Contact
from cludale.services.orders import parts
from cludale.services.orders.billing_address import BillingAddress
from cludale.services.orders.events import (
    CancelReason,
)
from cludale.services.orders.parts import OrderRefund
from cludale.services.orders.privacy.domain import Particulars


class TooLateToCancel(Refusal):
    """The time in which buyers of this concert can cancel is over."""

    def __init__(self, order_id: str, cancel_until: datetime) -> None:
        end = rfc3339(cancel_until)
        super().__init__(f"Order {order_id!r} could be cancelled until {end}.", cancelUntil=end)


class Status(StrEnum):
    """Where an order is in its life."""

    PENDING = "Pending"
    RESERVED = "Reserved"
    PAID = "Paid"
    CANCELLED = "Cancelled"


NEXT: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.RESERVED, Status.CANCELLED}),
    Status.RESERVED: frozenset({Status.PAID, Status.CANCELLED}),
    Status.PAID: frozenset({Status.CANCELLED}),
    # Nobody asked for its cancellation, and then the money came after all: charged anew, or in the last moment.
    Status.CANCELLED: frozenset({Status.PAID}),
}


class Channel(StrEnum):
    """Where an order was sold."""

    ONLINE = "online"
    BOX_OFFICE = "box-office"
    COMPLIMENTARY = "complimentary"


class PaymentStatus(StrEnum):
    """How the money of an order stands, as its buyer sees it."""

    PENDING = "Pending"
    COMPLETED = "Completed"
    DECLINED = "Declined"
    FAILED = "Failed"
    REFUNDED = "Refunded"


UNPAID: Mapping[PaymentStatus, CancelReason] = {
    PaymentStatus.DECLINED: CancelReason.DECLINED,
    PaymentStatus.FAILED: CancelReason.PAYMENT_FAILED,
}
"""Why an order is off whose hold ended after such a charge; after any other, payments decides."""


class OrderPayment(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What an order knows of its money: how its latest round stands, since when, after how many attempts."""

    status: PaymentStatus
    at: datetime
    attempts: int = 0
    round: int = 1


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a buyer asks for."""

    concert_id: str
    user_id: str
    quantity: int
    section: str | None = None
    payment_method: str = "card-ok"
    email: str | None = None
    phone: str | None = None
    max_price: Money | None = None
    name: str | None = None
    language: str | None = None
    """Which the buyer reads; None: not known, or none that messages are in."""
    wish: PriceWish | None = None
    """Which tickets, by what code, if that is said."""
    address: str | None = None
    """The network address that it comes from, where that is counted; it is kept nowhere."""
    till: Till | None = None
    """How it is sold at the box office; None: a buyer orders it."""
    why_free: str | None = None
    """Why it costs nothing, where it is complimentary."""
    note: str | None = None
    """The organizer's own note."""
    billing: BillingAddress | None = None
    """Whom it is invoiced to."""
    waits: bool = False
    """It waits on the waiting list if there are no seats."""
    seats: tuple[str, ...] = ()
    """The ids of numbered seats, if some are named."""
    wheelchairs: int = 0
    """How many of the places have to be for wheelchairs."""

    @property
    def contact(self) -> Contact | None:
        """Where the buyer wants to be told, if anywhere."""
        return None if self.email is None and self.phone is None else Contact(self.email, self.phone)

    @property
    def known_by(self) -> Particulars:
        """By what the buyer may be known, as far as anything was left."""
        return Particulars(self.email, self.phone, self.name)

    @property
    def particulars(self) -> Particulars | None:
        """What is to be kept apart of the buyer, if anything."""
        left = (self.email, self.phone, self.name, self.why_free, self.billing)
        if left == _NOTHING_LEFT:
            return None
        return Particulars(
            self.email,
            self.phone,
            self.name,
            self.note,
            language=self.language,
            why_free=self.why_free,
            billing=self.billing,
        )


_NOTHING_LEFT = (None, None, None, None, None)


class Offer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Seats that are held for an order that waited for them."""

    section: str
    reservation_id: str
    price: Money
    expires_at: datetime
    cancel_until: datetime | None = None
    bill: Bill | None = None
    numbered_seats: tuple[NumberedSeat, ...] | UnsetType = UNSET
    """Which, in a numbered section."""
    moves: int | UnsetType = UNSET
    """As in Allocation; unset, too, in all that was written before this field existed."""


class Waits(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """That an order waits on a waiting list, and what it is offered."""

    joined_at: datetime | None = None
    """None: it is not known yet that it is on the list."""
    offer: Offer | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """An order. `total` comes with the seats."""

    id: str
    user_id: str
    status: Status
    payment_method: str
    created_at: datetime
    total: Money | None = None
    expires_at: datetime | None = None
    reason: CancelReason | None = None
    email: str | None = None
    phone: str | None = None
    """Both only where an earlier version wrote them: in clear, until the next sweep takes them away."""
    has_contact: bool = False
    """The buyer's address is kept apart, encrypted (`Personal`), or was erased there."""
    was_sealed: bool = False
    """Its address was taken away from here, which an earlier version had written: one write more."""
    max_price: Money | None = None
    """The most that one seat may cost."""
    cancel_until: datetime | None = None
    """From when on the buyer can't cancel, as the concert has it; None for orders of older versions."""
    payment: OrderPayment | None = None
    """None until it can be paid; and of an order that was reserved before this field existed."""
    due_at: datetime | None = None
    """When a Pending order asks for its seats again; when a Reserved one whose last charge failed is off; when a
    Paid one asks for its part refunds again; when a Cancelled one is compared, until it is known that it has neither
    money nor seats."""
    tries: int = 0
    traceparent: str | None = None
    """The trace of the buyer's request, kept for as long as the order is Pending."""
    was_paid: bool = False
    """Before it was cancelled."""
    requested_method: str | None = None
    """How the buyer wants to pay in the latest round, if it is not the first."""
    looks: int = 0
    """How often a look at it, or the end of the looks, was written down since it was cancelled; and how often it asked
    for a part refund again."""
    note: str | None = None
    """What the organizer tells of it, where the concert is called off."""
    moved: int = 0
    """The last change of the concert by which it was moved, as its buyer was told."""
    moved_until: datetime | None = None
    """From when on the buyer can't cancel since it was moved."""
    refunds: tuple[OrderRefund, ...] = ()
    """Its part refunds, as they were asked for."""
    amendments: int = 0
    """How often name, address or comment were changed, which are kept apart."""
    resends: int = 0
    """How often its confirmation was asked for again."""
    resent_at: datetime | None = None
    off_reachable: bool | None = None
    """Did it have an address when it was cancelled? None: that was not changed since."""
    wish: PriceWish | None = None
    """Which tickets it wants, by what code, if that was said."""
    bill: Bill | None = None
    """What it costs, line by line, as it was when its seats were held; None: each ticket costs the same."""
    till: Till | None = None
    """How it was sold at the box office; None, as in orders of before this field: it was not."""
    back_by: str | None = None
    """Who gave its money back at the box office when it was cancelled, if that was somebody there."""
    waits: Waits | None = None
    """How it waits, or waited, on a waiting list; None for others, and in records from before this field existed."""
    wanted_seats: tuple[str, ...] = ()
    """The ids of numbered seats, if it named some."""
    wheelchairs: int = 0
    """How many of its places have to be for wheelchairs."""
    seats: OrderSeats

    @property
    def cancellable_until(self) -> datetime | None:
        """From when on the buyer can't cancel; None for orders of older versions."""
        return self.cancel_until if self.moved_until is None else self.moved_until

    @property
    def allocation(self) -> Allocation | None:
        """Its seats; None while it has none."""
        return self.seats.allocation

    @property
    def held(self) -> int:
        """How many tickets are left of it, beside those that were given back."""
        return self.seats.quantity - parts.returned(self.refunds)

    @property
    def clear(self) -> Particulars:
        """The address that is here in clear."""
        return Particulars(self.email, self.phone)

    @property
    def is_settled(self) -> bool:
        """Is nothing under way: it has come to its end, or waits for its buyer?"""
        if self.status is Status.RESERVED:
            return self.payment is not None and self.payment.status in UNPAID
        return self.status is not Status.PENDING or self.waits is not None

    @property
    def reachable(self) -> bool:
        """Did the buyer leave an address?"""
        return self.has_contact or self.has_clear_contact

    @property
    def has_clear_contact(self) -> bool:
        """Is the address here in clear, as earlier versions kept it?"""
        return self.email is not None or self.phone is not None


def channel(order: Order) -> Channel:
    """Where it was sold."""
    if order.till is None:
        return Channel.ONLINE
    return Channel.COMPLIMENTARY if order.till.is_complimentary else Channel.BOX_OFFICE


class NotReserved(Refusal):
    """Only an order that has seats and isn't paid can be paid."""

    def __init__(self, order: Order) -> None:
        super().__init__(
            f"Order {order.id!r} is {order.status}; only a Reserved order can be paid.", status=order.status
        )


class AlreadyPaid(Refusal):
    """The money is there."""

    def __init__(self, order: Order) -> None:
        super().__init__(f"Order {order.id!r} is paid already.", status=order.status)


class ChargeOpen(RefusedForNow):
    """It isn't known yet what comes of the charge before."""

    def __init__(self, order: Order) -> None:
        since = None if order.payment is None else rfc3339(order.payment.at)
        super().__init__(f"A charge for order {order.id!r} is open; wait for its outcome.", since=since)
