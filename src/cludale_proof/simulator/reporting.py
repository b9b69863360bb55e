"""The report of a run: what the services say of all sales, held by the checker against the stores."""

from collections.abc import Iterator, Mapping, Sequence

from cludale.ports.clock import Clock
from cludale.ports.programme import ConcertDetails
from cludale.ports.records import Kind
from cludale.services.concerts.store import CONCERTS, RESERVATIONS, SECTIONS
from cludale.services.orders.privacy.service import Privacy
from cludale.services.orders.reports.reading import ReportQuery
from cludale.services.orders.reports.service import Reports
from cludale.services.orders.store import ORDERS
from cludale.services.payments.store import PAYMENTS
from cludale_proof.checker.report_rules import (
    CategoryRow,
    KeptDocuments,
    ReportRow,
    TillRow,
    broken_categories,
    broken_reports,
    broken_tills,
)
from cludale_proof.simulator.memory import Disk, MemoryStore


class _Programme:
    """Concerts, as they are kept."""

    def __init__(self, disks: Sequence[Disk]) -> None:
        self._disks = disks

    async def of(self, ids: Sequence[str]) -> Mapping[str, ConcertDetails]:
        """Those that there are."""
        found = [CONCERTS.decode(body) for body in _bodies(self._disks, CONCERTS.kind)]
        return {
            each.id: ConcertDetails(each.artist, each.date, organizer=each.organizer, zone=each.zone)
            for each in found
            if each.id in ids
        }


class _NobodyReads(Privacy):
    """No report that is held against the stores has what names a person."""

    def __init__(self) -> None:
        pass


async def report_findings(disks: Sequence[Disk], clock: Clock) -> list[str]:
    """What is wrong with the report of all sales, once nothing is under way."""
    (orders,) = (disk for disk in disks if ORDERS.kind in disk.tables)
    records = MemoryStore(orders)
    reports = Reports(records, clock=clock, programme=_Programme(disks), privacy=_NobodyReads())
    sales = await reports.sales(("concert", "day", "section", "channel"), ReportQuery(), lambda _: True)
    rows = []
    for row in sales.rows():
        concert, day, section, channel = [each or "" for each in row.by]
        sum = row.sum
        money = (sum.taken, sum.refunded, sum.refunds_open)
        rows.append(ReportRow(concert, day, section, row.currency, sum.tickets, sum.tickets_back, *money, channel))
    kept = KeptDocuments(*[list(_bodies(disks, each.kind)) for each in (CONCERTS, SECTIONS, ORDERS, PAYMENTS)])
    split = await reports.sales(("concert", "category", "code"), ReportQuery(), lambda _: True)
    categories = []
    for row in split.rows():
        concert, category, code = [each or "" for each in row.by]
        tickets = (row.sum.tickets, row.sum.tickets_back)
        categories.append(CategoryRow(concert, category, code, row.currency, *tickets, row.sum.net))
    found = await reports.tills(ReportQuery(), lambda _: True)
    tills = [TillRow(row.method.value, row.currency, row.sum.taken, row.sum.given_back) for row in found.rows()]
    return [
        *broken_reports(rows, kept),
        *broken_categories(categories, _bodies(disks, RESERVATIONS.kind), kept),
        *broken_tills(tills, kept.payments),
    ]


def _bodies(disks: Sequence[Disk], kind: Kind) -> Iterator[bytes]:
    for disk in disks:
        for row in disk.tables.get(kind, {}).values():
            yield row.stored.body
