"""Reports over HTTP: shapes, routes, refusal → status. Decides nothing."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel import dates
from cludale.kernel.money import Money
from cludale.kernel.principals import Principal, Scope
from cludale.kernel.refusals import Busy, Invalid
from cludale.kernel.tills import TillMethod
from cludale.kernel.times import parse_date, parse_time
from cludale.services.orders.order import Channel, Status
from cludale.services.orders.reports import columns, sales, sheets, tills
from cludale.services.orders.reports.cells import Row
from cludale.services.orders.reports.concerts import Concert
from cludale.services.orders.reports.files import file_response
from cludale.services.orders.reports.reading import Moment, ReportQuery
from cludale.services.orders.reports.sales import SalesRow, TooManyRows
from cludale.services.orders.reports.service import IsOwn, Reports
from cludale.services.orders.reports.sheets import MEDIA_TYPES, Format
from cludale.services.orders.reports.tills import TillRow
from cludale.web.fields import offset_hint
from cludale.web.ownership import Ownership
from cludale.web.problems import Statuses
from cludale.web.responses import Response, Stream, json_response
from cludale.web.routing import Owned, Reply, Request, asking, route

STATUS: Statuses = {TooManyRows: 422}

_SINCE = "placed then or later: a time (2027-06-05T19:30:00Z), or a day as it is where the concert is (2027-06-05)"
_UNTIL = "placed before: a time, or a day as it is where the concert is"
_SNAPSHOT = (
    "Every order that had been placed when the request came is in it once, as it stood when its page was read; what is "
    "placed meanwhile is not. A file that ends before its end is cut off without the last chunk: it is no whole answer."
)
_FILE = "What a spreadsheet would take for a formula is text in both formats; in CSV an apostrophe is before it."
_DAY = "on which they were placed, as it is where the concert is"
_CHANNEL = "where they were sold: online, box-office (for money) or complimentary"
_CATEGORY = (
    "of the tickets; null: money of no category, as fees for an order as a whole and refunds by amount. An order with "
    "tickets of several counts once in each, and once in the totals"
)
_PLAIN = "Orders of the organizer's own concerts, without what says who the buyers are."


class WhichOrders(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which orders a report is about."""

    concert_id: str | None = None
    section: Annotated[str, Meta(max_length=128)] | None = None
    since: Annotated[str, Meta(max_length=64, description=_SINCE)] | None = None
    until: Annotated[str, Meta(max_length=64, description=_UNTIL)] | None = None


class ExportOrders(WhichOrders, frozen=True, kw_only=True, rename="camel"):
    """Which orders to export, with which columns, as what."""

    status: Status | None = None
    columns: Annotated[str, Meta(max_length=1_000, description="names of columns, separated by commas")] | None = None
    format: Format = Format.CSV


class AskSales(WhichOrders, frozen=True, kw_only=True, rename="camel"):
    """Which sales to add up, and by what."""

    by: Annotated[str, Meta(max_length=100, description=f"some of {', '.join(sales.DIMENSIONS)}")] = "concert,day"
    format: Annotated[Format | None, Meta(description="as a file; without it, as JSON")] = None


class SalesView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What some orders come to."""

    concert_id: str | UnsetType = UNSET
    day: Annotated[str | UnsetType, Meta(description=_DAY)] = UNSET
    section: str | UnsetType | None = UNSET
    channel: Annotated[Channel | UnsetType, Meta(description=_CHANNEL)] = UNSET
    category: Annotated[str | UnsetType | None, Meta(description=_CATEGORY)] = UNSET
    code: Annotated[str | UnsetType | None, Meta(description="the discount code that was used; null: none")] = UNSET
    orders: Annotated[int, Meta(description="that were paid, whatever became of them")]
    cancelled: Annotated[int, Meta(description="of these, those that were cancelled")]
    tickets: Annotated[int, Meta(description="that were sold")]
    tickets_back: Annotated[int, Meta(description="of these, those that were given back")]
    taken: Money
    refunded: Annotated[Money, Meta(description="of what was taken, what has gone back")]
    refunds_open: Annotated[Money, Meta(description="of the rest, what is on its way back")]
    net: Annotated[Money, Meta(description="taken less refunded")]


class AskTill(WhichOrders, frozen=True, kw_only=True, rename="camel"):
    """Which tills to add up."""

    format: Annotated[Format | None, Meta(description="as a file; without it, as JSON")] = None


class TillSums(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one seller took and gave back in one way on one day, for one concert."""

    concert_id: str
    seller: Annotated[str, Meta(description="the key or session")]
    day: Annotated[str, Meta(description="on which the money moved, as it is where the concert is")]
    method: TillMethod
    sales: Annotated[int, Meta(description="orders of which money was taken")]
    taken: Money
    given_back: Money
    net: Annotated[Money, Meta(description="what is in the till of it: taken less given back")]

    @classmethod
    def of(cls, row: TillRow) -> Self:
        """The view of a row."""
        return cls(
            concert_id=row.concert_id,
            seller=row.seller,
            day=row.day,
            method=row.method,
            sales=row.sum.sales,
            taken=Money(row.sum.taken, row.currency),
            given_back=Money(row.sum.given_back, row.currency),
            net=Money(row.sum.taken - row.sum.given_back, row.currency),
        )


class TillReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the tills took and gave back."""

    as_of: Annotated[datetime, Meta(description="when it was read")]
    items: list[TillSums]


class SalesReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Sales in sums."""

    as_of: Annotated[datetime, Meta(description="when it was read: orders that were placed later are not in it")]
    items: list[SalesView]
    totals: Annotated[list[SalesView], Meta(description="of all items, one for each currency")]


def _view(by: Sequence[str], row: SalesRow) -> SalesView:
    sum = row.sum
    fields: dict[str, Any] = dict(zip(by, row.by, strict=False))
    if "concert" in fields:
        fields["concert_id"] = fields.pop("concert")
    return SalesView(
        orders=sum.orders,
        cancelled=sum.cancelled,
        tickets=sum.tickets,
        tickets_back=sum.tickets_back,
        taken=Money(sum.taken, row.currency),
        refunded=Money(sum.refunded, row.currency),
        refunds_open=Money(sum.refunds_open, row.currency),
        net=Money(sum.net, row.currency),
        **fields,
    )


class ReportsApi:
    """The routes of reports."""

    def __init__(self, reports: Reports, ownership: Ownership) -> None:
        self._reports = reports
        self._ownership = ownership

    @route(
        "GET",
        "/orders/reports/sales",
        scope=Scope.READ,
        owned=Owned.FILTERED,
        summary="Report sales",
        description=(
            "Orders and money of the organizer's own concerts, by concert, day, section, channel, category and code. "
            "An order counts on the day on which it was placed, in its concert's own time, with all that became of it "
            "since: the sums are what payments took and gave back, to the cent, once nothing is under way. With a "
            "`format`, a file."
        ),
        replies={200: Reply(SalesReport, files=tuple(MEDIA_TYPES.values()))},
        refusals=(Busy, TooManyRows),
    )
    async def report_sales(self, request: Request, query: AskSales) -> Response | Stream:
        """The sums, as JSON or as a file."""
        by, wanted, is_own = sales.dimensions(query.by), _wanted(request, query), self._is_own(asking(request))
        found = await self._reports.sales(by, wanted, is_own)
        if query.format is not None:
            rows = [sales.cells(row) for row in found.rows()]
            chunks = sheets.file_of(query.format, sales.head(by), _once(rows))
            return file_response(query.format, f"sales.{query.format.value}", chunks)
        items = [_view(by, row) for row in found.rows()]
        return json_response(
            SalesReport(as_of=found.began, items=items, totals=[_view((), row) for row in found.totals()])
        )

    @route(
        "GET",
        "/orders/reports/till",
        scope=Scope.READ,
        owned=Owned.FILTERED,
        summary="Report what the tills took",
        description=(
            "What was taken and given back at the box office for the organizer's own concerts, by concert, seller, day "
            "and method: money counts on the day on which it moved, in the concert's own time. What was given back by "
            "nobody in particular (a buyer cancelled, a concert was called off) is booked on who sold it. `since` and "
            "`until` are about when orders were placed. With a `format`, a file."
        ),
        replies={200: Reply(TillReport, files=tuple(MEDIA_TYPES.values()))},
        refusals=(Busy, TooManyRows),
    )
    async def report_till(self, request: Request, query: AskTill) -> Response | Stream:
        """The sums, as JSON or as a file."""
        found = await self._reports.tills(_wanted(request, query), self._is_own(asking(request)))
        if query.format is not None:
            rows = [tills.cells(row) for row in found.rows()]
            chunks = sheets.file_of(query.format, tills.HEAD, _once(rows))
            return file_response(query.format, f"till.{query.format.value}", chunks)
        return json_response(TillReport(as_of=found.began, items=[TillSums.of(row) for row in found.rows()]))

    @route(
        "GET",
        "/orders/export",
        scope=Scope.READ,
        owned=Owned.FILTERED,
        summary="Export orders",
        description=f"{_PLAIN} {_SNAPSHOT} {_FILE}",
        replies={200: Reply(str, "The file.", MEDIA_TYPES[Format.CSV], (MEDIA_TYPES[Format.XLSX],))},
        refusals=(Busy,),
    )
    async def export_orders(self, request: Request, query: ExportOrders) -> Stream:
        """A file of them, as it comes."""
        return self._exported(request, query, columns.PLAIN)

    @route(
        "GET",
        "/orders/export/personal",
        scope=Scope.PRIVACY,
        owned=Owned.FILTERED,
        summary="Export orders with their buyers",
        description=f"As `/orders/export`, with {', '.join(columns.PERSONAL)} beside. {_SNAPSHOT} {_FILE}",
        replies={200: Reply(str, "The file.", MEDIA_TYPES[Format.CSV], (MEDIA_TYPES[Format.XLSX],))},
        refusals=(Busy,),
    )
    async def export_buyers(self, request: Request, query: ExportOrders) -> Stream:
        """A file of them, as it comes."""
        return self._exported(request, query, tuple(columns.COLUMNS))

    def _exported(self, request: Request, query: ExportOrders, among: Sequence[str]) -> Stream:
        chosen = columns.chosen(query.columns, among)
        wanted = _wanted(request, query)._replace(status=query.status)
        chunks = self._reports.orders(query.format, chosen, wanted, self._is_own(asking(request)))
        return file_response(query.format, f"orders.{query.format.value}", chunks)

    def _is_own(self, principal: Principal) -> IsOwn:
        if self._ownership.sees_all(principal):
            return lambda _: True
        operates = Scope.OPERATE in principal.scopes and principal.concert_id is None

        def is_own(concert: Concert) -> bool:
            # One of which nothing is known is nobody's: whoever operates the platform sees to it.
            return operates if concert.organizer is None else principal.owns(concert.organizer, concert.id)

        return is_own


def _wanted(request: Request, query: WhichOrders) -> ReportQuery:
    return ReportQuery(
        concert_id=asking(request).concert_id if query.concert_id is None else query.concert_id,
        section=query.section,
        since=_moment("since", query.since),
        until=_moment("until", query.until),
    )


def _moment(field: str, text: str | None) -> Moment | None:
    """A day, or a time in UTC. Raises Invalid."""
    if text is None:
        return None
    try:
        return parse_date(text) if dates.is_day(text.upper()) else parse_time(text).astimezone(UTC)
    except ValueError as error:
        raise Invalid((field, f"{error}{offset_hint(text)}")) from error


async def _once(rows: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
    yield rows
