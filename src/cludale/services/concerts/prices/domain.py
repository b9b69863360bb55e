"""What tickets cost: the bill of an order, from the price list, the code and how many seats are taken. No I/O or clock.

Rounded is half up, to the currency's minor unit, for each ticket by itself: the discount, then each fee, then the tax.
A fee for the whole order is rounded once. A ticket that costs nothing after its discount has no fee, and an order of
such tickets none either.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from cludale.kernel.bills import Bill, BillFee, BillLine, PriceWish, TicketCount
from cludale.kernel.money import MAX_PRICE, Money
from cludale.kernel.refusals import Invalid
from cludale.ports.prices import CategoryNotFound, CategoryNotSold, TotalTooHigh
from cludale.services.concerts.prices.price_list import Fee, PriceCategory, Pricing, Tax, thousandths

_WHOLE = 100_000
"""Thousandths of a percent in all of it."""
MOST = 1_000 * MAX_PRICE


class CodeTerms(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What a code gives: a part of each ticket's price, an amount of it, a hidden category."""

    code: str
    percent: float | None = None
    amount: int | None = None
    unlocks: str | None = None
    """The category."""


class Terms(msgspec.Struct, frozen=True, gc=False):
    """By what an order is priced, as it was when it was asked for."""

    pricing: Pricing
    wish: PriceWish
    code: CodeTerms | None = None
    complimentary: bool = False
    """All tickets cost nothing."""


_ALL_OF_IT = CodeTerms(code="", percent=100.0)
"""What is complimentary is priced as with a code for all of it: it has no fees and no taxes either."""


class PricedPlace(NamedTuple):
    """Where, and when: the section, what a seat of it costs, and its seats that are taken with those of the order."""

    concert_id: str
    section: str
    price: Money
    taken: int
    now: datetime


class _Each(NamedTuple):
    """One ticket."""

    price: int
    tier: str | None
    discount: int
    fees: Sequence[int]
    tax: int
    total: int


def counted(pricing: Pricing, wish: PriceWish, quantity: int) -> tuple[TicketCount, ...]:
    """How many tickets of each category are wanted. Raises Invalid where they are not `quantity`."""
    if not wish.tickets:
        return (TicketCount(category=pricing.standard.id, quantity=quantity),)
    counts: dict[str, int] = {}
    for each in wish.tickets:
        counts[each.category] = counts.get(each.category, 0) + each.quantity
    if sum(counts.values()) != quantity:
        raise Invalid(("quantity", f"is {quantity}, and `tickets` are {sum(counts.values())}"))
    return tuple(TicketCount(category=id, quantity=count) for id, count in counts.items())


def bill(terms: Terms, place: PricedPlace, quantity: int) -> Bill:
    """What these tickets cost there.

    Raises CategoryNotFound, CategoryNotSold, TotalTooHigh, Invalid (the numbers of tickets don't add up).
    """
    pricing, code = terms.pricing, _ALL_OF_IT if terms.complimentary else terms.code
    fees = [fee for fee in pricing.fees if not fee.per_order]
    lines: list[BillLine] = []
    sums = [0] * len(fees)
    for count in counted(pricing, terms.wish, quantity):
        category = _category(pricing, code, place, count.category)
        each = _each(pricing, code, place, category, fees)
        sums = [known + fee * count.quantity for known, fee in zip(sums, each.fees, strict=True)]
        lines.append(_line(category, each, count.quantity))
    totals = [
        BillFee(id=fee.id, name=fee.name, amount=amount) for fee, amount in zip(fees, sums, strict=True) if amount
    ]
    totals += _order_fees(pricing, sum(line.price * line.quantity - line.discount for line in lines))
    of_order = [fee for fee in totals if fee.per_order]
    tax = sum(line.tax for line in lines) + sum(fee.tax for fee in of_order)
    total = sum(line.total for line in lines) + sum(_with_tax(fee, pricing.tax) for fee in of_order)
    if total > MOST:
        raise Invalid(("quantity", f"comes to more than {Money(MOST, place.price.currency)}"))
    if terms.wish.max_total is not None and total > terms.wish.max_total.amount:
        raise TotalTooHigh(max_total=terms.wish.max_total, total=Money(total, place.price.currency))
    return Bill(
        currency=place.price.currency,
        lines=tuple(lines),
        net=total - tax,
        total=total,
        discount=sum(line.discount for line in lines),
        fee=sum(fee.amount for fee in totals),
        tax=tax,
        fees=tuple(totals),
        code=None if terms.code is None else terms.code.code,
        tax_name=None if pricing.tax is None else pricing.tax.name,
        tax_percent=0.0 if pricing.tax is None else pricing.tax.percent,
        tax_included=True if pricing.tax is None else pricing.tax.included,
        complimentary=terms.complimentary,
    )


def price_of(pricing: Pricing, place: PricedPlace, category: PriceCategory) -> tuple[int, str | None] | None:
    """What a ticket of the category costs there before anything else, and the tier's name; None: none is sold."""
    row = pricing.row(place.section, category.id, now=place.now, taken=place.taken)
    if row is not None:
        return row.amount, row.name
    return (place.price.amount, None) if category is pricing.standard else None


def _category(pricing: Pricing, code: CodeTerms | None, place: PricedPlace, id: str) -> PriceCategory:
    found = pricing.category(id)
    if found is None or (found.hidden and (code is None or code.unlocks != id)):
        raise CategoryNotFound(place.concert_id, id)
    return found


def _each(
    pricing: Pricing, code: CodeTerms | None, place: PricedPlace, category: PriceCategory, fees: Sequence[Fee]
) -> _Each:
    priced = price_of(pricing, place, category)
    if priced is None:
        raise CategoryNotSold(place.concert_id, category.id, section=place.section)
    price, tier = priced
    discount = _discount(code, price)
    cost = price - discount
    added = [_fee(fee, cost) for fee in fees]
    tax, total = _taxed(cost + sum(added), pricing.tax)
    return _Each(price, tier, discount, added, tax, total)


def _line(category: PriceCategory, each: _Each, quantity: int) -> BillLine:
    return BillLine(
        category=category.id,
        name=category.name,
        quantity=quantity,
        price=each.price,
        net=(each.total - each.tax) * quantity,
        total=each.total * quantity,
        tier=each.tier,
        discount=each.discount * quantity,
        fee=sum(each.fees) * quantity,
        tax=each.tax * quantity,
    )


def _discount(code: CodeTerms | None, price: int) -> int:
    if code is None:
        return 0
    if code.percent is not None:
        return _half_up(price * thousandths(code.percent), _WHOLE)
    return 0 if code.amount is None else min(code.amount, price)


def _fee(fee: Fee, cost: int) -> int:
    if not cost:
        return 0
    return fee.amount if fee.amount is not None else _half_up(cost * thousandths(fee.percent or 0.0), _WHOLE)


def _order_fees(pricing: Pricing, cost: int) -> list[BillFee]:
    found: list[BillFee] = []
    for fee in pricing.fees:
        amount = _fee(fee, cost) if fee.per_order else 0
        if amount:
            tax, _ = _taxed(amount, pricing.tax)
            found.append(BillFee(id=fee.id, name=fee.name, amount=amount, per_order=True, tax=tax))
    return found


def _with_tax(fee: BillFee, tax: Tax | None) -> int:
    return fee.amount if tax is None or tax.included else fee.amount + fee.tax


def _taxed(amount: int, tax: Tax | None) -> tuple[int, int]:
    """The tax on this amount, and what is paid with it."""
    if tax is None:
        return 0, amount
    rate = thousandths(tax.percent)
    if tax.included:
        return _half_up(amount * rate, _WHOLE + rate), amount
    added = _half_up(amount * rate, _WHOLE)
    return added, amount + added


def _half_up(part: int, whole: int) -> int:
    return (2 * part + whole) // (2 * whole)
