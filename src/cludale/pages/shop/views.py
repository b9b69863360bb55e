"""What the shop reads of the API's answers: as much as its pages show. A reader passes over other fields."""

from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

import msgspec

from cludale.kernel import dates
from cludale.kernel.allocation import seats_line
from cludale.kernel.money import Money
from cludale.kernel.times import parse_time
from cludale.pages.billing import BillingAddress
from cludale.pages.bills import Bill


class CategoryPrice(msgspec.Struct, frozen=True, rename="camel"):
    """What the next ticket of a category costs in a section."""

    category: str
    name: str
    amount: int
    tier: str | None = None


class Fee(msgspec.Struct, frozen=True):
    """A fee, as far as a concert's page tells of it."""

    name: str


class Pricing(msgspec.Struct, frozen=True):
    """What a concert's page has to know of its price list."""

    fees: tuple[Fee, ...] = ()


class Quote(msgspec.Struct, frozen=True):
    """What an order would cost."""

    total: Money
    bill: Bill
    unlocked: str | None = None


class Section(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A section as it stands."""

    id: str
    name: str
    total_seats: int
    available_seats: int
    held_seats: int
    held_until: datetime | None = None
    price: Money
    prices: tuple[CategoryPrice, ...] = ()
    zone: str | None = None
    """The zone of the seating plan that it is, if its seats have numbers."""

    @property
    def priced(self) -> list[tuple[str, Money]]:
        """The categories by name, and what the next ticket of each costs."""
        return [(each.name, Money(each.amount, self.price.currency)) for each in self.prices]

    @property
    def least(self) -> Money:
        """What the cheapest ticket of it costs now."""
        return Money(min((each.amount for each in self.prices), default=self.price.amount), self.price.currency)


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A concert in a list."""

    id: str
    artist: str
    date: str
    title: str | None = None
    zone: str | None = None
    doors_at: str | None = None
    venue: str | None = None
    place: str | None = None
    status: str = "listed"
    reason: str | None = None
    """Why it is postponed or called off."""
    total_seats: int
    available_seats: int
    held_seats: int
    price_from: Money
    price: Money | None = None
    free: bool = False
    on_sale_at: datetime | None = None
    off_sale_at: datetime | None = None
    ends_at: str | None = None
    cancel_until: datetime
    max_per_order: int
    listed: bool = True

    @property
    def over_at(self) -> datetime:
        """When it is over, where it takes place; nothing is sold from then on."""
        return dates.over(self.date, self.ends_at, self.zone)

    @property
    def doors(self) -> datetime | None:
        """The moment at which its doors open, if that is said."""
        return None if self.doors_at is None or dates.is_day(self.doors_at) else parse_time(self.doors_at)

    @property
    def where(self) -> str:
        """The venue and its address, as far as they are said."""
        return ", ".join(each for each in (self.venue, self.place) if each)

    @property
    def local(self) -> tzinfo | None:
        """By which clocks its times are told: those of its zone, else as its date is written; None: as in UTC."""
        if self.zone is not None:
            return ZoneInfo(self.zone)
        return None if dates.is_day(self.date) else parse_time(self.date).tzinfo


class Concert(Summary, frozen=True, kw_only=True, rename="camel"):
    """A concert with its sections."""

    sections: tuple[Section, ...]
    description: str | None = None
    pricing: Pricing | None = None
    seat_plan: str | None = None
    """The digest of its seating plan, where seats have numbers."""

    @property
    def categories(self) -> dict[str, str]:
        """The names of all that can be had in some section, by id; nothing where there is but one."""
        found = {each.category: each.name for section in self.sections for each in section.prices}
        return found if len(found) > 1 else {}


class FreeSection(msgspec.Struct, frozen=True):
    """Which seats of a section can be had: a bit a seat, the first one's the lowest of the first byte."""

    id: str
    free: bytes


class FreeSeats(msgspec.Struct, frozen=True):
    """Which numbered seats of a concert can be had."""

    sections: tuple[FreeSection, ...]


class FoundConcerts(msgspec.Struct, frozen=True):
    """A page of concerts."""

    items: tuple[Summary, ...]
    next: str | None = None


class Payment(msgspec.Struct, frozen=True, rename="camel"):
    """How an order's money stands."""

    status: str
    at: datetime
    attempts: int = 0


class Invoice(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An invoice or a credit note of an order."""

    id: str
    kind: str
    number: str
    buyer: "Billed | None" = None

    @property
    def has_address(self) -> bool:
        """Does it have a postal address?"""
        return self.buyer is not None and self.buyer.address is not None


class Billed(msgspec.Struct, frozen=True):
    """Who stands on it."""

    address: BillingAddress | None = None


class Invoices(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Those of one order."""

    items: list[Invoice]


class Refund(msgspec.Struct, frozen=True, rename="camel"):
    """A part of an order that was given back."""

    status: str
    quantity: int
    amount: Money
    requested_at: datetime


class Waiting(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How an order stands on the waiting list."""

    position: int | None = None
    length: int | None = None
    offered_until: datetime | None = None
    total: Money | None = None
    seats: "tuple[Seat, ...]" = ()
    """Those that it is offered, where they have numbers."""


class Seat(msgspec.Struct, frozen=True, rename="camel"):
    """A seat with a number."""

    id: str
    row: str
    number: str


class Till(msgspec.Struct, frozen=True):
    """How an order was sold at the box office."""

    method: str


class Order(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order as its buyer sees it."""

    id: str
    concert_id: str
    section: str | None = None
    quantity: int
    held: int
    """Tickets that are left of it, beside those that were given back."""
    status: str
    reason: str | None = None
    total: Money | None = None
    bill: Bill | None = None
    created_at: datetime
    expires_at: datetime | None = None
    cancel_until: datetime | None = None
    payment: Payment | None = None
    refunds: tuple[Refund, ...] = ()
    waiting: Waiting | None = None
    box_office: Till | None = None
    access_token: str = ""
    seats: tuple[Seat, ...] = ()
    """Those that it has, where seats have numbers."""


class PlacedCart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A cart and its orders."""

    id: str
    status: str
    total: Money
    created_at: datetime
    expires_at: datetime
    lines: tuple[Order, ...]
    access_token: str = ""


class Ticket(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A ticket as its buyer or its holder sees it."""

    id: str
    concert_id: str
    section_name: str
    number: int
    quantity: int
    status: str
    transferred: bool
    holder: str | None = None
    valid_from: datetime
    valid_until: datetime
    admitted_at: datetime | None = None
    code: str | None = None
    access_token: str = ""
    seat: Seat | None = None

    @property
    def place(self) -> str:
        """The section's name, with row and seat where they have numbers."""
        return self.section_name if self.seat is None else f"{self.section_name}: {seats_line([self.seat])}"


class Tickets(msgspec.Struct, frozen=True):
    """All tickets of an order."""

    items: tuple[Ticket, ...]
    wallets: tuple[str, ...] = ()


class WalletLink(msgspec.Struct, frozen=True):
    """Where a wallet saves a ticket."""

    url: str
