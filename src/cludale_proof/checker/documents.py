"""What stands in the stores, read from outside: the stored JSON as it is written. Events are in `events.py`.

These shapes are written down a second time on purpose: a checker that read with the services' own code would share
their mistakes. Only what a rule looks at is read; what else a document holds is of no concern here.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

Body = bytes | Mapping[str, Any]
"""A document or an event: its JSON, or that JSON parsed."""


class Kind(StrEnum):
    """The kinds of record that are looked at: the service that keeps them, and their name there."""

    CONCERT = "concerts/concert"
    SECTION = "concerts/section"
    RESERVATION = "concerts/reservation"
    ALLOWANCE = "concerts/allowance"
    ORDER = "orders/order"
    PAYMENT = "payments/payment"
    NOTIFICATION = "notifications/notification"
    AUDIT_ENTRY = "audit/event"
    AUDIT_HEAD = "audit/head"
    AUDIT_WAITING = "audit/waiting"
    TICKETS = "tickets/order_tickets"
    SEAT_PLAN = "concerts/seatplan"
    DEAD_LETTER = "delivery/dead_letter"
    CONCERTS_ANSWER = "concerts/answer"
    ORDERS_ANSWER = "orders/answer"
    PAYMENTS_ANSWER = "payments/answer"


ANSWERS = (Kind.CONCERTS_ANSWER, Kind.ORDERS_ANSWER, Kind.PAYMENTS_ANSWER)


class Unreadable(ValueError):
    """A document isn't what it has to be; the message says where."""


class Money(msgspec.Struct, frozen=True, gc=False):
    """Minor units of a currency."""

    amount: int
    currency: str

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class _Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag_field="_", gc=False):
    version: int = 0
    """How often it was committed; the store says so, beside the document. 0: not known."""


class NumberedSeat(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """A seat with a number."""

    id: str
    row: str
    number: str
    at: int
    flags: int = 0


class PlanPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The part of a seating plan that is a section."""

    digest: str
    zone: str
    aside: bytes = b""
    order: str = ""


class SeatPlan(_Document, frozen=True, tag="plan"):
    """A plan as it is kept, or (`order-…`) the list of a section's seats by their places: its JSON, compressed."""

    digest: str
    body: bytes


class SeatMap(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What a numbered section says of its seats, by their places in the plan."""

    plan: str
    zone: str
    taken: bytes
    """A bit each, the first seat's the lowest."""
    held: Mapping[int, bytes] = {}
    """Two bytes each, the lower one first, by the second until which they are held."""
    over: Mapping[int, int] = {}
    """How often more than once one is taken."""
    blocked: Mapping[int, str] = {}
    order: str = ""
    """The digest of the list of its seats by their places; empty: they are in the order of the plan."""
    places: int = 0
    """How many places it has; 0: as many as seats."""
    gone: bytes = b""
    """Places whose seats were taken away, packed."""


class PlannedSection(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A section as scheduled."""

    id: str
    total_seats: int
    price: Money
    name: str | None = None
    plan: PlanPart | None = None


class Concert(_Document, frozen=True, tag="concert"):
    """A concert: what was put on sale, at what price."""

    id: str
    sections: tuple[PlannedSection, ...]
    artist: str | None = None
    date: str | None = None
    venue: str | None = None
    on_sale_at: datetime | None = None
    max_per_order: int | None = None
    ends_at: str | None = None
    cancel_until: datetime | None = None
    revision: int = 0
    status: str | None = None
    reason: str | None = None
    max_per_buyer: int | None = None
    organizer: str = "default"


class Block(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What a section counts of seats that are held back."""

    seats: int
    ends_at: datetime
    drawn: int = 0
    few_left: int | None = None


class Section(_Document, frozen=True, tag="section"):
    """A section's count of its seats."""

    concert_id: str
    id: str
    total: int
    price: Money
    """Of a seat: what the next order pays."""
    sold: int = 0
    held: Mapping[int, int] = {}
    """Seats held until which second since 1970."""
    changes: int = 0
    closed: bool = False
    """Its concert is called off."""
    as_of: datetime | None = None
    """The latest time at which it gave seats away; by a clock that may have been ahead."""
    blocks: Mapping[str, Block] = {}
    """Seats that are held back, by block."""
    waiting: int = 0
    """Who waits for seats of it."""
    numbered: SeatMap | None = None

    def moment(self, now: datetime) -> datetime:
        """The time there: holds had ended by the one at which it gave seats away, though the clock here is behind."""
        return max(now, self.as_of or now)

    def held_back(self, now: datetime) -> int:
        """Seats that blocks keep from others."""
        moment = self.moment(now)
        return sum(block.seats - block.drawn for block in self.blocks.values() if moment < block.ends_at)

    def available(self, now: datetime) -> int:
        """Seats that can be had."""
        second = self.moment(now).timestamp()
        held = sum(seats for until, seats in self.held.items() if second < until)
        return self.total - self.sold - held - self.held_back(now)


class Till(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """How an order was sold at the box office."""

    method: str
    seller: str
    receipt: str | None = None


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A part of an order that is given back: some tickets or none, and money."""

    number: int
    refund_id: str
    tickets: int
    amount: Money
    left: Money
    held: int
    of: tuple["TicketCount", ...] = ()
    """Which tickets, where an order has a bill."""
    seller: str | None = None
    """Who gives it back at the box office."""
    numbers: tuple[int, ...] = ()
    """Which tickets, where seats have numbers."""


class TicketCount(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """So many tickets of a category."""

    category: str
    quantity: int


class Priced(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """By what a bill was made: the concert's change, the time, and the seats taken then."""

    revision: int
    at: datetime
    taken: int


class OrderRefund(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What an order says of a part refund."""

    part: Part
    at: datetime
    done_at: datetime | None = None
    returned_at: datetime | None = None


class PaymentPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What a payment says of a part refund."""

    part: Part
    done_at: datetime | None = None


class Returned(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Seats that were given back, and when."""

    tickets: int
    at: datetime
    numbers: tuple[int, ...] = ()


class Reservation(_Document, frozen=True, tag="reservation"):
    """Seats of one section, held for somebody, sold to them, or given back."""

    id: str
    concert_id: str
    section: str
    quantity: int
    status: str
    expires_at: datetime
    order_id: str | None = None
    released_for: str | None = None
    successor: str | None = None
    closed: bool = False
    answered: str | None = None
    """What became of its money, if it is Released: `refused`, or `sold` before."""
    returns: Mapping[int, Returned] = {}
    """Seats that were given back while it was Sold, by part refund."""
    bill: Mapping[str, Any] | None = None
    """What they cost, where there is a price list or a code."""
    numbered_seats: tuple[NumberedSeat, ...] | None = None
    moved: tuple[str, ...] = ()
    """The moves by which some of them became others."""

    @property
    def kept(self) -> int:
        """Its seats but for those."""
        return self.quantity - sum(each.tickets for each in self.returns.values())


class Allowance(_Document, frozen=True, tag="allowance"):
    """What is claimed by whoever has one keyed hash of a userId, an e-mail address or a number, at one concert."""

    id: str
    """`concert:email-…`, the hash behind it; `*:…`: unpaid orders at all concerts."""
    claims: Mapping[str, Any] = {}
    """By reservation."""


class OrderPayment(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What an order says of its money."""

    status: str
    at: datetime
    attempts: int = 0
    round: int = 1


class Order(_Document, frozen=True, tag="order"):
    """An order."""

    id: str
    concert_id: str
    user_id: str
    quantity: int
    status: str
    payment_method: str | None = None
    section: str | None = None
    reservation_id: str | None = None
    total: Money | None = None
    expires_at: datetime | None = None
    reason: str | None = None
    payment: OrderPayment | None = None
    """None: it can't be paid yet, or was reserved before orders said this."""
    tries: int = 0
    moved: int = 0
    """The last change of its concert by which it was moved."""
    looks: int = 0
    """How often it was compared with its payment since it was cancelled, or asked for a part refund again."""
    refunds: tuple[OrderRefund, ...] = ()
    amendments: int = 0
    resends: int = 0
    bill: Mapping[str, Any] | None = None
    till: Till | None = None
    numbered_seats: tuple[NumberedSeat, ...] | None = None
    moves: int = 0
    """How often they were moved, as far as it knows."""
    email: str | None = None
    phone: str | None = None
    """Both where an earlier version wrote them, or where whoever tells the checker can open what is sealed."""
    was_sealed: bool = False
    """Its address was taken out of it once, which an earlier version had written."""


class PaymentMend(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Money that the provider had and should not have had, as the payment says that it is given back."""

    number: int
    difference_id: str
    kind: str
    key: str
    amount: Money
    done_at: datetime | None = None


class ShareSeats(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The seats of a line of a cart."""

    concert_id: str
    section: str
    reservation_id: str
    quantity: int


class PaymentShare(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What a cart's payment has of one of its lines."""

    order_id: str
    amount: Money
    closed: bool = False
    refunding: bool = False
    refunded_at: datetime | None = None
    parts: tuple[PaymentPart, ...] = ()
    seats: ShareSeats


class Payment(_Document, frozen=True, tag="payment"):
    """The money side of one order, or of a cart."""

    id: str
    order_id: str
    concert_id: str
    reservation_id: str
    section: str
    quantity: int
    amount: Money
    status: str
    round: int = 1
    tries: int = 0
    closing: str | None = None
    refunding: bool = False
    closed: bool = False
    parts: tuple[PaymentPart, ...] = ()
    mends: tuple[PaymentMend, ...] = ()
    till: Till | None = None
    shares: tuple[PaymentShare, ...] = ()
    """Of a cart."""

    @property
    def end(self) -> str | None:
        """How it ended; None: it has not, or never began."""
        never_began = self.status == "Failed" and not self.tries
        return None if self.status == "Pending" or never_began else self.status

    @property
    def open_parts(self) -> int:
        """Minor units that have yet to go back in part."""
        return sum(each.part.amount.amount for each in self.parts if each.done_at is None)

    @property
    def all_parts(self) -> int:
        """Minor units that go back in part; of a cart also what went back of whole lines."""
        back = sum(each.part.amount.amount for each in self.parts)
        for share in self.shares:
            parts = sum(each.part.amount.amount for each in share.parts)
            back += parts if share.refunded_at is None else share.amount.amount
        return back


class Notification(_Document, frozen=True, tag="notification"):
    """One thing that one buyer is told."""

    id: str
    order_id: str
    kind: str
    status: str
    channel: str | None = None
    detail: str | None = None
    payment_id: str | None = None
    """The payment that it gives a receipt for."""
    paid: Money | None = None
    paid_at: datetime | None = None
    bounced_at: datetime | None = None
    """When it came back, since it was last sent."""
    bounces: int = 0
    """How often it did."""


class Seats(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The seats of an order's tickets."""

    concert_id: str
    section: str
    quantity: int
    numbered_seats: tuple[NumberedSeat, ...] | None = None
    moves: int = 0


class Move(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Somebody went through a door."""

    at: datetime
    door: str
    scan_id: str
    direction: str = "in"
    device: str = ""
    """Empty: the door asked."""
    sequence: int = 0
    generation: int = 0


class Ticket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A ticket to which something happened."""

    generation: int = 1
    revoked: str | None = None
    moves: tuple[Move, ...] = ()
    undone: tuple[Move, ...] = ()
    reseated: int = 0
    """How many of its codes it got with another seat."""


class OrderTickets(_Document, frozen=True, tag="tickets"):
    """The tickets of one order."""

    order_id: str
    concert_id: str
    step: int
    allocation: Seats | None = None
    key_id: str = ""
    changed: Mapping[int, Ticket] = {}
    parts: tuple[int, ...] = ()


class Given(msgspec.Struct, frozen=True, gc=False):
    """An HTTP answer as it was given."""

    status: int
    body: str


class KeptAnswer(_Document, frozen=True, tag="answer"):
    """The first answer to an idempotency key, kept to be given again."""

    fingerprint: str | None
    answer: Given | None
    """None while the key is claimed, and when the claim was given up."""


class DeadLetter(_Document, frozen=True, tag="letter"):
    """A delivery that was given up."""

    id: str
    consumer: str
    event_type: str
    event_id: str
    reason: str
    attempts: int
    state: str
    body: str


class Head(_Document, frozen=True, tag="head"):
    """What the audit log says of its own end, or of that of a segment before the last."""

    sequence: int = 0
    hash: str = ""
    waiting: int = 0
    segment: int = 0
    before: int = 0
    """How many entries the segments before it have."""
    sealed_at: str | None = msgspec.field(name="sealed_at", default=None)
    """When that segment was sealed. None: it is the last."""

    @property
    def is_open(self) -> bool:
        """May entries follow in this segment?"""
        return self.sealed_at is None

    @property
    def length(self) -> int:
        """How many entries the segment has."""
        return self.sequence - self.before


class Waiting(_Document, frozen=True, tag="waiting"):
    """The events that audit keeps until their cause is in the log."""

    events: tuple[msgspec.Raw, ...] = ()


Document = (
    Concert
    | Section
    | Reservation
    | Order
    | Payment
    | Notification
    | OrderTickets
    | SeatPlan
    | KeptAnswer
    | DeadLetter
    | Head
    | Waiting
)

_TYPES: Mapping[Kind, type[Any]] = {
    Kind.CONCERT: Concert,
    Kind.SECTION: Section,
    Kind.RESERVATION: Reservation,
    Kind.ALLOWANCE: Allowance,
    Kind.ORDER: Order,
    Kind.PAYMENT: Payment,
    Kind.NOTIFICATION: Notification,
    Kind.TICKETS: OrderTickets,
    Kind.SEAT_PLAN: SeatPlan,
    Kind.AUDIT_HEAD: Head,
    Kind.AUDIT_WAITING: Waiting,
    Kind.DEAD_LETTER: DeadLetter,
    Kind.CONCERTS_ANSWER: KeptAnswer,
    Kind.ORDERS_ANSWER: KeptAnswer,
    Kind.PAYMENTS_ANSWER: KeptAnswer,
}
_documents: Mapping[Kind, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(each) for kind, each in _TYPES.items()
}
_encode = msgspec.json.Encoder().encode


def as_bytes(body: Body) -> bytes:
    """The JSON of `body`."""
    return body if isinstance(body, bytes) else _encode(body)


def document(kind: Kind, version: int, body: Body) -> Any:
    """The record's document. Raises Unreadable."""
    try:
        read = _documents[kind].decode(as_bytes(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    return msgspec.structs.replace(read, version=version)
