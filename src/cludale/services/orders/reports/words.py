"""What is in the mail that brings a report. No I/O, clock or HTTP."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cludale.ports.messengers import Attachment, Message
from cludale.services.orders.reports import schedules
from cludale.services.orders.reports.links import GOOD_FOR
from cludale.services.orders.reports.schedules import Covers, ReportKind, Schedule

_TITLES = {ReportKind.SALES: "Sales", ReportKind.ORDERS: "Orders"}
_BY_LINK = f"It is too large for a mail. For {GOOD_FOR.days} days it can be fetched here, as things stand then:"
_TOO_LARGE = (
    "It is too large for a mail, and the platform has no public address to fetch it from (CLUDALE_PUBLIC_URL): use "
    "`cludale reports sales --to` or `cludale orders export`."
)


def message(schedule: Schedule, to: str, content: Attachment | None, link: str | None) -> Message:
    """The mail; without `content`, which was too large, it says how to get it."""
    at = schedule.next_at
    what = f"{_TITLES[schedule.kind]}{_of_what(schedule)}, {_when(schedule, at)}"
    how = "It is attached."
    if content is None:
        how = _TOO_LARGE if link is None else f"{_BY_LINK}\n\n{link}"
    ends = f"This is the scheduled report {schedule.id}; `cludale reports unschedule {schedule.id}` ends it."
    text = f"{what}\n\n{how}\n\n{ends}\n"
    return Message(
        id=f"report-{schedule.id}-{int(at.timestamp())}",
        to=to,
        subject=what,
        text=text,
        attachments=() if content is None else (content,),
    )


def file_name(schedule: Schedule, at: datetime) -> str:
    """What the file is called: `sales-2027-06-05.csv`, by the day on which it was due."""
    return f"{schedule.kind.value}-{at.astimezone(ZoneInfo(schedule.when.zone)).date()}.{schedule.format.value}"


def _of_what(schedule: Schedule) -> str:
    return "" if schedule.concert_id is None else f" of {schedule.concert_id}"


def _when(schedule: Schedule, at: datetime) -> str:
    zone = ZoneInfo(schedule.when.zone)
    if schedule.covers is Covers.ALL:
        return f"until {at.astimezone(zone):%Y-%m-%d %H:%M} {schedule.when.zone}"
    since, until = [each.astimezone(zone).date() for each in schedules.period(schedule.when, at)]
    last = until - timedelta(days=1)
    return since.isoformat() if since == last else f"{since} to {last}"
