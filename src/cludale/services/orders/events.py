"""What orders tells the others."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from cludale.kernel.allocation import Allocation, NumberedSeat, OrderSeats, SeatsEvent
from cludale.kernel.bills import Bill, TicketCount
from cludale.kernel.events import Event, Topic
from cludale.kernel.money import Money
from cludale.kernel.tills import Till


class CancelReason(StrEnum):
    """Why an order was cancelled."""

    BUYER = "cancelled-by-buyer"
    ORGANIZER = "cancelled-by-organizer"
    DECLINED = "payment-declined"
    PAYMENT_FAILED = "payment-failed"
    EXPIRED = "hold-expired"
    SOLD_OUT = "seats-unavailable"
    NOT_ON_SALE = "not-on-sale"
    NO_SUCH_CONCERT = "concert-not-found"
    NO_SUCH_SECTION = "section-not-found"
    OVER_THE_LIMIT = "over-the-limit"
    NO_SUCH_TICKETS = "no-such-tickets"
    """There is no such category, or no such code."""
    CODE_USED_UP = "code-used-up"
    """Or it is valid no more."""
    CONCERT_OVER = "concert-over"
    PRICE_TOO_HIGH = "price-too-high"
    OTHER_CURRENCY = "other-currency"
    HELD_OTHERWISE = "held-otherwise"
    UNREACHABLE = "concerts-unreachable"
    SALE_ENDED = "sale-ended"
    CALLED_OFF = "concert-called-off"
    CART_INCOMPLETE = "cart-incomplete"
    """Another line of its cart came to nothing, and a cart is bought whole or not at all."""

    @property
    def is_on_purpose(self) -> bool:
        """Somebody wanted it cancelled: final, whatever money or seats are still under way."""
        return self in (
            CancelReason.BUYER,
            CancelReason.ORGANIZER,
            CancelReason.CALLED_OFF,
            CancelReason.CART_INCOMPLETE,
        )


class OrderPlaced(Event, frozen=True, kw_only=True):
    """A buyer wants seats."""

    data_version: ClassVar[str] = "1.1"

    order_id: str
    concert_id: str
    user_id: str
    quantity: int
    section: str | None
    """The section asked for; none leaves the choice to us."""
    till: Till | UnsetType = UNSET
    """How it is sold at the box office; unset, as in events written before this field existed: it is not."""


class TicketReserved(SeatsEvent, frozen=True, kw_only=True):
    """The order has its seats until `expires_at`, and can be paid."""

    data_version: ClassVar[str] = "1.3"

    order_id: str
    user_id: str
    total: Money
    payment_method: str
    expires_at: datetime
    cancel_until: datetime | None = None
    """From when on the buyer can't cancel; unknown in events of older versions."""
    bill: Bill | UnsetType = UNSET
    """What it costs, line by line, where there is a price list or a code; unset, as in events written before this
    field existed: each ticket costs the same."""
    till: Till | UnsetType = UNSET
    """How it is paid at the box office: no provider is asked. As in OrderPlaced."""
    allocation: Allocation


class CartLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One order of a cart, and what is its own of the cart's money."""

    order_id: str
    total: Money
    seats: Allocation


class CartEvent(Event, frozen=True, kw_only=True):
    """Base of the facts about a cart: orders that are placed and paid together."""

    subject_field: ClassVar[str] = "cart_id"

    cart_id: str

    @property
    def correlation(self) -> str:
        """The cart."""
        return self.cart_id


class CartReserved(CartEvent, frozen=True, kw_only=True):
    """All lines of the cart have their seats until `expires_at`, and are to be charged together, once."""

    user_id: str
    total: Money
    """Of all lines."""
    payment_method: str
    expires_at: datetime
    lines: tuple[CartLine, ...]


class CartPaid(CartEvent, frozen=True, kw_only=True):
    """All lines of the cart are paid: from here on each is an order by itself."""

    total: Money
    reachable: bool
    """The buyer left an address."""
    lines: tuple[CartLine, ...]

    @property
    def order_id(self) -> str:
        """Its first line, under which its buyer is known to who tells them."""
        return self.lines[0].order_id


class PaymentRequested(Event, frozen=True, kw_only=True):
    """The buyer pays in another way, after a charge that failed: charge anew, in this round."""

    order_id: str
    concert_id: str
    round: int
    payment_method: str


class OrderPaid(SeatsEvent, frozen=True, kw_only=True):
    """The order is paid and its seats are sold to it: it is a ticket."""

    data_version: ClassVar[str] = "1.2"

    order_id: str
    total: Money
    reachable: bool
    """The buyer left an address. The address itself is in no event."""
    bill: Bill | UnsetType = UNSET
    """As in TicketReserved."""
    allocation: Allocation


class PartRefund(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A part of an order's money that goes back, perhaps with some of its tickets."""

    number: int
    """Counts the part refunds of the order from 1."""
    refund_id: str
    tickets: int
    """How many are given back; 0: money only."""
    amount: Money
    left: Money
    """What is left of the money after this one."""
    held: int
    """Tickets that the order has left after this one."""
    of: tuple[TicketCount, ...] | UnsetType = UNSET
    """Which tickets are given back; unset, as in those written before this field existed: all cost the same."""
    seller: str | UnsetType = UNSET
    """Who gives the money back at the box office; unset, as in those written before this field existed: nobody there,
    or nobody in particular."""
    numbers: tuple[int, ...] | UnsetType = UNSET
    """Which tickets, where seats have numbers: that of the order's first seat is 1. Unset in sections by quantity, and
    in those written before this field existed."""


class OrderCancelled(Event, frozen=True, kw_only=True):
    """The order is off: its seats go back and so does its money, as far as part refunds have left any."""

    data_version: ClassVar[str] = "1.4"

    order_id: str
    total: Money | None
    """None while no seats were had."""
    reason: CancelReason
    was_paid: bool
    reachable: bool
    note: str | UnsetType = UNSET
    """What the organizer tells all buyers of it, where the concert is called off. Unset in events of older versions."""
    seller: str | UnsetType = UNSET
    """Who gives the money back, where it was sold at the box office. As in PartRefund."""
    waited: bool | UnsetType = UNSET
    """Did it wait for seats on a waiting list, or had it an offer? Unset, as in events written before this field
    existed: no."""
    asked_before: tuple[PartRefund, ...] | UnsetType = msgspec.field(default=UNSET, name="partRefunds")
    """Part refunds; unset where there were none, as in events written before this field existed."""
    seats: OrderSeats

    @property
    def concert_id(self) -> str:
        """The concert."""
        return self.seats.concert_id

    @property
    def part_refunds(self) -> tuple[PartRefund, ...]:
        """Those asked for before it was cancelled, whether or not they are carried out by now."""
        return () if self.asked_before is UNSET else self.asked_before

    @property
    def allocation(self) -> Allocation | None:
        """The seats that go back, if any were had."""
        return self.seats.allocation


class OrderMoved(Event, frozen=True, kw_only=True):
    """The concert of this order is moved: its tickets stay valid, and its buyer is told."""

    data_version: ClassVar[str] = "1.2"

    order_id: str
    revision: int
    """The change of the concert by which it is moved."""
    reason: str
    date: str
    """When it is to be now; of one without a new time, when it was to be."""
    is_open: bool
    """No new time is known yet."""
    cancel_until: datetime
    """Until then the buyer may cancel."""
    reachable: bool
    asked_before: tuple[PartRefund, ...] | UnsetType = msgspec.field(default=UNSET, name="partRefunds")
    """As in OrderCancelled; unset in events written before this field existed, too."""
    seats: OrderSeats

    @property
    def concert_id(self) -> str:
        """The concert."""
        return self.seats.concert_id

    @property
    def part_refunds(self) -> tuple[PartRefund, ...]:
        """Those asked for before it was moved."""
        return () if self.asked_before is UNSET else self.asked_before


class OrderReseated(SeatsEvent, frozen=True, kw_only=True):
    """Some tickets of a paid order have other seats: they get new codes, and its buyer is told.

    `allocation` are all seats that it has now.
    """

    order_id: str
    numbers: tuple[int, ...]
    """Which tickets, from 1."""
    seats_before: tuple[NumberedSeat, ...]
    """What these had."""
    reason: str
    """The organizer's own words."""
    reachable: bool
    allocation: Allocation


class PartRefundRequested(SeatsEvent, frozen=True, kw_only=True):
    """Some tickets of a paid order are given back, or some of its money: give back `part.amount`, and the seats.

    `allocation` are all the seats that the order was sold.
    """

    data_version: ClassVar[str] = "1.2"

    order_id: str
    part: PartRefund
    allocation: Allocation


class AmendedField(StrEnum):
    """What was changed about an order. The value itself is in no event."""

    NAME = "name"
    EMAIL = "email"
    PHONE = "phone"
    COMMENT = "comment"


class Party(StrEnum):
    """Who wanted something of an order."""

    BUYER = "buyer"
    ORGANIZER = "organizer"


class OrderAmended(Event, frozen=True, kw_only=True):
    """The buyer's name or address was changed, or the organizer's comment."""

    data_version: ClassVar[str] = "1.1"

    order_id: str
    concert_id: str
    fields: tuple[AmendedField, ...]
    by: Party
    billing_address: bool = False
    """Was the postal address for its invoice changed? Never in what was written before this field existed."""


class ConfirmationRequested(SeatsEvent, frozen=True, kw_only=True):
    """The confirmation of a paid order is to be sent once more, as the order is now."""

    data_version: ClassVar[str] = "1.3"

    order_id: str
    number: int
    """Counts these requests from 1."""
    total: Money
    tickets_returned: int
    """Tickets that were given back."""
    refunded: Money
    """Money that went back, or is on its way."""
    bill: Bill | UnsetType = UNSET
    """As in TicketReserved."""
    numbers_back: tuple[int, ...] | UnsetType = UNSET
    """Which tickets were given back, where seats have numbers; unset where none was, as in events written before this
    field existed."""
    allocation: Allocation


class ErasureReason(StrEnum):
    """Why a buyer's address is gone."""

    ASKED = "asked"
    """The buyer, or whoever answers for personal data, wanted it."""
    RETENTION = "retention"
    """The time was over for which it is kept after the concert."""


class ContactErased(Event, frozen=True, kw_only=True):
    """The address that the buyer of this order had left is gone for good. It says nothing of whose or what it was."""

    order_id: str
    concert_id: str
    reason: ErasureReason


class InvoiceLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """A line of an invoice or a credit note, in minor units of its currency: total = net + tax."""

    name: str
    """The category of the tickets, or the fee; empty: money, whatever it was for."""
    quantity: int
    net: int
    tax: int
    total: int
    percent: float = 0.0
    """The rate of the tax."""


class InvoiceKind(StrEnum):
    """What a document is. Each kind has numbers of its own."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit-note"


class InvoicingChanged(Event, frozen=True, kw_only=True):
    """Whether and how an organizer's orders are invoiced is said anew. What is said, is in no event."""

    subject_field: ClassVar[str] = "organizer"

    organizer: str
    revision: int
    """Counts the changes from 1."""
    is_on: bool
    since: datetime
    """From when on that holds: who pays then gets an invoice, or none."""
    fields: tuple[str, ...]
    """What was changed, beside that it is on."""
    by: str
    """The id of the key, or of the person, that changed it."""


class DocumentIssued(Event, frozen=True, kw_only=True):
    """Base of what is told of an invoice or a credit note. The buyer is in no event, nor is the issuer."""

    document_id: str
    order_id: str
    concert_id: str
    organizer: str
    year: int
    sequence: int
    """Counts the documents of this kind, organizer and year from 1, without a hole."""
    document_number: str
    """How `sequence` is written."""
    date: str
    """The day of the document, as it was where the organizer or the concert is."""
    total: Money
    tax: int
    """Minor units; it is in `total`."""
    tax_name: str | None = None
    lines: tuple[InvoiceLine, ...]


class InvoiceIssued(DocumentIssued, frozen=True, kw_only=True):
    """A paid order has its invoice, with the next number."""


class CreditNoteIssued(DocumentIssued, frozen=True, kw_only=True):
    """What was given back of an order is taken off its invoice, with the next number of credit notes."""

    invoice_id: str
    invoice_number: str
    refund: int
    """Which part refund it is for; 0: all that they had left, after the order was cancelled."""


TOPIC = Topic(
    "order-events",
    "orders",
    (
        OrderPlaced,
        TicketReserved,
        CartReserved,
        CartPaid,
        PaymentRequested,
        OrderPaid,
        OrderCancelled,
        OrderMoved,
        OrderReseated,
        PartRefundRequested,
        OrderAmended,
        ConfirmationRequested,
        ContactErased,
        InvoicingChanged,
        InvoiceIssued,
        CreditNoteIssued,
    ),
)
