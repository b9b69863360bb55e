"""Refusals of prices and codes, as orders hears them from concerts."""

from datetime import datetime

from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid, Refusal, RefusedForNow
from cludale.kernel.times import rfc3339


class CategoryNotFound(Invalid):
    """The concert has no such category of tickets, or it is for those who have a code."""

    def __init__(self, concert_id: str, category: str) -> None:
        super().__init__(("tickets", f"concert {concert_id!r} has no category {category!r}"))
        self.values["category"] = category


class CategoryNotSold(Refusal):
    """Tickets of this category are not sold in this section."""

    def __init__(self, concert_id: str, category: str, *, section: str) -> None:
        super().__init__(
            f"Concert {concert_id!r} has no {category!r} tickets in section {section!r}.",
            category=category,
            section=section,
        )


class UnderTheMinimum(Invalid):
    """Fewer seats than an order for this concert has at least."""

    def __init__(self, concert_id: str, *, wanted: int, least: int) -> None:
        super().__init__(("quantity", f"at least {least} in one order for concert {concert_id!r}, {wanted} wanted"))
        self.values["least"] = least


class TotalTooHigh(RefusedForNow):
    """The order comes to more, with fees and taxes, than its `maxTotal`."""

    def __init__(self, *, max_total: Money, total: Money) -> None:
        super().__init__(
            f"It comes to {total} now, and at most {max_total} is wanted.", maxTotal=max_total, total=total
        )


class CodeUnknown(Invalid):
    """The concert has no such discount code."""

    def __init__(self, concert_id: str, code: str) -> None:
        super().__init__(("code", f"concert {concert_id!r} has no code {code!r}"))
        self.values["code"] = code


class CodeOver(Refusal):
    """The code is valid no more."""

    def __init__(self, code: str, *, ended_at: datetime) -> None:
        end = rfc3339(ended_at)
        super().__init__(f"Code {code!r} was valid until {end}.", code=code, endedAt=end)


class CodeUsedUp(RefusedForNow):
    """The code has been used as often as it may, or for as many tickets: `left` could still be had.

    What unpaid orders hold of it comes back if they are not paid.
    """

    def __init__(self, code: str, *, limit: int, left: int, counts: str) -> None:
        """`counts`: uses or tickets."""
        super().__init__(
            f"Code {code!r} is good for {limit} {counts}, of which {left} are left.",
            code=code,
            limit=limit,
            left=left,
            counts=counts,
        )
