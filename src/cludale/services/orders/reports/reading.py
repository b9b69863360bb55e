"""Reads orders for a report: page by page, each page as it stands then; no lock and no transaction is held between.

What is read: every order that had been placed when the reading began, once, as it stood when its page was read. One
that changes meanwhile is in it as it was or as it is, never half; one that is placed meanwhile is not in it.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import date, datetime
from typing import NamedTuple

from cludale.kernel.refusals import Busy
from cludale.ports.programme import Programme, ProgrammeUnreachable
from cludale.ports.records import Records
from cludale.services.orders.order import Order, Status
from cludale.services.orders.privacy.service import Privacy
from cludale.services.orders.reports.columns import ReportedOrder, line_of
from cludale.services.orders.reports.concerts import Concert, Concerts
from cludale.services.orders.store import CLOCKS_DIFFER, ORDERS, listed

PAGE = 500

Moment = datetime | date
"""A time, or a day as it is where the concert is."""


class ReportQuery(NamedTuple):
    """Which orders a report is about; what is None doesn't matter."""

    concert_id: str | None = None
    section: str | None = None
    status: Status | None = None
    since: Moment | None = None
    """Placed then or later."""
    until: Moment | None = None
    """Placed before."""

    def matches(self, order: Order, concert: Concert) -> bool:
        """Is it one of them?"""
        if self.section is not None and order.seats.section != self.section:
            return False
        if self.status is not None and order.status is not self.status:
            return False
        if self.since is not None and _is_before(order.created_at, self.since, concert):
            return False
        return self.until is None or _is_before(order.created_at, self.until, concert)


def _is_before(at: datetime, moment: Moment, concert: Concert) -> bool:
    return at < moment if isinstance(moment, datetime) else concert.day(at) < moment


class Reading:
    """One reading."""

    def __init__(
        self,
        records: Records,
        programme: Programme,
        privacy: Privacy,
        *,
        wanted: ReportQuery,
        is_own: Callable[[Concert], bool],
        began: datetime,
    ) -> None:
        """`began`: orders that are placed after it are left out. `is_own`: is a concert of those it is about?"""
        self._records = records
        self._privacy = privacy
        self._wanted = wanted
        self.began = began
        self._concerts = Concerts(programme, is_own)

    async def pages(self, *, with_buyers: bool = False) -> AsyncGenerator[Sequence[ReportedOrder], None]:
        """The lines, a page at a time. Raises Busy where concerts gives no answer, or a buyer's data can't be read."""
        after: str | None = None
        while True:
            # By concert alone: an order never leaves such a page, so none is met twice, and none is missed.
            query = listed(concert_id=self._wanted.concert_id, status=None, after=after, limit=PAGE)
            found, page = await ORDERS.find(self._records, query)
            orders = [each.state for each in found]
            lines = await self._lines([order for order in orders if order.created_at <= self.began])
            if with_buyers and lines:
                left = await self._privacy.of([line.order for line in lines])
                lines = [line._replace(left=left.get(line.order.id, line.left)) for line in lines]
            yield lines
            after = page.next
            if after is None or (orders and self._is_past(orders[-1])):
                return

    async def _lines(self, orders: Sequence[Order]) -> list[ReportedOrder]:
        try:
            concerts = await self._concerts.own(order.seats.concert_id for order in orders)
        except ProgrammeUnreachable as error:
            raise Busy("What the concerts are can't be known at the moment: concerts gives no answer.") from error
        wanted = self._wanted
        return [
            line_of(order, concert)
            for order in orders
            if (concert := concerts.get(order.seats.concert_id)) is not None and wanted.matches(order, concert)
        ]

    def _is_past(self, order: Order) -> bool:
        """Are all that come after it too late? They come as they were placed, but for the clocks of machines."""
        until = self._wanted.until
        last = min(self.began, until) if isinstance(until, datetime) else self.began
        return order.created_at > last + CLOCKS_DIFFER
