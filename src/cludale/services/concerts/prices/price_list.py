"""A concert's price list: categories, tiers, fees and tax, as its organizer says them. No prices are computed here."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from cludale.kernel.bills import STANDARD
from cludale.kernel.money import MAX_PRICE
from cludale.kernel.refusals import Invalid

MOST_PRICES = 500
MOST_FEES = 10


class PriceCategory(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Whom a ticket is for: adult, child, member."""

    id: str
    name: str
    hidden: bool = False
    """Shown to nobody, and sold with a code that unlocks it."""


class PriceRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What a ticket of a category costs in a section, until a time or for the first seats if it says so.

    Of a section's rows for a category the first that applies counts.
    """

    section: str
    category: str
    amount: int
    """Minor units of the concert's currency."""
    name: str | None = None
    until: datetime | None = None
    """From then on it does not apply."""
    first: int | None = None
    """It applies to an order while no more seats than these are taken in the section, with it."""


class Fee(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What is added to each ticket, or to each order: an amount, or a part of the price after the discount."""

    id: str
    name: str
    amount: int | None = None
    percent: float | None = None
    per_order: bool = False


class Tax(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """The tax on tickets and fees: contained in them, or added."""

    name: str
    percent: float
    included: bool = True


class Pricing(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """All that is said of a concert's prices beside what a seat of each section costs."""

    categories: tuple[PriceCategory, ...] = ()
    """The first is what an order gets that names none; it costs what the section does where no row says otherwise."""
    prices: tuple[PriceRow, ...] = ()
    fees: tuple[Fee, ...] = ()
    tax: Tax | None = None

    @property
    def standard(self) -> PriceCategory:
        """The category of an order that names none."""
        return self.categories[0] if self.categories else _STANDARD

    def category(self, id: str) -> PriceCategory | None:
        """The category, if there is one of this id."""
        return next((each for each in self.categories or (_STANDARD,) if each.id == id), None)

    def row(self, section: str, category: str, *, now: datetime, taken: int) -> PriceRow | None:
        """The first price that applies now, when `taken` seats of the section are held or sold."""
        for row in self.prices:
            is_meant = row.section == section and row.category == category
            if is_meant and (row.until is None or now < row.until) and (row.first is None or taken <= row.first):
                return row
        return None


_STANDARD = PriceCategory(id=STANDARD, name="Standard")
NO_PRICING = Pricing()
"""For a concert that says no more of its prices than what a seat costs."""


def check_pricing(pricing: Pricing, sections: Sequence[str]) -> None:
    """Does it go together, for a concert with these sections? Raises Invalid, which names each field."""
    wrong = [*_wrong_categories(pricing), *_wrong_prices(pricing, sections), *_wrong_fees(pricing)]
    if pricing.tax is not None:
        wrong += check_percent("pricing.tax.percent", pricing.tax.percent)
    if wrong:
        raise Invalid(*wrong)


def _wrong_categories(pricing: Pricing) -> Iterator[tuple[str, str]]:
    ids = [each.id for each in pricing.categories]
    for i, each in enumerate(pricing.categories):
        if each.id in ids[:i]:
            yield f"pricing.categories[{i}].id", f"{each.id!r} is there already"
    if pricing.categories and pricing.categories[0].hidden:
        yield "pricing.categories[0].hidden", "the first category is what an order gets that names none"


def _wrong_prices(pricing: Pricing, sections: Sequence[str]) -> Iterator[tuple[str, str]]:
    seen: set[tuple[str, str]] = set()
    for i, row in enumerate(pricing.prices):
        at = f"pricing.prices[{i}]"
        if row.section not in sections:
            yield f"{at}.section", f"there is no section {row.section!r}"
        if pricing.category(row.category) is None:
            yield f"{at}.category", f"there is no category {row.category!r}"
        if not 0 <= row.amount <= MAX_PRICE:
            yield f"{at}.amount", f"must be from 0 to {MAX_PRICE}"
        if (row.section, row.category) in seen:
            yield at, "can never apply: a row before it, for the same section and category, always does"
        if row.until is None and row.first is None:
            seen.add((row.section, row.category))


def _wrong_fees(pricing: Pricing) -> Iterator[tuple[str, str]]:
    ids = [each.id for each in pricing.fees]
    for i, fee in enumerate(pricing.fees):
        at = f"pricing.fees[{i}]"
        if fee.id in ids[:i]:
            yield f"{at}.id", f"{fee.id!r} is there already"
        if (fee.amount is None) is (fee.percent is None):
            yield at, "give either `amount` or `percent`"
        if fee.amount is not None and not 0 <= fee.amount <= MAX_PRICE:
            yield f"{at}.amount", f"must be from 0 to {MAX_PRICE}"
        if fee.percent is not None:
            yield from check_percent(f"{at}.percent", fee.percent)


def check_percent(field: str, percent: float) -> list[tuple[str, str]]:
    """What is wrong with it, by field. It has three digits after the point at most: it is computed with as a whole
    number of thousandths.
    """
    if not 0 <= percent <= 100:
        return [(field, "must be from 0 to 100")]
    if thousandths(percent) / 1_000 != percent:
        return [(field, "must have at most three digits after the point")]
    return []


def thousandths(percent: float) -> int:
    """A percentage as a whole number: 8.875 is 8,875."""
    return round(percent * 1_000)
