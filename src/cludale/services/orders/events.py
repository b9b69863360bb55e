"""What orders tells the others."""

from datetime import datetime
from enum import StrEnum

from cludale.kernel.allocation import Allocation, OrderSeats, SeatsEvent
from cludale.kernel.events import Event, Topic
from cludale.kernel.money import Money


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
    CONCERT_OVER = "concert-over"
    PRICE_TOO_HIGH = "price-too-high"
    OTHER_CURRENCY = "other-currency"
    HELD_OTHERWISE = "held-otherwise"
    UNREACHABLE = "concerts-unreachable"

    @property
    def is_on_purpose(self) -> bool:
        """Somebody wanted it cancelled: final, whatever money or seats are still under way."""
        return self in (CancelReason.BUYER, CancelReason.ORGANIZER)


class OrderPlaced(Event, frozen=True, kw_only=True):
    """A buyer wants seats."""

    order_id: str
    concert_id: str
    user_id: str
    quantity: int
    section: str | None
    """The section asked for; none leaves the choice to us."""


class TicketReserved(SeatsEvent, frozen=True, kw_only=True):
    """The order has its seats until `expires_at`, and can be paid."""

    order_id: str
    user_id: str
    total: Money
    payment_method: str
    expires_at: datetime
    cancel_until: datetime | None = None
    """From when on the buyer can't cancel; unknown in events of older versions."""
    allocation: Allocation


class PaymentRequested(Event, frozen=True, kw_only=True):
    """The buyer pays in another way, after a charge that failed: charge anew, in this round."""

    order_id: str
    concert_id: str
    round: int
    payment_method: str


class OrderPaid(SeatsEvent, frozen=True, kw_only=True):
    """The order is paid and its seats are sold to it: it is a ticket."""

    order_id: str
    total: Money
    reachable: bool
    """The buyer left an address. The address itself is in no event."""
    allocation: Allocation


class OrderCancelled(Event, frozen=True, kw_only=True):
    """The order is off: its seats go back and so does its money."""

    order_id: str
    total: Money | None
    """None while no seats were had."""
    reason: CancelReason
    was_paid: bool
    reachable: bool
    seats: OrderSeats

    @property
    def concert_id(self) -> str:
        """The concert."""
        return self.seats.concert_id

    @property
    def allocation(self) -> Allocation | None:
        """The seats that go back, if any were had."""
        return self.seats.allocation


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


TOPIC = Topic(
    "order-events",
    "orders",
    (OrderPlaced, TicketReserved, PaymentRequested, OrderPaid, OrderCancelled, ContactErased),
)
