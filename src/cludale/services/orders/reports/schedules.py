"""Reports that are sent by mail: when one is due, of which time it tells, and what became of it. No I/O or clock.

A schedule says a time on the wall in a zone. A time that the clocks pass over in spring comes as much later; of one
that is there twice in autumn, the first counts.
"""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.refusals import Refusal
from cludale.ports.seals import Sealed
from cludale.services.orders.reports.sheets import Format

MOST = 50
"""Schedules that an organizer may have at once."""


class TooManySchedules(Refusal):
    """The organizer has as many as there may be."""

    def __init__(self) -> None:
        super().__init__(f"There may be {MOST} scheduled reports at once; end one that nobody reads.", most=MOST)


class Every(StrEnum):
    """How often."""

    DAY = "daily"
    WEEK = "weekly"
    MONTH = "monthly"


class ReportKind(StrEnum):
    """What is sent."""

    SALES = "sales"
    ORDERS = "orders"


class Covers(StrEnum):
    """Which orders a report is about."""

    PERIOD = "period"
    """Those placed since the one before: the day, the week or the month that is over."""
    ALL = "all"
    """All until then."""


class When(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """The times of a schedule."""

    every: Every
    hour: int
    minute: int
    zone: str
    weekday: int = 1
    """On which day of the week a weekly one is made: Monday is 1."""
    day: int = 1
    """On which day a monthly one is made; in a shorter month on its last day."""


class Schedule(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """A report that is sent again and again."""

    id: str
    organizer: str
    concert_id: str | None = None
    created_at: datetime
    kind: ReportKind
    by: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    format: Format
    covers: Covers = Covers.PERIOD
    when: When
    to: Sealed | None = None
    """The address; None: it has ended, and the address is gone."""
    next_at: datetime
    """When the next one is to be sent."""
    due_at: datetime | None = None
    """When it is looked at next; while it is being sent, the end of that lease."""
    tries: int = 0
    sent: int = 0
    sent_at: datetime | None = None
    was_logged: bool = False
    """The last one went to the log alone: no mail server is set."""
    problem: str | None = None
    """Why the last one that was not sent was not."""
    ended_at: datetime | None = None


def _on(day: date, when: When) -> datetime:
    local = datetime.combine(day, time(when.hour, when.minute), ZoneInfo(when.zone))
    return local.astimezone(UTC)


def _days(when: When, day: date) -> tuple[date, date, date]:
    """The schedule's days about this one: the last before it or on it, and the next two."""
    if when.every is Every.DAY:
        return day, day + timedelta(days=1), day + timedelta(days=2)
    if when.every is Every.WEEK:
        last = day - timedelta(days=(day.isoweekday() - when.weekday) % 7)
        return last, last + timedelta(days=7), last + timedelta(days=14)
    months = [day.year * 12 + day.month - 1 + more for more in (-1, 0, 1, 2)]
    days = [_in_month(month, when.day) for month in months]
    at = 1 if days[1] <= day else 0
    return days[at], days[at + 1], days[at + 2]


def _in_month(month: int, day: int) -> date:
    year, number = divmod(month, 12)
    return date(year, number + 1, min(day, monthrange(year, number + 1)[1]))


def next_after(when: When, moment: datetime) -> datetime:
    """The first time of the schedule that comes after this moment."""
    today = moment.astimezone(ZoneInfo(when.zone)).date()
    return next(at for at in (_on(day, when) for day in _days(when, today)) if at > moment)


def period(when: When, at: datetime) -> tuple[datetime, datetime]:
    """What the report of `at` is about, as it covers its period: from the midnight of the time before, to that of this
    one. A daily report is about yesterday, a weekly one about the seven days before, each as days are in the zone.
    """
    zone = ZoneInfo(when.zone)
    day = at.astimezone(zone).date()
    before = _days(when, day - timedelta(days=1))[0]
    since, until = [datetime.combine(each, time(), zone).astimezone(UTC) for each in (before, day)]
    return since, until


def begin(schedule: Schedule, *, now: datetime) -> Schedule:
    """A new one: its first report comes at the next time that it says."""
    at = next_after(schedule.when, now)
    return replace(schedule, next_at=at, due_at=at)


def take_up(schedule: Schedule, *, now: datetime, until: datetime) -> Schedule:
    """Claim the report that is due; the try is counted before it is made."""
    if schedule.due_at is None or schedule.due_at > now:
        return schedule
    return replace(schedule, due_at=until, tries=schedule.tries + 1)


def sent(schedule: Schedule, at: datetime, *, now: datetime, was_logged: bool) -> Decision[Schedule]:
    """The schedule after its report of `at` was sent. Reports whose time has passed meanwhile are left out."""
    if schedule.ended_at is not None or schedule.next_at != at:
        return Decision(schedule)
    return Decision(
        replace(_onwards(schedule, now), sent=schedule.sent + 1, sent_at=now, was_logged=was_logged, problem=None)
    )


def not_sent(
    schedule: Schedule, at: datetime, why: str, *, now: datetime, again_at: datetime | None
) -> Decision[Schedule]:
    """The report of `at` did not go out. It is tried at `again_at`, if that is before the next one is due."""
    if schedule.ended_at is not None or schedule.next_at != at:
        return Decision(schedule)
    if again_at is None or again_at >= next_after(schedule.when, max(at, now)):
        return Decision(replace(_onwards(schedule, now), problem=why))
    return Decision(replace(schedule, due_at=again_at, problem=why))


def _onwards(schedule: Schedule, now: datetime) -> Schedule:
    following = next_after(schedule.when, max(schedule.next_at, now))
    return replace(schedule, next_at=following, due_at=following, tries=0)


def end(schedule: Schedule, *, now: datetime) -> Decision[Schedule]:
    """No more are sent, and the address is gone; again changes nothing."""
    if schedule.ended_at is not None:
        return Decision(schedule)
    return Decision(replace(schedule, ended_at=now, due_at=None, to=None))
