"""Scheduled reports over HTTP: shapes, routes, refusal → status. Decides nothing."""

from datetime import UTC, datetime
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from cludale.kernel.ids import Id
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.services.orders.reports import columns, sales
from cludale.services.orders.reports.desk import Schedules
from cludale.services.orders.reports.files import file_response
from cludale.services.orders.reports.schedules import Covers, Every, ReportKind, Schedule, TooManySchedules, When
from cludale.services.orders.reports.service import Reports
from cludale.services.orders.reports.sheets import MEDIA_TYPES, Format
from cludale.services.orders.reports.words import file_name
from cludale.web.fields import Email, Zone
from cludale.web.ownership import Ownership
from cludale.web.problems import ScopeMissing, Statuses
from cludale.web.queries import Page
from cludale.web.responses import Response, Stream, json_response
from cludale.web.routing import Owned, Reply, Request, asking, route

STATUS: Statuses = {TooManySchedules: 409}

_AT = "a time on the wall in `zone`; one that the clocks pass over comes as much later, of one that is twice the first"
_COVERS = "`period`: orders placed since the report before, whole days in `zone`; `all`: all until then"
_NEVER = datetime(1, 1, 1, tzinfo=UTC)

Names = Annotated[list[str], Meta(min_length=1, max_length=50)]


class NewSchedule(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A report to be sent again and again."""

    report: ReportKind
    to: Annotated[Email, Meta(description="the address that it goes to; kept encrypted")]
    every: Every
    at: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)", description=_AT)] = "08:00"
    zone: Zone
    weekday: Annotated[int, Meta(ge=1, le=7, description="of a weekly one: Monday is 1")] = 1
    day: Annotated[int, Meta(ge=1, le=31, description="of a monthly one; in a shorter month its last day")] = 1
    covers: Annotated[Covers, Meta(description=_COVERS)] = Covers.PERIOD
    format: Format = Format.CSV
    concert_id: Annotated[Id | None, Meta(description="only this concert")] = None
    by: Annotated[Names | None, Meta(description=f"of sales: some of {', '.join(sales.DIMENSIONS)}")] = None
    columns: Annotated[Names | None, Meta(description="of orders; never one that says who the buyer is")] = None


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A scheduled report, and what became of it."""

    id: str
    report: ReportKind
    concert_id: str | None
    to: Annotated[str | None, Meta(description="null once it has ended: the address is gone")]
    every: Every
    at: str
    zone: str
    weekday: int | None
    day: int | None
    covers: Covers
    format: Format
    by: list[str] | None
    columns: list[str] | None
    created_at: datetime
    next_at: Annotated[datetime | None, Meta(description="when the next is due; null once it has ended")]
    sent: Annotated[int, Meta(description="how many were sent")]
    sent_at: datetime | None
    logged: Annotated[bool, Meta(description="the last one went to the server's log alone: no mail server is set")]
    problem: Annotated[str | None, Meta(description="why the last one that was not sent was not")]
    ended_at: datetime | None

    @classmethod
    def of(cls, schedule: Schedule, to: str | None) -> Self:
        """The view of a schedule."""
        when = schedule.when
        return cls(
            id=schedule.id,
            report=schedule.kind,
            concert_id=schedule.concert_id,
            to=to,
            every=when.every,
            at=f"{when.hour:02}:{when.minute:02}",
            zone=when.zone,
            weekday=when.weekday if when.every is Every.WEEK else None,
            day=when.day if when.every is Every.MONTH else None,
            covers=schedule.covers,
            format=schedule.format,
            by=list(schedule.by) if schedule.kind is ReportKind.SALES else None,
            columns=list(schedule.columns) if schedule.kind is ReportKind.ORDERS else None,
            created_at=schedule.created_at,
            next_at=None if schedule.ended_at is not None else schedule.next_at,
            sent=schedule.sent,
            sent_at=schedule.sent_at,
            logged=schedule.was_logged,
            problem=schedule.problem,
            ended_at=schedule.ended_at,
        )


class SchedulesApi:
    """The routes of scheduled reports."""

    def __init__(self, reports: Reports, schedules: Schedules, ownership: Ownership) -> None:
        self._reports = reports
        self._schedules = schedules
        self._ownership = ownership

    @route(
        "GET",
        "/orders/reports/schedules",
        scope=Scope.READ,
        owned=Owned.FILTERED,
        summary="List scheduled reports",
        description="Those that have not ended, as they were made; all of them, there are 50 at most.",
        replies={200: Reply(Page[ScheduleView])},
    )
    async def list_schedules(self, request: Request) -> Response:
        """All of them."""
        principal = asking(request)
        found = await self._schedules.of(principal.organizer)
        own = [each for each in found if principal.concert_id in (None, each.concert_id)]
        return json_response(Page([self._view(each) for each in own], None))

    @route(
        "POST",
        "/orders/reports/schedules",
        scope=Scope.READ,
        owned=Owned.MADE,
        summary="Schedule a report",
        description=(
            "Sales, or orders without what says who the buyers are, by mail, each day, week or month; once for each, "
            "however many replicas there are. A file over 5 MiB is fetched by a link, which is good for seven days. "
            "What could not be sent is tried until the next one is due."
        ),
        replies={201: Reply(ScheduleView)},
        refusals=(NotFound, TooManySchedules, Busy),
    )
    async def schedule_report(self, request: Request, body: NewSchedule) -> Response:
        """201 the schedule."""
        principal = asking(request)
        if principal.concert_id not in (None, body.concert_id):
            raise ScopeMissing(Scope.READ)  # it is for one concert, which is not this one
        if body.concert_id is not None and not await self._ownership.owns(principal, body.concert_id):
            raise NotFound("concert", body.concert_id)
        made = await self._schedules.add(_schedule(body, principal.organizer), body.to)
        return json_response(self._view(made), 201)

    @route(
        "POST",
        "/orders/reports/schedules/{schedule_id}/end",
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="End a scheduled report",
        description="No more are sent, its links lead nowhere, and the address is erased. Again, it changes nothing.",
        replies={200: Reply(ScheduleView)},
        refusals=(NotFound, Busy),
    )
    async def end_schedule(self, request: Request) -> Response:
        """The schedule, ended."""
        principal, schedule = asking(request), await self._schedules.one(request.segment)
        if schedule.organizer != principal.organizer or principal.concert_id not in (None, schedule.concert_id):
            raise NotFound("schedule", request.segment)
        return json_response(self._view(await self._schedules.end(schedule.id)))

    @route(
        "GET",
        "/orders/reports/files/{token}",
        summary="Fetch a report by its link",
        description="A scheduled report that was too large for a mail. The link is the credential, for seven days.",
        replies={200: Reply(str, "The file.", MEDIA_TYPES[Format.CSV])},
        refusals=(NotFound, Busy),
    )
    async def fetch_report(self, request: Request) -> Stream:
        """The file, as it comes."""
        schedule, link = await self._schedules.linked(request.segment)
        chunks = self._reports.scheduled(schedule, link.at)
        return file_response(schedule.format, file_name(schedule, link.at), chunks)

    def _view(self, schedule: Schedule) -> ScheduleView:
        return ScheduleView.of(schedule, self._schedules.address(schedule))


def _schedule(body: NewSchedule, organizer: str) -> Schedule:
    """The schedule as it is asked for. Raises Invalid."""
    is_sales = body.report is ReportKind.SALES
    if is_sales and body.columns is not None:
        raise Invalid(("columns", "is for a report of orders; sales have `by`"))
    if not is_sales and body.by is not None:
        raise Invalid(("by", "is for a report of sales; orders have `columns`"))
    chosen = columns.chosen(None if body.columns is None else ",".join(body.columns), columns.PLAIN)
    by = sales.dimensions("concert,day" if body.by is None else ",".join(body.by))
    hour, minute = body.at.split(":")
    return Schedule(
        id="",
        organizer=organizer,
        concert_id=body.concert_id,
        created_at=_NEVER,
        kind=body.report,
        by=tuple(by) if is_sales else (),
        columns=() if is_sales else tuple(chosen),
        format=body.format,
        covers=body.covers,
        when=When(
            every=body.every, hour=int(hour), minute=int(minute), zone=body.zone, weekday=body.weekday, day=body.day
        ),
        next_at=_NEVER,
    )
