"""A concert's price list over HTTP: its shape as a request, and what of it buyers are shown."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from cludale.kernel.bills import MOST_CATEGORIES, STANDARD
from cludale.kernel.ids import Id
from cludale.kernel.money import MAX_PRICE
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.prices.domain import PricedPlace, price_of
from cludale.services.concerts.prices.price_list import (
    MOST_FEES,
    MOST_PRICES,
    Fee,
    PriceCategory,
    PriceRow,
    Pricing,
    Tax,
    check_pricing,
)
from cludale.services.concerts.stock import Section
from cludale.services.concerts.zoned_fields import moment
from cludale.web.fields import LocalDateOrTime, Text

_MINOR = "minor units of the concert's currency"
Minor = Annotated[int, Meta(ge=0, le=MAX_PRICE, description=_MINOR)]
Percent = Annotated[float, Meta(ge=0, le=100, description="with at most three digits after the point")]


_FIRST = (
    "it applies to an order while, with it, at most so many seats of the section are held and sold; an order that "
    "would go beyond pays the next price for all of its tickets"
)


class CategoryRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Whom a ticket is for."""

    id: Id
    name: Text
    hidden: Annotated[bool, Meta(description="shown to nobody, and sold with a code that unlocks it")] = False


class PriceRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a ticket of a category costs in a section."""

    section: Id
    category: Id
    amount: Minor
    name: Annotated[Text | None, Meta(description="what the tier is called: Early bird")] = None
    until: Annotated[
        LocalDateOrTime | None, Meta(description="from then on it does not apply; a day: from its end on, there")
    ] = None
    first: Annotated[int, Meta(ge=1, description=_FIRST)] | None = None


class FeeRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is added: an amount, or a part of the price after the discount."""

    id: Id
    name: Text
    amount: Minor | None = None
    percent: Percent | None = None
    per_order: Annotated[bool, Meta(description="once for an order, not for each ticket")] = False


class TaxRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The tax on tickets and fees."""

    name: Text
    percent: Percent
    included: Annotated[bool, Meta(description="prices and fees contain it; false: it is added")] = True


class PricingRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Categories, tiers, fees and tax."""

    SHOWN_AS: ClassVar = Pricing

    categories: Annotated[
        list[CategoryRequest],
        Meta(
            max_length=MOST_CATEGORIES,
            description=(
                "the first is what an order gets that names none; it costs what the section does, unless one of its "
                f"`prices` applies. Without any, all tickets are `{STANDARD}`"
            ),
        ),
    ] = []
    prices: Annotated[
        list[PriceRequest],
        Meta(
            max_length=MOST_PRICES,
            description=(
                "by section and category; of several for the same, the first that applies counts. A category but the "
                "first is sold only where it has one"
            ),
        ),
    ] = []
    fees: Annotated[list[FeeRequest], Meta(max_length=MOST_FEES)] = []
    tax: TaxRequest | None = None

    def pricing(self, zone: str | None, sections: Sequence[str]) -> Pricing | None:
        """The price list, its times read in the zone; None where it says nothing. Raises Invalid."""
        rows = [
            PriceRow(
                section=each.section,
                category=each.category,
                amount=each.amount,
                name=each.name,
                until=None
                if each.until is None
                else moment(f"pricing.prices[{i}].until", each.until, zone, is_end=True),
                first=each.first,
            )
            for i, each in enumerate(self.prices)
        ]
        found = Pricing(
            categories=tuple(PriceCategory(id=e.id, name=e.name, hidden=e.hidden) for e in self.categories),
            prices=tuple(rows),
            fees=tuple(
                Fee(id=e.id, name=e.name, amount=e.amount, percent=e.percent, per_order=e.per_order) for e in self.fees
            ),
            tax=None
            if self.tax is None
            else Tax(name=self.tax.name, percent=self.tax.percent, included=self.tax.included),
        )
        check_pricing(found, sections)
        return None if found == Pricing() else found


class CategoryPrice(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one ticket of a category costs now."""

    category: str
    name: str
    amount: Annotated[int, Meta(description=f"before fees, and taxes that are added: {_MINOR}")]
    tier: Annotated[str | None, Meta(description="what the tier is called, if there is one that has a name")]


def shown(pricing: Pricing | None, *, whole: bool) -> Pricing | None:
    """What is shown of it: to those who may see the `whole` of it all, to others nothing of hidden categories."""
    if pricing is None or whole:
        return pricing
    hidden = {each.id for each in pricing.categories if each.hidden}
    return msgspec.structs.replace(
        pricing,
        categories=tuple(each for each in pricing.categories if not each.hidden),
        prices=tuple(row for row in pricing.prices if row.category not in hidden),
    )


def prices_now(concert: Concert, section: Section, now: datetime) -> list[CategoryPrice]:
    """What the next ticket of each category costs in the section; nothing of hidden ones."""
    pricing = concert.more.pricing
    if pricing is None:
        return []
    taken = section.taken(now) + 1
    place = PricedPlace(concert.id, section.id, section.price, taken, now)
    found: list[CategoryPrice] = []
    for category in pricing.categories or (pricing.standard,):
        priced = None if category.hidden else price_of(pricing, place, category)
        if priced is not None:
            amount, tier = priced
            found.append(CategoryPrice(category=category.id, name=category.name, amount=amount, tier=tier))
    return found
