"""Bills: what the tickets of one order cost, line by line, as it was decided when their seats were held.

All amounts are minor units of the bill's currency. Whatever is rounded is rounded for one ticket, so all tickets of a
line cost the same: a line's amounts are its ticket's times `quantity`, without a rest.
"""

from typing import Annotated

import msgspec

from cludale.kernel.ids import Id
from cludale.kernel.money import Money

MOST_CATEGORIES = 50
"""The most categories that a concert may have, and so an order."""
STANDARD = "standard"
"""The category of a concert's tickets where it names none."""


class TicketCount(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, gc=False):
    """So many tickets of one category."""

    category: Id
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class PriceWish(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """The tickets that are wanted, the discount code, and the most that all of them may cost."""

    tickets: tuple[TicketCount, ...] = ()
    """Empty: as many of the first category as there are seats."""
    code: str | None = None
    max_total: Money | None = None


class BillLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """The tickets of one category: total = price · quantity - discount + fee (+ tax, where prices are without it)."""

    category: str
    name: str
    quantity: int
    price: int
    """What one ticket costs, before discount, fees and taxes that are added."""
    net: int
    """total - tax."""
    total: int
    tier: str | None = None
    """Name of the price that applied for a time or for the first seats, if one did."""
    discount: int = 0
    fee: int = 0
    tax: int = 0

    @property
    def each(self) -> int:
        """What one of its tickets costs in all."""
        return self.total // self.quantity


class BillFee(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What one fee comes to: for all tickets, or for the order."""

    id: str
    name: str
    amount: int
    per_order: bool = False
    tax: int = 0
    """The tax on a fee for the whole order; taxes on tickets are in their lines."""


class Bill(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What an order costs: the sums of its lines, and of the fees for the order as a whole."""

    currency: str
    lines: tuple[BillLine, ...]
    net: int
    total: int
    discount: int = 0
    fee: int = 0
    tax: int = 0
    fees: tuple[BillFee, ...] = ()
    code: str | None = None
    """The discount code that was used."""
    tax_name: str | None = None
    tax_percent: float = 0.0
    tax_included: bool = True
    """Do `price` and fees contain the tax?"""
    complimentary: bool = False
    """Its tickets cost nothing: the discount is all of their price."""

    @property
    def money(self) -> Money:
        """What is paid."""
        return Money(self.total, self.currency)

    @property
    def tickets(self) -> tuple[TicketCount, ...]:
        """How many of each category."""
        return tuple(TicketCount(category=line.category, quantity=line.quantity) for line in self.lines)

    def line(self, category: str) -> BillLine | None:
        """The line of this category, if there is one."""
        return next((line for line in self.lines if line.category == category), None)
