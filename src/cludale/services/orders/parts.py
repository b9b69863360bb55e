"""The part refunds of an order: what each gives back, and how far it has come. No I/O, clock or HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from cludale.kernel.bills import Bill, TicketCount
from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid
from cludale.services.orders.events import PartRefund, Party


class OrderRefund(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """A part refund as its order keeps it."""

    part: PartRefund
    at: datetime
    """When it was asked for."""
    by: Party = Party.ORGANIZER
    reason: str | None = None
    """In clear, where an earlier version kept it here; else it is sealed, with what names the buyer."""
    done_at: datetime | None = None
    """When the money went back; None: it is on its way."""
    returned_at: datetime | None = None
    """When its seats could be had again; None: they are on their way, or there are none."""

    @property
    def is_open(self) -> bool:
        """Is something of it still under way, as far as the order has heard?"""
        return self.done_at is None or (self.part.tickets > 0 and self.returned_at is None)


def refunded(refunds: Sequence[OrderRefund]) -> int:
    """How much went back by these or is on its way, in minor units."""
    return sum(each.part.amount.amount for each in refunds)


def returned(refunds: Sequence[OrderRefund]) -> int:
    """How many tickets were given back by these."""
    return sum(each.part.tickets for each in refunds)


def numbers_back(refunds: Sequence[OrderRefund]) -> frozenset[int]:
    """The numbers of the tickets that were given back, where seats have numbers."""
    if not refunds:
        return frozenset()
    return frozenset(number for each in refunds for number in each.part.numbers or ())


class GivenBack(NamedTuple):
    """Tickets that are given back, and what was paid for them in minor units, with their fees and taxes."""

    tickets: tuple[TicketCount, ...]
    worth: int


def priced(
    bill: Bill | None, refunds: Sequence[OrderRefund], wanted: Sequence[TicketCount], tickets: int
) -> GivenBack | None:
    """So many tickets at what was paid for each of them; None for an order whose tickets all cost the same.

    Raises Invalid where it isn't said which, or where there are no such tickets left.
    """
    if bill is None:
        if wanted:
            raise Invalid(("tickets", "the order has one category of tickets: give a `quantity`"))
        return None
    kept = {line.category: line.quantity for line in bill.lines}
    for refund in refunds:
        for each in () if refund.part.of is UNSET else refund.part.of:
            kept[each.category] -= each.quantity
    had = ", ".join(f"{count} {category}" for category, count in kept.items())
    if not wanted:
        if len(kept) > 1:
            raise Invalid(("tickets", f"say which are given back: the order has {had}"))
        wanted = (TicketCount(category=bill.lines[0].category, quantity=tickets),)
    worth = 0
    for each in wanted:
        line = bill.line(each.category)
        kept[each.category] = kept.get(each.category, 0) - each.quantity
        if line is None or kept[each.category] < 0:
            raise Invalid(("tickets", f"the order has {had}"))
        worth += line.each * each.quantity
    return GivenBack(tuple(wanted), worth)


def left(total: Money, refunds: Sequence[OrderRefund]) -> Money:
    """The money that these part refunds leave of the total."""
    return Money(total.amount - refunded(refunds), total.currency)


def with_done(refunds: tuple[OrderRefund, ...], number: int, *, at: datetime) -> tuple[OrderRefund, ...]:
    """The money of this one is back. The same tuple if that was known, or if there is no such one."""
    return _with(refunds, number, "done_at", at)


def with_returned(refunds: tuple[OrderRefund, ...], number: int, *, at: datetime) -> tuple[OrderRefund, ...]:
    """The seats of this one can be had again. The same tuple if that was known, or if there is no such one."""
    return _with(refunds, number, "returned_at", at)


def _with(refunds: tuple[OrderRefund, ...], number: int, field: str, at: datetime) -> tuple[OrderRefund, ...]:
    if not 1 <= number <= len(refunds) or getattr(refunds[number - 1], field) is not None:
        return refunds
    changed = msgspec.structs.replace(refunds[number - 1], **{field: at})
    return (*refunds[: number - 1], changed, *refunds[number:])
