"""What the shop reads of the API's answers: as much as its pages show. A reader passes over other fields."""

from datetime import datetime

import msgspec

from cludale.kernel.money import Money


class Section(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A section as it stands."""

    id: str
    name: str
    total_seats: int
    available_seats: int
    held_seats: int
    held_until: datetime | None = None
    price: Money


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A concert in a list."""

    id: str
    artist: str
    date: str
    venue: str | None = None
    total_seats: int
    available_seats: int
    held_seats: int
    price_from: Money
    price: Money | None = None
    free: bool = False
    on_sale_at: datetime | None = None
    ends_at: str | None = None
    cancel_until: datetime
    max_per_order: int
    listed: bool = True


class Concert(Summary, frozen=True, kw_only=True, rename="camel"):
    """A concert with its sections."""

    sections: tuple[Section, ...]


class Found(msgspec.Struct, frozen=True):
    """A page of concerts."""

    items: tuple[Summary, ...]
    next: str | None = None


class Payment(msgspec.Struct, frozen=True, rename="camel"):
    """How an order's money stands."""

    status: str
    at: datetime
    attempts: int = 0


class Order(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order as its buyer sees it."""

    id: str
    concert_id: str
    section: str | None = None
    quantity: int
    status: str
    reason: str | None = None
    total: Money | None = None
    created_at: datetime
    expires_at: datetime | None = None
    cancel_until: datetime | None = None
    payment: Payment | None = None
    access_token: str = ""
