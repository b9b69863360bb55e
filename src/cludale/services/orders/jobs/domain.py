"""What becomes of all orders of a concert that is called off or moved. No I/O, clock or HTTP.

A job is one concert's change seen through its orders. It goes over them page by page; each order is decided alone, and
deciding it twice changes nothing, so a job that a crash cut off is taken up where it was last written down.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel.backoff import Backoff
from cludale.kernel.decision import Decision
from cludale.ports.calling_off import JobStatus, Progress
from cludale.services.concerts.events import ConcertCancelled, ConcertPostponed
from cludale.services.orders import domain
from cludale.services.orders.events import CancelReason, OrderMoved
from cludale.services.orders.order import Order, PaymentStatus, Status

LIVE = (Status.PAID, Status.RESERVED, Status.PENDING)
"""What can be cancelled, those first who wait for their money."""
MOVED = (Status.PAID, Status.RESERVED)
SLOW = timedelta(minutes=1)
"""A refund that takes longer is shown as failed, and goes on being tried."""
WAITS = Backoff(0.25, 2.0)
"""Between two looks at what is left."""
WAITS_WHILE_SLOW = Backoff(0.25, 60.0)
"""Once that is slow."""
IN_FLIGHT = timedelta(seconds=2)
"""Longer than a replica of concerts may go on giving out seats on the former terms."""


class JobKind(StrEnum):
    """What is done to all orders of a concert."""

    CANCEL = "cancel"
    MOVE = "move"


class Phase(StrEnum):
    """What a job does next."""

    COUNT = "count"
    """Count the orders that it is about."""
    ORDERS = "orders"
    """See to each."""
    CHECK = "check"
    """Look at each again: is it cancelled for good, and its money back?"""


class Job(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """All orders of one concert, on their way."""

    id: str
    concert_id: str
    kind: JobKind
    revision: int
    reason: str
    date: str = ""
    """When it is to be now, if it is moved."""
    is_open: bool = False
    """It is moved, and no new time is known."""
    cancel_until: datetime | None = None
    started_at: datetime
    due_at: datetime | None = None
    phase: Phase = Phase.COUNT
    place: int = 0
    """Which of the statuses it is at."""
    after: str | None = None
    """The cursor in it."""
    total: int = 0
    seen_to: int = 0
    refunded: int = 0
    unsettled: int = 0
    """Cancelled, and their money is still on its way back."""
    counting: tuple[int, int, int] = (0, 0, 0)
    """What the check that is under way has counted: cancelled, refunded, unsettled."""
    checks: int = 0
    through_at: datetime | None = None
    """When it had seen to the last of them."""
    finished_at: datetime | None = None


def job_id(concert_id: str, revision: int) -> str:
    """The id of the job for this change of the concert."""
    return f"{concert_id}/{revision}"


def begin(event: ConcertCancelled | ConcertPostponed, job: Job | None, *, at: datetime, now: datetime) -> Decision[Job]:
    """A concert is called off or moved: its orders are to be seen to, once."""
    if job is not None:
        return Decision(job)
    is_moved = isinstance(event, ConcertPostponed)
    return Decision(
        Job(
            id=job_id(event.concert_id, event.revision),
            concert_id=event.concert_id,
            kind=JobKind.MOVE if is_moved else JobKind.CANCEL,
            revision=event.revision,
            reason=event.reason,
            date=event.date if isinstance(event, ConcertPostponed) else "",
            is_open=isinstance(event, ConcertPostponed) and event.fields.date is msgspec.UNSET,
            cancel_until=event.cancel_until if isinstance(event, ConcertPostponed) else None,
            started_at=at,
            due_at=now,
        )
    )


def take_up(job: Job, *, now: datetime, until: datetime) -> Job:
    """Claim it, if it is due: nobody else takes it up before `until`."""
    return job if job.due_at is None or job.due_at > now else replace(job, due_at=until)


def call_off(order: Order, note: str) -> Decision[Order]:
    """Cancel it because the concert is called off. One that failed is closed, if money may still come for it."""
    if domain.is_closed(order) or (order.status is Status.CANCELLED and not domain.may_have_something(order)):
        return Decision(order)
    return domain.cancel(order, CancelReason.CALLED_OFF, note)


def move(order: Order, job: Job) -> Decision[Order]:
    """Tell its buyer, once, that the concert is moved."""
    if order.status not in MOVED or order.moved >= job.revision or job.cancel_until is None:
        return Decision(order)
    if order.created_at > job.started_at + IN_FLIGHT:
        return Decision(order)  # it was placed on the new terms
    moved = OrderMoved(
        order_id=order.id,
        revision=job.revision,
        reason=job.reason,
        date=job.date,
        is_open=job.is_open,
        cancel_until=job.cancel_until,
        reachable=order.reachable,
        asked_before=tuple(each.part for each in order.refunds) or UNSET,
        seats=order.seats,
    )
    return Decision(domain.after_moved(order, moved), (moved,))


class Page(NamedTuple):
    """What came of a page of orders."""

    orders: Sequence[Order]
    following: str | None
    """The cursor after it; None: it was the last."""


def counted(job: Job, page: Page) -> Job:
    """After a page of those that it is about was counted."""
    total = job.total + len(page.orders)
    statuses = LIVE if job.kind is JobKind.CANCEL else MOVED
    return _onwards(replace(job, total=total), page.following, statuses, Phase.ORDERS)


def seen_to(job: Job, changed: int, following: str | None, *, now: datetime) -> Job:
    """After a page of orders was decided. Cancelled ones leave it, so the same page is looked at until it is empty."""
    after = replace(job, seen_to=job.seen_to + changed, total=max(job.total, job.seen_to + changed))
    if job.kind is JobKind.MOVE:
        return _onwards(after, following, MOVED, Phase.CHECK)
    through = _onwards(replace(after, counting=(0, 0, 0)), None, LIVE, Phase.CHECK)
    if through.phase is Phase.CHECK and through.through_at is None:
        through = replace(through, through_at=now)
    return through


def _onwards(job: Job, following: str | None, statuses: Sequence[Status], phase: Phase) -> Job:
    if following is not None:
        return replace(job, after=following)
    if job.place + 1 < len(statuses):
        return replace(job, after=None, place=job.place + 1)
    return replace(job, after=None, place=0, phase=phase)


def checked(job: Job, page: Page, *, now: datetime, watch: timedelta) -> Job:
    """After a page of cancelled orders was looked at. `watch`: how long one may still come that was on its way."""
    if job.kind is JobKind.MOVE:
        return _looked_again(job, now=now, watch=watch)
    ours = [order for order in page.orders if order.reason is CancelReason.CALLED_OFF]
    cancelled, refunded, unsettled = job.counting
    counting = (
        cancelled + len(ours),
        refunded + sum(_is_refunded(order) for order in ours),
        unsettled + sum(_is_unsettled(order) for order in ours),
    )
    if page.following is not None:
        return replace(job, after=page.following, counting=counting)
    done, back, left = counting
    after = replace(
        job,
        after=None,
        phase=Phase.ORDERS,
        total=done,
        seen_to=done,
        refunded=back,
        unsettled=left,
        counting=(0, 0, 0),
        checks=job.checks + 1,
    )
    if left or now < job.started_at + watch:
        return replace(after, due_at=now + _wait(after, now))
    return replace(after, due_at=None, finished_at=now)


def _looked_again(job: Job, *, now: datetime, watch: timedelta) -> Job:
    """A move goes over the orders once more for those that were being placed; then it is done."""
    after = replace(job, phase=Phase.ORDERS, checks=job.checks + 1, through_at=job.through_at or now)
    if now < job.started_at + watch:
        return replace(after, due_at=now + _wait(after, now))
    if job.checks == 0:
        return replace(after, due_at=now)
    return replace(after, due_at=None, finished_at=now, total=job.seen_to)


def _wait(job: Job, now: datetime) -> timedelta:
    is_slow = job.through_at is not None and now - job.through_at > SLOW
    return timedelta(seconds=(WAITS_WHILE_SLOW if is_slow else WAITS).seconds(job.checks + 1))


def _is_refunded(order: Order) -> bool:
    return order.payment is not None and order.payment.status is PaymentStatus.REFUNDED


def _is_unsettled(order: Order) -> bool:
    """Has its money yet to go back, or may some still be taken?"""
    if order.allocation is None or order.payment is None:
        return False
    if order.payment.status is PaymentStatus.PENDING:
        return order.due_at is not None  # else it was compared with its payment to the end: nothing was taken
    return order.payment.status is PaymentStatus.COMPLETED


def progress(job: Job, *, now: datetime) -> Progress:
    """How far it has come."""
    left = max(0, job.total - job.seen_to) + job.unsettled
    if job.kind is JobKind.CANCEL and not job.checks and job.phase is not Phase.COUNT:
        left = max(left, 1)  # whether the money is back is not looked at before all are cancelled
    is_done = bool(job.checks) and not left
    is_slow = job.through_at is not None and now - job.through_at > SLOW
    return Progress(
        concert_id=job.concert_id,
        status=JobStatus.DONE if is_done else JobStatus.RUNNING,
        reason=job.reason,
        started_at=job.started_at,
        finished_at=job.finished_at if job.finished_at is not None else (job.through_at if is_done else None),
        total=job.total,
        done=max(0, job.total - left),
        left=left,
        refunded=job.refunded,
        failed=job.unsettled if is_slow else 0,
    )
