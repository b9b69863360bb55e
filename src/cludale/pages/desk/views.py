"""What the desk reads of the API's answers: as much as its pages show. A reader passes over other fields."""

from datetime import datetime
from typing import Any

import msgspec

from cludale.kernel import dates
from cludale.kernel.allocation import seats_line
from cludale.kernel.money import Money
from cludale.pages.billing import BillingAddress
from cludale.pages.bills import Bill


class Section(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A section as it stands now."""

    id: str
    name: str
    total_seats: int
    available_seats: int
    held_seats: int
    price: Money
    held_back_seats: int = 0
    zone: str | None = None
    """Its zone of the seating plan, where its seats have numbers."""

    @property
    def sold(self) -> int:
        """Seats that are sold."""
        return self.total_seats - self.available_seats - self.held_seats - self.held_back_seats


class Concert(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A concert as its organizer sees it; of a list, without its sections."""

    id: str
    organizer: str
    artist: str
    title: str | None
    date: str
    zone: str | None
    doors_at: str | None
    ends_at: str | None
    venue: str | None
    place: str | None
    status: str
    reason: str | None
    total_seats: int
    available_seats: int
    held_seats: int
    sold_seats: int
    held_back_seats: int = 0
    on_sale_at: datetime | None
    off_sale_at: datetime | None
    cancel_until: datetime
    max_per_order: int
    max_per_buyer: int | None
    min_per_order: int = 1
    offer_minutes: int | None = None
    """How long an offer to who waited lasts; None: as the platform says."""
    description: str | None = None
    picture: str | None = None
    pricing: Any = None
    """Its price list, as the API writes it."""
    seat_plan: str | None = None
    """The digest of its seating plan."""
    sections: tuple[Section, ...] = ()

    @property
    def name(self) -> str:
        """What it is called."""
        return self.title or self.artist

    def called(self, section: str | None) -> str:
        """What people call a section: its name, or its id where it has none."""
        return next((each.name for each in self.sections if each.id == section and each.name), section or "")

    @property
    def by_todays_clocks(self) -> str | None:
        """When it begins by the clocks there, where their rules have changed since that was written."""
        return dates.by_todays_rules(self.date, self.zone)


class FoundConcerts(msgspec.Struct, frozen=True):
    """A page of concerts."""

    items: tuple[Concert, ...]
    next: str | None = None


class Progress(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far the orders of a concert are that was called off or moved."""

    status: str
    started_at: datetime
    finished_at: datetime | None
    total: int
    done: int
    left: int
    refunded: int
    failed: int


class Sales(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What some orders come to."""

    concert_id: str = ""
    day: str = ""
    section: str | None = None
    orders: int
    cancelled: int
    tickets: int
    tickets_back: int
    taken: Money
    refunded: Money
    refunds_open: Money
    net: Money

    @property
    def sold(self) -> int:
        """Tickets that are still sold."""
        return self.tickets - self.tickets_back


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Sales in sums."""

    as_of: datetime
    items: tuple[Sales, ...]
    totals: tuple[Sales, ...]


class Payment(msgspec.Struct, frozen=True):
    """How an order's money stands."""

    status: str
    at: datetime


class Refund(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of an order that was given back."""

    id: str
    status: str
    quantity: int
    amount: Money
    requested_at: datetime
    requested_by: str
    reason: str | None = None


class OrderSeat(msgspec.Struct, frozen=True):
    """A seat with a number."""

    id: str
    row: str
    number: str


class Order(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order as its organizer sees it."""

    id: str
    concert_id: str
    section: str | None
    user_id: str
    quantity: int
    held: int
    status: str
    reason: str | None
    total: Money | None
    refunded: Money | None
    bill: Bill | None
    created_at: datetime
    expires_at: datetime | None
    payment: Payment | None
    email: str | None = None
    phone: str | None = None
    name: str | None = None
    comment: str | None = None
    billing_address: BillingAddress | None = None
    refunds: tuple[Refund, ...] = ()
    seats: tuple[OrderSeat, ...] = ()
    """Those that it has, where they have numbers."""

    @property
    def seats_line(self) -> str:
        """Its seats by their rows, in no language: `C 12, 13; D 4`."""
        return seats_line(self.seats)

    @property
    def rest(self) -> Money | None:
        """What is left of its money."""
        if self.total is None:
            return None
        return Money(self.total.amount - (0 if self.refunded is None else self.refunded.amount), self.total.currency)


class Orders(msgspec.Struct, frozen=True):
    """A page of orders."""

    items: tuple[Order, ...]
    next: str | None = None


class Cart(msgspec.Struct, frozen=True):
    """A cart, as far as its orders."""

    lines: tuple[Order, ...]


class Happening(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An event of the log."""

    event_id: str
    event_type: str
    timestamp: datetime
    source: str
    causation_id: str | None = None
    correlation_id: str | None = None
    late: bool = False
    repeated: bool = False
    payload: dict[str, Any]


class Happenings(msgspec.Struct, frozen=True):
    """A page of the log."""

    items: tuple[Happening, ...]
    next: str | None = None


class Story(msgspec.Struct, frozen=True):
    """Everything that happened to an order, causes before effects."""

    items: tuple[Happening, ...]


class Code(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A discount code."""

    code: str
    percent: float | None
    amount: Money | None
    unlocks: str | None
    max_uses: int | None
    max_tickets: int | None
    ends_at: datetime | None
    uses: int | None
    tickets: int | None


class Codes(msgspec.Struct, frozen=True):
    """A page of codes."""

    items: tuple[Code, ...]
    next: str | None = None


class Block(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Seats that are held back."""

    id: str
    section: str
    purpose: str
    seats: int
    sold: int
    left: int
    ends_at: datetime
    few_left: int | None
    released_at: datetime | None
    released_for: str | None


class Blocks(msgspec.Struct, frozen=True):
    """A page of blocks."""

    items: tuple[Block, ...]
    next: str | None = None


class Waits(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order that waits for seats."""

    order_id: str
    section: str
    position: int
    quantity: int
    joined_at: datetime


class WaitingList(msgspec.Struct, frozen=True):
    """A page of those who wait."""

    items: tuple[Waits, ...]
    next: str | None = None
