"""How schedules of reports are stored."""

from cludale.kernel.times import rfc3339
from cludale.ports.records import Kind, Query
from cludale.runtime.aggregates import DUE, AggregateStore
from cludale.services.orders.reports.schedules import Schedule

SCHEDULES = AggregateStore(
    Kind("orders", "report_schedule", ("organizer", "live", DUE), (DUE,), may_lack=True),
    Schedule,
    identity=lambda schedule: schedule.id,
    index=lambda each: (
        each.organizer,
        1 if each.ended_at is None else None,
        None if each.due_at is None else rfc3339(each.due_at),
    ),
)
"""DUE is when the next report is to be sent. No event tells of them: nothing but mail follows from one."""

KINDS = (SCHEDULES.kind,)


def live(organizer: str, *, limit: int) -> Query:
    """The first of the organizer's schedules that have not ended."""
    return Query(equal={"organizer": organizer, "live": 1}, limit=limit)
