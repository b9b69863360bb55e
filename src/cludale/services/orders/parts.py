"""The part refunds of an order: what each gives back, and how far it has come. No I/O, clock or HTTP."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from cludale.kernel.money import Money
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


def left(total: Money, refunds: Sequence[OrderRefund]) -> Money:
    """What these leave of the money."""
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
