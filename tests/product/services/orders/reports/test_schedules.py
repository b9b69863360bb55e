"""Scheduled reports: when they are due, and that each goes out once."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec.structs import replace
from tests.fakes import SEALS, CountingIds, ManualClock
from tests.patience import until
from tests.seats import allocation

from cludale.adapters.ciphers import AeadSeals
from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.allocation import OrderSeats
from cludale.kernel.backoff import Backoff
from cludale.kernel.money import Money
from cludale.kernel.refusals import NotFound
from cludale.ports.messengers import HandedTo, Message, NotSent, Trouble
from cludale.ports.programme import ConcertDetails
from cludale.ports.records import Commit
from cludale.runtime.aggregates import Updates
from cludale.runtime.due import PutOff
from cludale.services.orders.order import Order, OrderPayment, PaymentStatus, Status
from cludale.services.orders.privacy.service import Privacy
from cludale.services.orders.reports import mailing, schedules
from cludale.services.orders.reports.desk import Schedules
from cludale.services.orders.reports.mailing import Mailing
from cludale.services.orders.reports.schedules import Covers, Every, ReportKind, Schedule, When, next_after, period
from cludale.services.orders.reports.service import Reports
from cludale.services.orders.reports.sheets import Format
from cludale.services.orders.store import ORDERS

BERLIN = "Europe/Berlin"
DAILY = When(every=Every.DAY, hour=8, minute=0, zone=BERLIN)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("when", "after", "at"),
    [
        (DAILY, "2027-01-10T06:59", "2027-01-10T07:00"),
        (DAILY, "2027-01-10T07:00", "2027-01-11T07:00"),
        (DAILY, "2027-07-10T12:00", "2027-07-11T06:00"),
        (When(every=Every.DAY, hour=2, minute=30, zone=BERLIN), "2027-03-28T00:00", "2027-03-28T01:30"),  # 03:30 there
        (When(every=Every.DAY, hour=2, minute=30, zone=BERLIN), "2027-10-30T23:00", "2027-10-31T00:30"),  # the first
        (When(every=Every.DAY, hour=2, minute=30, zone=BERLIN), "2027-10-31T00:30", "2027-11-01T01:30"),
        (When(every=Every.WEEK, hour=8, minute=0, zone=BERLIN, weekday=1), "2027-01-10T12:00", "2027-01-11T07:00"),
        (When(every=Every.WEEK, hour=8, minute=0, zone=BERLIN, weekday=7), "2027-01-10T12:00", "2027-01-17T07:00"),
        (When(every=Every.MONTH, hour=8, minute=0, zone=BERLIN, day=31), "2027-01-31T12:00", "2027-02-28T07:00"),
        (When(every=Every.MONTH, hour=8, minute=0, zone=BERLIN, day=31), "2027-12-31T12:00", "2028-01-31T07:00"),
        (When(every=Every.DAY, hour=0, minute=15, zone="Pacific/Auckland"), "2027-01-10T11:00", "2027-01-10T11:15"),
    ],
)
def test_the_next_time_is_that_of_the_wall(when: When, after: str, at: str) -> None:
    assert next_after(when, utc(after)) == utc(at)


@pytest.mark.parametrize(
    ("when", "at", "since", "until"),
    [
        (DAILY, "2027-01-10T07:00", "2027-01-08T23:00", "2027-01-09T23:00"),
        (DAILY, "2027-03-29T06:00", "2027-03-27T23:00", "2027-03-28T22:00"),  # a day of 23 hours
        (replace(DAILY, every=Every.WEEK), "2027-01-11T07:00", "2027-01-03T23:00", "2027-01-10T23:00"),
        (replace(DAILY, every=Every.MONTH), "2027-03-01T07:00", "2027-01-31T23:00", "2027-02-28T23:00"),
    ],
)
def test_a_report_is_about_whole_days_there(when: When, at: str, since: str, until: str) -> None:
    assert period(when, utc(at)) == (utc(since), utc(until))


@pytest.mark.parametrize("every", list(Every))
def test_periods_follow_one_another_without_gap(every: Every) -> None:
    when = When(every=every, hour=2, minute=30, zone=BERLIN, weekday=3, day=31)
    at, before = next_after(when, utc("2027-01-01T00:00")), None
    for _ in range(400):
        since, until = period(when, at)
        assert since == before or before is None
        before, at = until, next_after(when, at)


class Post:
    """A mail server that keeps what it got; the next so many messages are not taken."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.trouble: list[Trouble] = []

    async def send(self, message: Message) -> HandedTo:
        await asyncio.sleep(0)
        if self.trouble:
            raise NotSent("b@example.org is not taken", self.trouble.pop())
        self.got.append(message)
        return HandedTo.SERVER


class Programme:
    async def of(self, ids: Sequence[str]) -> Mapping[str, ConcertDetails]:
        return {id: ConcertDetails("A", "2099-06-05", zone=BERLIN, organizer="acme") for id in ids if id == "concert-1"}


class Replicas:
    """Two replicas of the schedules over one store."""

    def __init__(self, store: SqliteStore, seals: AeadSeals = SEALS) -> None:
        self.clock, self.post, self.store = ManualClock(utc("2027-01-10T12:00")), Post(), store
        ids = CountingIds()
        updates = Updates("orders", store, clock=self.clock, ids=ids)
        self.reports = Reports(store, clock=self.clock, programme=Programme(), privacy=Privacy(updates, seals))
        put_off = PutOff(Backoff(60, 3600), ids)
        self.both = [
            Schedules(
                Updates("orders", store, clock=self.clock, ids=ids),
                seals,
                Mailing(
                    self.reports,
                    clock=self.clock,
                    seals=seals,
                    mailer=self.post,
                    send_seconds=5,
                    put_off=put_off,
                    public_url="https://tickets.example.com/",
                ),
                takes_work=lambda: True,
            )
            for _ in range(2)
        ]

    async def add(self, **more: object) -> Schedule:
        new = Schedule(
            id="",
            organizer="acme",
            created_at=self.clock.now(),
            kind=ReportKind.SALES,
            by=("day",),
            format=Format.CSV,
            when=DAILY,
            next_at=self.clock.now(),
        )
        return await self.both[0].add(replace(new, **more), "b@example.org")

    async def sweep(self, at: str) -> None:
        self.clock.at = utc(at)
        await asyncio.gather(*(each.sweep() for each in self.both))
        await until(lambda: not any(each.due.busy for each in self.both))

    async def sold(self, id: str, at: str) -> None:
        order = Order(
            id=id,
            user_id="u",
            status=Status.PAID,
            payment_method="card-ok",
            created_at=utc(at),
            total=Money(9000, "EUR"),
            payment=OrderPayment(status=PaymentStatus.COMPLETED, at=utc(at)),
            seats=OrderSeats.of(allocation(id.replace("order", "reservation"), 2)),
        )
        await self.store.commit([Commit(ORDERS.partition(id), [ORDERS.put(order, 0)])])


@pytest.fixture
def here(store: SqliteStore) -> Replicas:
    return Replicas(store)


def text_of(message: Message) -> str:
    (attached,) = message.attachments
    return attached.content.decode("utf-8-sig")


async def test_a_report_goes_out_once_a_period_and_tells_of_it(here: Replicas) -> None:
    await here.sold("order-1", "2027-01-10T12:00")
    await here.sold("order-2", "2027-01-10T23:30")  # the next day in Berlin
    schedule = await here.add()
    for at in ("2027-01-11T06:59", "2027-01-11T07:00", "2027-01-11T07:01", "2027-01-11T12:00"):
        await here.sweep(at)
    (message,) = here.post.got
    assert (message.to, message.attachments[0].name) == ("b@example.org", "sales-2027-01-11.csv")
    assert '"2027-01-10","EUR","1","0","2","0","2","90.00","0.00","0.00","90.00"' in text_of(message)
    await here.sweep("2027-01-12T07:00")
    assert '"2027-01-11"' in text_of(here.post.got[1])
    assert here.post.got[0].id != here.post.got[1].id
    kept = await here.both[1].one(schedule.id)
    assert (kept.sent, kept.next_at) == (2, utc("2027-01-13T07:00"))


async def test_what_is_not_taken_is_tried_again_under_the_same_id(here: Replicas) -> None:
    schedule = await here.add()
    here.post.trouble = [Trouble.LATER]
    await here.sweep("2027-01-11T07:00")
    kept = await here.both[0].one(schedule.id)
    assert (here.post.got, kept.problem) == ([], "the mail server does not take it now (later)")
    await here.sweep("2027-01-11T07:02")
    kept = await here.both[0].one(schedule.id)
    assert ([each.id for each in here.post.got], kept.problem, kept.sent) == (
        [f"report-{schedule.id}-1799650800"],
        None,
        1,
    )


async def test_one_that_is_refused_is_left_out_and_the_next_is_sent(here: Replicas) -> None:
    schedule = await here.add()
    here.post.trouble = [Trouble.REFUSED]
    await here.sweep("2027-01-11T07:00")
    await here.sweep("2027-01-11T12:00")
    assert (await here.both[0].one(schedule.id)).problem == "the mail server refuses it"
    await here.sweep("2027-01-12T07:00")
    assert len(here.post.got) == 1


async def test_after_days_off_only_the_last_is_sent(here: Replicas) -> None:
    await here.add()
    await here.sweep("2027-01-15T12:00")
    await here.sweep("2027-01-15T12:01")
    assert len(here.post.got) == 1


async def test_a_large_one_is_fetched_by_a_link_until_that_ends(
    here: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing, "ATTACHED_BYTES", 10)
    schedule = await here.add(covers=Covers.ALL)
    await here.sweep("2027-01-11T07:00")
    (message,) = here.post.got
    assert message.attachments == ()
    url = next(line for line in message.text.splitlines() if line.startswith("https://tickets.example.com/orders/"))
    token = url.rpartition("/")[2]
    desk = here.both[1]
    found, link = await desk.linked(token)
    assert (found.id, link.at) == (schedule.id, utc("2027-01-11T07:00"))
    forged = [token[:-1] + ("0" if token[-1] != "0" else "1"), token.replace("~", "~1", 1), "~", "a~b~c~d", ""]
    for other in forged:
        with pytest.raises(NotFound):
            await desk.linked(other)
    here.clock.at += timedelta(days=8)
    with pytest.raises(NotFound):
        await desk.linked(token)
    here.clock.at = utc("2027-01-11T08:00")
    await desk.end(schedule.id)
    with pytest.raises(NotFound):
        await desk.linked(token)


async def test_an_ended_one_sends_nothing_and_has_no_address(here: Replicas) -> None:
    schedule = await here.add()
    ended = await here.both[0].end(schedule.id)
    assert await here.both[1].end(schedule.id) == ended
    assert (ended.to, await here.both[0].of("acme")) == (None, [])
    await here.sweep("2027-01-11T07:00")
    assert here.post.got == []


async def test_there_may_be_so_many(here: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cludale.services.orders.reports.desk.MOST", 1)
    await here.add()
    with pytest.raises(schedules.TooManySchedules):
        await here.add()


async def test_addresses_are_brought_under_another_master_key(here: Replicas) -> None:
    schedule = await here.add()
    both = Replicas(here.store, AeadSeals("new", "master"))
    assert await both.both[0].rewrap() == 1
    alone = Replicas(here.store, AeadSeals("new"))
    kept = await alone.both[0].one(schedule.id)
    assert alone.both[0].address(kept) == "b@example.org"


async def test_the_report_of_one_day_is_no_other_organizers(here: Replicas) -> None:
    await here.sold("order-1", "2027-01-10T12:00")
    await here.add(organizer="other")
    await here.sweep("2027-01-11T07:00")
    assert date(2027, 1, 10).isoformat() not in text_of(here.post.got[0])
