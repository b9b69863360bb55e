"""Reports at work: exports of orders, and sums of sales."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import datetime
from functools import partial

from cludale.ports.clock import Clock
from cludale.ports.programme import Programme
from cludale.ports.records import Records
from cludale.services.orders.privacy.service import Privacy
from cludale.services.orders.reports import sales as sums
from cludale.services.orders.reports import schedules, sheets
from cludale.services.orders.reports.cells import Row
from cludale.services.orders.reports.columns import COLUMNS
from cludale.services.orders.reports.concerts import Concert
from cludale.services.orders.reports.reading import Reading, ReportQuery
from cludale.services.orders.reports.sales import Sales
from cludale.services.orders.reports.schedules import Covers, ReportKind, Schedule
from cludale.services.orders.reports.sheets import Format
from cludale.services.orders.reports.tills import Tills

IsOwn = Callable[[Concert], bool]


class Reports:
    """What was sold, and to whom."""

    def __init__(self, records: Records, *, clock: Clock, programme: Programme, privacy: Privacy) -> None:
        self._records = records
        self._clock = clock
        self._programme = programme
        self._privacy = privacy

    def reading(self, wanted: ReportQuery, is_own: IsOwn) -> Reading:
        """A reading of the orders that there are now."""
        return Reading(
            self._records, self._programme, self._privacy, wanted=wanted, is_own=is_own, began=self._clock.now()
        )

    async def sales(self, by: Sequence[str], wanted: ReportQuery, is_own: IsOwn) -> Sales:
        """Sums of the orders that are wanted. Raises Busy, TooManyRows."""
        reading = self.reading(wanted, is_own)
        sales = Sales(by, reading.began)
        async for lines in reading.pages():
            for line in lines:
                sales.add(line)
        return sales

    async def tills(self, wanted: ReportQuery, is_own: IsOwn) -> Tills:
        """What was taken and given back at the box office. Raises Busy, TooManyRows."""
        reading = self.reading(wanted, is_own)
        tills = Tills(reading.began)
        async for lines in reading.pages():
            for line in lines:
                tills.add(line)
        return tills

    def scheduled(self, schedule: Schedule, at: datetime) -> AsyncGenerator[bytes, None]:
        """The report of a schedule that was due at `at`, as a file. Raises Busy and TooManyRows as it comes."""
        since, until = (None, at) if schedule.covers is Covers.ALL else schedules.period(schedule.when, at)
        wanted = ReportQuery(concert_id=schedule.concert_id, since=since, until=until)
        if schedule.kind is ReportKind.ORDERS:
            return self.orders(schedule.format, schedule.columns, wanted, partial(_covers, schedule))
        return sheets.file_of(schedule.format, sums.head(schedule.by), self._summed(schedule, wanted))

    async def _summed(self, schedule: Schedule, wanted: ReportQuery) -> AsyncIterator[Sequence[Row]]:
        found = await self.sales(schedule.by, wanted, partial(_covers, schedule))
        yield [sums.cells(row) for row in found.rows()]

    def orders(
        self, format: Format, columns: Sequence[str], wanted: ReportQuery, is_own: IsOwn
    ) -> AsyncGenerator[bytes, None]:
        """The orders that are wanted, as a file. Raises Busy, also once it has begun."""
        return sheets.file_of(format, columns, self._rows(columns, wanted, is_own))

    async def _rows(self, columns: Sequence[str], wanted: ReportQuery, is_own: IsOwn) -> AsyncIterator[Sequence[Row]]:
        shown = [COLUMNS[name] for name in columns]
        with_buyers = any(column.is_personal for column in shown)
        async for lines in self.reading(wanted, is_own).pages(with_buyers=with_buyers):
            yield [[column.of(line) for column in shown] for line in lines]


def _covers(schedule: Schedule, concert: Concert) -> bool:
    return concert.organizer == schedule.organizer and schedule.concert_id in (None, concert.id)
