"""All orders of a concert that is called off or moved: each once, whatever cuts the job off."""

from datetime import timedelta

from msgspec.structs import replace
from tests.fakes import NOON
from tests.product.services.orders.test_domain import PAID, PENDING, RESERVED

from cludale.ports.calling_off import JobStatus
from cludale.services.concerts.events import ConcertCancelled, ConcertFields, ConcertPostponed
from cludale.services.orders import domain
from cludale.services.orders.events import CancelReason, OrderCancelled, OrderMoved
from cludale.services.orders.jobs import domain as jobs
from cludale.services.orders.jobs.domain import Job, Page, Phase
from cludale.services.orders.order import Order, OrderPayment, PaymentStatus, Status

OFF = ConcertCancelled(concert_id="concert-1", revision=1, changed_by="key-1", reason="no power")
UNTIL = NOON + timedelta(days=7)
MOVED = ConcertPostponed(
    concert_id="concert-1",
    revision=2,
    changed_by="key-1",
    reason="a storm",
    date="2027-07-01T19:30:00Z",
    cancel_until=UNTIL,
    fields=ConcertFields(date="2027-07-01T19:30:00Z"),
)
WATCH = timedelta(seconds=30)


def begun(event: ConcertCancelled | ConcertPostponed = OFF) -> Job:
    return jobs.begin(event, None, at=NOON, now=NOON).state


def test_an_order_is_cancelled_once_with_what_the_organizer_says() -> None:
    for order in (PAID, RESERVED, PENDING):
        decision = jobs.call_off(order, "no power")
        (told,) = decision.events
        assert isinstance(told, OrderCancelled)
        assert (decision.state.status, told.reason, told.note) == (
            Status.CANCELLED,
            CancelReason.CALLED_OFF,
            "no power",
        )
        assert jobs.call_off(decision.state, "no power").events == ()


def test_what_is_told_again_of_it_is_told_word_for_word() -> None:
    decision = jobs.call_off(PAID, "no power")
    assert domain.cancel(PAID, CancelReason.CALLED_OFF, "no power").events == decision.events


def test_a_buyer_is_told_once_that_it_is_moved_and_may_cancel_until_then() -> None:
    job = begun(MOVED)
    decision = jobs.move(PAID, job)
    (told,) = decision.events
    assert isinstance(told, OrderMoved)
    assert decision.state.cancellable_until == UNTIL
    assert jobs.move(decision.state, job).events == ()


def test_who_ordered_on_the_new_terms_is_not_told() -> None:
    late = replace(PAID, created_at=NOON + timedelta(minutes=1))
    assert jobs.move(late, begun(MOVED)).events == ()


def test_the_same_cancellation_begins_one_job() -> None:
    job = begun()
    assert jobs.begin(OFF, job, at=NOON, now=NOON).state is job


def test_it_is_done_when_the_money_of_all_is_back() -> None:
    job = begun()
    job = jobs.counted(jobs.counted(jobs.counted(job, Page((PAID,), None)), Page((), None)), Page((), None))
    assert (job.phase, job.total) == (Phase.ORDERS, 1)
    for changed in (1, 0, 0):
        job = jobs.seen_to(job, changed, None, now=NOON)
    assert job.phase is Phase.CHECK
    off = jobs.call_off(PAID, "no power").state
    waiting = jobs.checked(job, Page((_with(off, PaymentStatus.COMPLETED),), None), now=NOON, watch=WATCH)
    assert (jobs.progress(waiting, now=NOON).left, waiting.due_at is None) == (1, False)
    assert jobs.progress(waiting, now=NOON + timedelta(minutes=2)).failed == 1
    again = replace(waiting, phase=Phase.CHECK)
    later = NOON + timedelta(minutes=1)
    done = jobs.checked(again, Page((_with(off, PaymentStatus.REFUNDED),), None), now=later, watch=WATCH)
    progress = jobs.progress(done, now=later)
    assert (progress.status, progress.refunded, progress.left, done.due_at) == (JobStatus.DONE, 1, 0, None)


def _with(order: Order, status: PaymentStatus) -> Order:
    return replace(order, payment=OrderPayment(status=status, at=NOON))
