"""The provider's books against the payments: each difference is mended or shown, once, and nothing in flight."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.events import published
from tests.fakes import NOON, CountingIds, ManualClock
from tests.patience import until
from tests.seats import allocation

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.backoff import Backoff
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy
from cludale.kernel.wire import Codec
from cludale.ports.payment_gateway import (
    TAKEN,
    Booked,
    BookedPage,
    BuyerAction,
    Charge,
    ChargeResult,
    GatewayTrouble,
)
from cludale.ports.sales import Outlook, SaleOutlook
from cludale.runtime.aggregates import Change, Updates
from cludale.services.catalogue import CATALOGUE, KINDS
from cludale.services.orders.events import PartRefund
from cludale.services.payments import differences
from cludale.services.payments.comparison import retold
from cludale.services.payments.differences import FoundDifference, NotToSettle, Settlement, State, found_in, no_money
from cludale.services.payments.mends import Difference
from cludale.services.payments.payment import Attempt, AttemptLimits, AttemptOutcome, Part, Payment, Status
from cludale.services.payments.reconciliation import Reconciliation
from cludale.services.payments.reconciling import ReconciliationTimes
from cludale.services.payments.service import Payments
from cludale.services.payments.store import PAYMENTS, differences_listed

TOTAL = Money(9000, "EUR")
DAY = timedelta(days=1)
READ_AT = NOON + DAY
MINUTES = timedelta(minutes=5)


def payment(number: int = 1, status: Status = Status.COMPLETED, **more: object) -> Payment:
    """One whose charge came to its end at noon."""
    return Payment(
        id=f"payment-{number}",
        order_id=f"order-{number}",
        amount=TOTAL,
        method="card-ok",
        status=status,
        created_at=NOON,
        expires_at=NOON + MINUTES,
        tries=1,
        attempts=(Attempt(at=NOON, round=1, outcome=AttemptOutcome.CHARGED),),
        allocation=allocation(f"reservation-{number}", 2),
        **more,  # type: ignore[arg-type]
    )


def part(number: int, amount: int) -> Part:
    back = PartRefund(number=number, refund_id=f"r{number}", tickets=0, amount=Money(amount, "EUR"), left=TOTAL, held=2)
    return Part(part=back, done_at=NOON)


def booked(key: str = "payment-1.1", taken: int = 9000, returned: int = 0, **more: object) -> Booked:
    return Booked(key=key, at=NOON, taken=Money(taken, "EUR"), returned=returned, **more)  # type: ignore[arg-type]


def wrong(there: Booked, here: Payment | None) -> tuple[Difference, int] | None:
    found = found_in(there, here, by="run", read_at=READ_AT, tolerance=MINUTES)
    return None if found is None else (found.kind, found.amount.amount)


# -- what differs


@pytest.mark.parametrize(
    ("there", "here"),
    [
        (booked(), payment()),
        (booked(returned=9000), payment(status=Status.REFUNDED)),
        (booked(returned=9000), payment(status=Status.FAILED)),
        (booked(returned=9000), None),
        (booked(returned=2000), payment(parts=(part(1, 2000),))),
        (booked(taken=18000, returned=9000, times=2), payment()),
        (booked("payment-1.1", returned=9000), payment(round=2)),
    ],
)
def test_books_that_agree_differ_in_nothing(there: Booked, here: Payment | None) -> None:
    assert wrong(there, here) is None


@pytest.mark.parametrize(
    ("there", "here", "kind", "amount"),
    [
        (booked(), None, Difference.UNKNOWN_MONEY, 9000),
        (booked("payment-1.2"), payment(), Difference.UNKNOWN_MONEY, 9000),
        (booked(), payment(status=Status.FAILED), Difference.UNUSED_MONEY, 9000),
        (booked("payment-1.1", returned=1000), payment(round=2), Difference.UNUSED_MONEY, 8000),
        (booked(reference="pi_2"), payment(reference="pi_1"), Difference.UNUSED_MONEY, 9000),
        (booked(returned=4000), payment(status=Status.REFUNDED), Difference.REFUND_LOST, 5000),
        (booked(returned=500), payment(parts=(part(1, 2000),)), Difference.REFUND_LOST, 1500),
        (booked(taken=18000, times=2), payment(), Difference.TAKEN_TWICE, 9000),
        (booked(taken=18000, times=2, returned=9000), payment(status=Status.REFUNDED), Difference.TAKEN_TWICE, 9000),
        (booked(returned=100), payment(), Difference.TOO_MUCH_BACK, 100),
        (booked(taken=9100), payment(), Difference.OTHER_AMOUNT, 9100),
        (booked(taken=8900), payment(), Difference.OTHER_AMOUNT, 8900),
    ],
)
def test_each_kind_of_difference_is_told_apart(
    there: Booked, here: Payment | None, kind: Difference, amount: int
) -> None:
    assert wrong(there, here) == (kind, amount)


def test_another_currency_is_shown_whatever_the_amount() -> None:
    there = replace(booked(), taken=Money(9000, "USD"))
    assert wrong(there, payment()) == (Difference.OTHER_CURRENCY, 9000)


def test_a_payment_whose_money_the_provider_does_not_know_is_shown() -> None:
    found = no_money(payment(), by="run", read_at=READ_AT, tolerance=MINUTES)
    assert found is not None
    assert (found.kind, found.state, found.amount) == (Difference.NO_MONEY, State.OPEN, TOTAL)
    assert no_money(payment(status=Status.FAILED), by="run", read_at=READ_AT, tolerance=MINUTES) is None
    assert no_money(replace(payment(), amount=Money(0, "EUR")), by="", read_at=READ_AT, tolerance=MINUTES) is None


@pytest.mark.parametrize(
    "here",
    [
        payment(status=Status.PENDING),
        payment(refunding=True),
        payment(status=Status.REFUNDED, refunded_at=READ_AT - timedelta(minutes=4)),
        payment(status=Status.REFUNDED, refunded_at=READ_AT + timedelta(hours=1)),
        payment(parts=(replace(part(1, 2000), done_at=None),)),
    ],
)
def test_what_is_in_flight_is_not_taken_for_lost(here: Payment) -> None:
    assert wrong(booked(), here) is None


def test_a_charge_that_is_young_is_not_compared() -> None:
    young = replace(booked(), at=READ_AT - timedelta(minutes=4))
    assert wrong(young, None) is None


# -- what is done about it


def lost(here: Payment, returned: int = 0) -> FoundDifference:
    found = found_in(booked(returned=returned), here, by="run", read_at=READ_AT, tolerance=MINUTES)
    assert found is not None
    return found


def mend(here: Payment, found: FoundDifference, *, now: datetime = READ_AT) -> Payment:
    return differences.begin_mend(here, found, now=now, tolerance=MINUTES).state


def test_a_mend_is_begun_once_and_done_once() -> None:
    found = lost(payment(status=Status.REFUNDED))
    begun = mend(payment(status=Status.REFUNDED), found)
    assert mend(begun, found) is begun
    assert begun.open_mend is not None
    done = differences.mended(begun, begun.open_mend, now=READ_AT)
    assert [type(each).__name__ for each in done.events] == ["PaymentMended"]
    assert (done.state.open_mend, done.state.due_at) == (None, None)
    assert differences.mended(done.state, begun.open_mend, now=READ_AT).events == ()


def test_the_end_of_an_organizers_round_is_told_again_after_a_mend() -> None:
    told_again_soon = payment(round=2, retells=2, due_at=READ_AT + MINUTES)
    begun = mend(told_again_soon, lost(told_again_soon))
    assert begun.open_mend is not None
    done = differences.mended(begun, begun.open_mend, now=READ_AT).state
    assert (done.open_mend, done.due_at) == (None, READ_AT)
    again = retold(done, now=READ_AT, limits=AttemptLimits(3, attempt_seconds=1))
    assert ([type(each).__name__ for each in again.events], again.state.retells) == (["PaymentCompleted"], 1)


def test_books_that_were_read_before_a_mend_was_done_begin_no_other() -> None:
    refunded = payment(status=Status.REFUNDED)
    found = lost(refunded)
    begun = mend(refunded, found)
    assert begun.open_mend is not None
    done = differences.mended(begun, begun.open_mend, now=READ_AT + timedelta(hours=1)).state
    stale = replace(lost(refunded), id="found by another, late")
    assert mend(done, stale, now=READ_AT + timedelta(hours=2)) is done


def test_a_mend_that_is_lost_too_is_another_difference() -> None:
    begun = mend(payment(status=Status.REFUNDED), lost(payment(status=Status.REFUNDED)))
    assert begun.open_mend is not None
    done = differences.mended(begun, begun.open_mend, now=READ_AT).state
    again = found_in(booked(), done, by="later", read_at=READ_AT + DAY, tolerance=MINUTES)
    assert again is not None
    assert again.id != begun.open_mend.difference_id
    second = differences.begin_mend(done, again, now=READ_AT + DAY, tolerance=MINUTES).state.open_mend
    assert second is not None
    assert second.refund_key != begun.open_mend.refund_key


def test_each_of_two_wrong_charges_of_a_payment_is_mended_at_once() -> None:
    paid_in_the_third_round = payment(round=3)
    first, second = (
        found_in(booked(key), paid_in_the_third_round, by="run", read_at=READ_AT, tolerance=MINUTES)
        for key in ("payment-1.1", "payment-1.2")
    )
    assert first is not None
    assert second is not None
    begun = mend(paid_in_the_third_round, first)
    assert found_in(booked("payment-1.2"), begun, by="run", read_at=READ_AT, tolerance=MINUTES) == second
    both = mend(begun, second)
    assert [each.key for each in both.mends] == ["payment-1.1", "payment-1.2"]
    assert len({each.refund_key for each in both.mends}) == 2


def test_only_what_is_shown_is_settled_and_only_as_it_can_be() -> None:
    unknown = found_in(booked(), None, by="run", read_at=READ_AT, tolerance=MINUTES)
    assert unknown is not None
    settling = differences.begin_settling(unknown, Settlement.GIVE_BACK, "", now=NOON).state
    assert settling.state is State.SETTLING
    with pytest.raises(NotToSettle):
        differences.begin_settling(settling, Settlement.LEAVE, "", now=NOON)
    with pytest.raises(NotToSettle):
        differences.begin_settling(lost(payment(status=Status.REFUNDED)), Settlement.LEAVE, "", now=NOON)
    absent = no_money(payment(), by="run", read_at=READ_AT, tolerance=MINUTES)
    assert absent is not None
    with pytest.raises(NotToSettle):
        differences.begin_settling(absent, Settlement.GIVE_BACK, "", now=NOON)
    left = differences.begin_settling(absent, Settlement.LEAVE, "the bank paid it out", now=NOON)
    assert (left.state.state, [type(each).__name__ for each in left.events]) == (State.SETTLED, ["DifferenceSettled"])


# -- the service


class Books:
    """A provider with the books that the test writes; pages of two."""

    methods = ("card-ok",)

    def __init__(self) -> None:
        self.rows: dict[str, Booked] = {}
        self.refunds: dict[str, int] = {}
        self.asked: list[str] = []
        self.away = 0

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise GatewayTrouble("away")

    async def charge(self, charge: Charge, method: str) -> ChargeResult:
        return TAKEN

    async def refund(self, charge: Charge) -> None: ...

    async def void(self, charge: Charge) -> bool:
        return False

    async def refund_part(self, charge: Charge, refund_key: str, amount: Money) -> None:
        self.asked.append(refund_key)
        if refund_key not in self.refunds:
            row = self.rows[charge.key]
            if row.kept < amount.amount:
                raise GatewayTrouble("less is left than is to be given back")
            self.refunds[refund_key] = amount.amount
            self.rows[charge.key] = replace(row, returned=row.returned + amount.amount)
        self._answer()

    async def listed(self, *, since: datetime, until: datetime, after: str | None, limit: int) -> BookedPage:
        self._answer()
        rows = [each for key, each in sorted(self.rows.items()) if since <= each.at < until and key > (after or "")]
        return BookedPage(rows[:2], rows[1].key if len(rows) > 2 else None, others=1)

    async def booked(self, charges: Sequence[Charge]) -> Mapping[str, Booked]:
        self._answer()
        return {each.key: self.rows[each.key] for each in charges if each.key in self.rows}

    async def action(self, charge: Charge) -> BuyerAction | None:
        return None

    def heard(self, body: bytes, signature: str | None) -> str | None:
        return None


class NobodySells:
    async def outlook(self, _: object) -> SaleOutlook:
        return SaleOutlook(Outlook.SOLD)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "cludale.db", KINDS, Codec(CATALOGUE))
    await store.start()
    yield store
    await store.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(READ_AT)


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
async def payments(store: SqliteStore, clock: ManualClock, books: Books) -> AsyncIterator[Payments]:
    payments = Payments(
        store,
        clock=clock,
        ids=CountingIds(),
        gateway=books,
        sales=NobodySells(),
        limits=AttemptLimits(3, attempt_seconds=1),
        backoff=Backoff(0.01, 0.02),
        hold_seconds=600,
        reconciliations=ReconciliationTimes(every_seconds=86_400, window_seconds=7 * 86_400),
    )
    yield payments
    await payments.stop()


async def stored(store: SqliteStore, *payments: Payment) -> None:
    updates = Updates("payments", store, clock=ManualClock(), ids=CountingIds())
    await updates.update([Change(PAYMENTS, each.id, _as_it_is(each), Cause()) for each in payments])


def _as_it_is(payment: Payment) -> Callable[[object, datetime], Decision[Payment]]:
    return lambda _, __: Decision(payment)


async def done(payments: Payments, clock: ManualClock, run: Reconciliation) -> Reconciliation:
    """It, once it has come to its end and nothing is due any more."""
    for _ in range(200):
        await payments.sweep()
        await until(lambda: not payments.due.busy and not payments.reconciling.due.busy)
        now = await payments.reconciling.run(run.id)
        assert now is not None
        if now.finished_at is not None and not await payments.sweep():
            return now
        clock.advance(1)
        await asyncio.sleep(0)
    raise AssertionError(f"not done: {now}")


async def test_a_reconciliation_mends_what_it_can_shows_the_rest_and_finds_nothing_the_second_time(
    payments: Payments, store: SqliteStore, clock: ManualClock, books: Books
) -> None:
    await stored(
        store,
        payment(1),
        payment(2, Status.REFUNDED),
        payment(3, Status.FAILED),
        payment(4),
        payment(5),
        payment(6),
    )
    for number, taken, returned, times in ((1, 9000, 0, 1), (2, 9000, 0, 1), (3, 9000, 0, 1), (4, 18000, 0, 2)):
        key = f"payment-{number}.1"
        books.rows[key] = booked(key, taken=taken, returned=returned, times=times)
    books.rows["payment-5.1"] = booked("payment-5.1", returned=100)
    books.rows["payment-9.1"] = booked("payment-9.1")  # and 6 is lacking
    run = await done(payments, clock, await payments.reconciling.begin(since=None, until=None))
    assert (run.compared, run.payments) == (6, 6)
    assert run.found == {
        "refund-lost": 1,
        "money-without-order": 1,
        "charged-twice": 1,
        "refunded-too-much": 1,
        "money-without-payment": 1,
        "order-without-money": 1,
    }
    assert books.refunds == {f"payment-{number}.1.mend.1": 9000 for number in (2, 3, 4)}
    found, _ = await payments.reconciling.differences(
        differences_listed(state=None, found_by=run.id, after=None, limit=50)
    )
    assert {(each.kind.value, is_mended) for each, is_mended in found} == {
        ("refund-lost", True),
        ("money-without-order", True),
        ("charged-twice", True),
        ("refunded-too-much", False),
        ("money-without-payment", False),
        ("order-without-money", False),
    }
    told = [event.type for event in await published(store)]
    assert (told.count("PaymentDiffers"), told.count("PaymentMended")) == (6, 3)

    clock.advance(3_600)
    again = await done(payments, clock, await payments.reconciling.begin(since=None, until=None))
    assert set(again.found) == {"refunded-too-much", "money-without-payment", "order-without-money"}
    assert len(await published(store)) == len(told)  # what stands is not told twice
    assert len(books.refunds) == 3


async def test_a_mend_without_an_answer_is_asked_for_again_by_its_key(
    payments: Payments, store: SqliteStore, clock: ManualClock, books: Books
) -> None:
    await stored(store, payment(2, Status.REFUNDED))
    books.rows["payment-2.1"] = booked("payment-2.1")
    run = await payments.reconciling.begin(since=None, until=None)
    await until(lambda: bool(books.asked) or not books.away)
    books.away = 2
    await done(payments, clock, run)
    assert set(books.asked) == {"payment-2.1.mend.1"}
    assert books.refunds == {"payment-2.1.mend.1": 9000}


async def test_what_a_whole_refund_took_back_before_its_mend_came_to_it_is_mended(
    payments: Payments, store: SqliteStore, clock: ManualClock, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(store, payment(4))
    books.rows["payment-4.1"] = booked("payment-4.1", taken=18000, times=2)
    refund_part = Books.refund_part

    async def overtaken(self: Books, charge: Charge, refund_key: str, amount: Money) -> None:
        self.rows[charge.key] = replace(self.rows[charge.key], returned=18000)
        await refund_part(self, charge, refund_key, amount)

    monkeypatch.setattr(Books, "refund_part", overtaken)
    await done(payments, clock, await payments.reconciling.begin(since=None, until=None))
    assert books.refunds == {}
    assert [event.type for event in await published(store)].count("PaymentMended") == 1


async def test_a_provider_that_is_away_holds_it_up_and_is_said(
    payments: Payments, store: SqliteStore, clock: ManualClock, books: Books
) -> None:
    for number in range(5):
        books.rows[f"payment-{number}.1"] = booked(f"payment-{number}.1", returned=9000)
    books.away = 2
    run = await payments.reconciling.begin(since=None, until=None)
    await until(lambda: books.away < 2 and not payments.reconciling.due.busy)
    waiting = await payments.reconciling.run(run.id)
    assert waiting is not None
    assert (waiting.finished_at, waiting.trouble) == (None, "away")
    assert (await done(payments, clock, run)).compared == 5


async def test_a_person_gives_back_what_nobody_here_knows_once(
    payments: Payments, clock: ManualClock, books: Books
) -> None:
    books.rows["payment-9.1"] = booked("payment-9.1")
    await done(payments, clock, await payments.reconciling.begin(since=None, until=None))
    wanted = differences_listed(state=State.OPEN, found_by=None, after=None, limit=50)
    (((found, _),), _) = await payments.reconciling.differences(wanted)
    books.away = 1
    with pytest.raises(Busy):
        await payments.reconciling.settle(found.id, Settlement.GIVE_BACK, "a test of the bank's", Cause())
    for _ in range(2):
        settled = await payments.reconciling.settle(found.id, Settlement.GIVE_BACK, "", Cause())
    assert (settled.state, settled.note) == (State.SETTLED, "a test of the bank's")
    assert books.refunds == {f"payment-9.1.{found.id}": 9000}


async def test_one_begins_by_itself_once_for_all_processes(
    payments: Payments, store: SqliteStore, clock: ManualClock
) -> None:
    await payments.sweep()
    clock.advance(61)
    await payments.sweep()
    clock.advance(61)
    await payments.sweep()
    runs, _ = await payments.reconciling.runs(differences_listed(state=None, found_by=None, after=None, limit=50))
    assert [each.on_schedule for each in runs] == [True]
    clock.advance(86_400)
    await payments.sweep()
    runs, _ = await payments.reconciling.runs(differences_listed(state=None, found_by=None, after=None, limit=50))
    assert len(runs) == 2
