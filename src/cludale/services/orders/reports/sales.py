"""Sales in sums: by concert, day, section, channel, category and code. No I/O, clock or HTTP.

An order counts on the day on which it was placed, in its concert's own time, with all that became of it since. So the
sums of all days are what was taken and given back, and yesterday's line changes when one of its orders is refunded.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from cludale.kernel.refusals import Invalid, Refusal
from cludale.services.orders.order import Order, channel
from cludale.services.orders.reports.cells import Amount, Cell
from cludale.services.orders.reports.columns import ReportedOrder
from cludale.services.orders.reports.money import is_sale
from cludale.services.orders.reports.shares import Share, by_category, whole

MOST_ROWS = 100_000


class TooManyRows(Refusal):
    """The report would be longer than anybody reads, or than fits in memory."""

    def __init__(self) -> None:
        super().__init__(
            f"That would be more than {MOST_ROWS} rows: ask for one concert, for fewer days, or by less.",
            most=MOST_ROWS,
        )


CATEGORY = "category"
"""The one dimension by which an order is split: its tickets may be of several."""
DIMENSIONS: Mapping[str, Callable[[ReportedOrder, Share], str | None]] = {
    "concert": lambda line, _: line.order.seats.concert_id,
    "day": lambda line, _: line.concert.day(line.order.created_at).isoformat(),
    "section": lambda line, _: line.order.seats.section,
    "channel": lambda line, _: channel(line.order).value,
    CATEGORY: lambda _, share: share.category,
    "code": lambda line, _: None if line.order.bill is None else line.order.bill.code,
}
"""By what sales can be summed: a line each."""


class Sum(NamedTuple):
    """What some orders come to. Money in minor units."""

    orders: int = 0
    """Orders that were paid, whatever became of them."""
    cancelled: int = 0
    """Of these, those that were cancelled."""
    tickets: int = 0
    """Tickets that were sold."""
    tickets_back: int = 0
    """Of these, those that were given back."""
    taken: int = 0
    refunded: int = 0
    refunds_open: int = 0

    def plus(self, order: Order, share: Share) -> "Sum":
        """With this share of an order more. The order counts where it has tickets."""
        money = share.money
        sold, counts = is_sale(order), is_sale(order) and share.tickets > 0
        return Sum(
            self.orders + counts,
            self.cancelled + (counts and order.reason is not None),
            self.tickets + (share.tickets if sold else 0),
            self.tickets_back + (share.tickets_back if sold else 0),
            self.taken + money.taken,
            self.refunded + money.refunded,
            self.refunds_open + money.open,
        )

    @property
    def net(self) -> int:
        """What is left of the money."""
        return self.taken - self.refunded


class SalesRow(NamedTuple):
    """One row of the report."""

    by: tuple[str | None, ...]
    """The values of the dimensions."""
    currency: str
    sum: Sum


class Sales:
    """Adds orders up."""

    def __init__(self, by: Sequence[str], began: datetime) -> None:
        """`began`: when the reading of the orders began."""
        self.by = by
        self.began = began
        self._dimensions = [DIMENSIONS[name] for name in by]
        self._is_split = CATEGORY in by
        self._sums: dict[tuple[tuple[str | None, ...], str], Sum] = {}
        self._totals: dict[str, Sum] = {}

    def add(self, line: ReportedOrder) -> None:
        """One order more; one that never was paid adds nothing. Raises TooManyRows."""
        if line.order.total is None or not (line.money.taken or is_sale(line.order)):
            return
        order, currency, all_of_it = line.order, line.order.total.currency, whole(line.order, line.money)
        for share in by_category(order, line.money) if self._is_split else (all_of_it,):
            key = (tuple(each(line, share) for each in self._dimensions), currency)
            if key not in self._sums and len(self._sums) >= MOST_ROWS:
                raise TooManyRows
            self._sums[key] = self._sums.get(key, Sum()).plus(order, share)
        self._totals[currency] = self._totals.get(currency, Sum()).plus(order, all_of_it)

    def rows(self) -> list[SalesRow]:
        """The sums, sorted by the dimensions, then by currency."""
        found = [SalesRow(by, currency, sum) for (by, currency), sum in self._sums.items()]
        return sorted(found, key=lambda row: (tuple(each or "" for each in row.by), row.currency))

    def totals(self) -> list[SalesRow]:
        """The sums of all, one for each currency."""
        return [SalesRow((), currency, self._totals[currency]) for currency in sorted(self._totals)]


HEAD = (
    "currency",
    "orders",
    "cancelled",
    "tickets",
    "ticketsBack",
    "ticketsNet",
    "taken",
    "refunded",
    "refundsOpen",
    "net",
)


def head(by: Sequence[str]) -> list[str]:
    """The names of the columns, where sales are a file."""
    return [*("concertId" if name == "concert" else name for name in by), *HEAD]


def cells(row: SalesRow) -> list[Cell]:
    """The row as it stands in a file: the dimensions, then `HEAD`."""
    sum, currency = row.sum, row.currency
    money = [Amount.of(each, currency) for each in (sum.taken, sum.refunded, sum.refunds_open, sum.net)]
    counts = (sum.orders, sum.cancelled, sum.tickets, sum.tickets_back, sum.tickets - sum.tickets_back)
    return [*row.by, currency, *counts, *money]


def dimensions(text: str) -> Sequence[str]:
    """The dimensions that `text` names, separated by commas. Raises Invalid."""
    names = [each.strip() for each in text.split(",")]
    if not all(name in DIMENSIONS for name in names):
        raise Invalid(("by", f"must be some of {', '.join(DIMENSIONS)}, separated by commas"))
    if len(set(names)) < len(names):
        raise Invalid(("by", "has the same twice"))
    return names
