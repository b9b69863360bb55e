"""Payments at work over the real store and the simulated provider: whatever happens, the money moves once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.events import delivered, published, told
from tests.fakes import NOON, CountingIds, ManualClock
from tests.patience import until
from tests.product.runtime.ledgers import Meddled
from tests.seats import allocation

from cludale.adapters.simulated_payments import LedgerRow, SimulatedProvider, read_ledger
from cludale.adapters.sqlite import SqliteStore
from cludale.adapters.system.clock import SystemClock
from cludale.kernel.allocation import Allocation, OrderSeats
from cludale.kernel.backoff import Backoff
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy, NotFound
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.clock import Clock
from cludale.ports.payment_gateway import (
    TAKEN,
    Booked,
    BookedPage,
    BuyerAction,
    Charge,
    ChargeResult,
    Declined,
    GatewayTrouble,
    PaymentGateway,
)
from cludale.ports.records import Query, Records
from cludale.ports.sales import Outlook, SaleOutlook, Sales, SalesUnreachable, SeatsGone
from cludale.runtime.due import CallLater
from cludale.services.concerts.events import SaleRefused
from cludale.services.orders.events import CancelReason, OrderCancelled, TicketReserved
from cludale.services.payments import service
from cludale.services.payments.due import STUCK_TRIES
from cludale.services.payments.events import FailureReason, PaymentFailed
from cludale.services.payments.payment import AttemptLimits, AttemptOutcome, Payment, PaymentClosed, Status
from cludale.services.payments.reconciling import ReconciliationTimes
from cludale.services.payments.service import Payments

TOTAL = Money(9000, "EUR")
SUCCESS, RETRY = Acknowledgement.SUCCESS, Acknowledgement.RETRY
REQUEST = Cause()
ATTEMPTS = 3
HOLD_SECONDS = 600.0
LEASE_SECONDS = 2.2


class Script:
    """A provider that does what the test says, by the kind of call; without a word, it works."""

    methods = ("card-ok",)

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.plays: dict[str, list[Callable[[], Awaitable[object]]]] = {"charge": [], "refund": [], "void": []}

    async def _play(self, kind: str, key: str) -> object:
        self.asked.append((kind, key))
        plays = self.plays[kind]
        return await plays.pop(0)() if plays else None

    async def charge(self, charge: Charge, method: str) -> ChargeResult:
        said = await self._play("charge", charge.key)
        return said if isinstance(said, ChargeResult) else TAKEN

    async def refund(self, charge: Charge) -> None:
        await self._play("refund", charge.key)

    async def refund_part(self, charge: Charge, refund_key: str, amount: Money) -> None:
        await self._play("refund", f"{refund_key}={amount.amount}")

    async def void(self, charge: Charge) -> bool:
        return await self._play("void", charge.key) is True

    async def listed(self, *, since: datetime, until: datetime, after: str | None, limit: int) -> BookedPage:
        return BookedPage([], None)

    async def booked(self, charges: Sequence[Charge]) -> Mapping[str, Booked]:
        return {}

    async def action(self, charge: Charge) -> BuyerAction | None:
        return BuyerAction("script", f"secret of {charge.reference}")

    def heard(self, body: bytes, signature: str | None) -> str | None:
        return body.decode() if signature == "signed" else None


async def works() -> object:
    return True


async def fails() -> object:
    raise GatewayTrouble("internal error")


async def declines() -> object:
    raise Declined("no funds")


async def breaks() -> object:
    raise ZeroDivisionError("a bug")


async def hangs() -> object:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "provider.db"


@pytest.fixture
async def provider(ledger: Path, clock: ManualClock) -> AsyncIterator[SimulatedProvider]:
    opened = SimulatedProvider(ledger, clock=clock, slow_seconds=2, lost_reply_seconds=0.01)
    yield opened
    await opened.close()


@pytest.fixture
def script() -> Script:
    return Script()


class Concerts:
    """Says what the test says of the seats for late money; with `refuses`, the sale is refused after the charge."""

    def __init__(self, *outlooks: Outlook) -> None:
        self.outlooks = list(outlooks)
        self.asked: list[Allocation] = []
        self.away = False
        self.refuses = False
        self.refuse: Callable[[], Awaitable[object]] | None = None

    async def outlook(self, allocation: Allocation) -> SaleOutlook:
        self.asked.append(allocation)
        if self.away:
            raise SalesUnreachable("no answer in time")
        if self.refuse is not None and len(self.asked) > 1:
            await self.refuse()
        return SaleOutlook(self.outlooks.pop(0) if len(self.outlooks) > 1 else self.outlooks[0])


def new_payments(
    records: Records,
    clock: Clock,
    ids: CountingIds,
    gateway: PaymentGateway,
    sales: Sales | None = None,
    call_later: CallLater | None = None,
    attempt_seconds: float = 0.2,
    backoff: Backoff = Backoff(1, 8),
) -> Payments:
    return Payments(
        records,
        clock=clock,
        ids=ids,
        gateway=gateway,
        sales=sales or Concerts(Outlook.POSSIBLE, Outlook.SOLD),
        limits=AttemptLimits(ATTEMPTS, attempt_seconds),
        backoff=backoff,
        hold_seconds=HOLD_SECONDS,
        reconciliations=ReconciliationTimes(),
        call_later=call_later,
    )


class Never:
    """A wait that doesn't end."""

    def cancel(self) -> None: ...


def never(_: float, __: Callable[[], None]) -> Never:
    """No look of its own at what is due: the sweep alone takes it up."""
    return Never()


Build = Callable[[PaymentGateway], Payments]
ChargeLate = Callable[[Concerts], Awaitable[Payment]]


@pytest.fixture
async def build(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> AsyncIterator[Build]:
    built: list[Payments] = []

    def made(gateway: PaymentGateway) -> Payments:
        built.append(new_payments(store, clock, ids, gateway, call_later=never))
        return built[-1]

    yield made
    for payments in built:
        await payments.due.stop()


@pytest.fixture
def payments(build: Build, provider: SimulatedProvider) -> Payments:
    """Over the simulated provider."""
    return build(provider)


@pytest.fixture
def scripted(build: Build, script: Script) -> Payments:
    return build(script)


def reserved(order: str = "1", method: str = "card-ok", *, hold_seconds: float = HOLD_SECONDS) -> Delivery:
    ticket = TicketReserved(
        order_id=f"order-{order}",
        allocation=allocation(f"reservation-{order}", 2),
        user_id="user-1",
        total=TOTAL,
        payment_method=method,
        expires_at=NOON + timedelta(seconds=hold_seconds),
    )
    return delivered(ticket, f"reserved-{order}")


def cancelled(order: str = "1", reason: CancelReason = CancelReason.BUYER) -> Delivery:
    off = OrderCancelled(
        order_id=f"order-{order}",
        seats=OrderSeats(concert_id="concert-1", quantity=2, section="stalls", reservation_id=f"reservation-{order}"),
        total=TOTAL,
        reason=reason,
        was_paid=False,
        reachable=False,
    )
    return delivered(off, f"cancelled-{order}")


def unsold(order: str = "1") -> Delivery:
    refused = SaleRefused(
        allocation=allocation(f"reservation-{order}", 2),
        order_id=f"order-{order}",
        payment_round=1,
    )
    return delivered(refused, f"unsold-{order}")


async def payment_of(payments: Payments, order: str = "1") -> Payment:
    ((payment,), _) = await payments.find(Query(equal={"orderId": f"order-{order}"}))
    return payment


async def settles(payments: Payments, status: Status, order: str = "1") -> Payment:
    """The payment, once the work under way has brought it there and is done."""
    payment = await reaches(payments, status, order)
    await idle(payments)
    return payment


async def reaches(payments: Payments, status: Status, order: str = "1") -> Payment:
    """The payment once it is there, though other work may still be under way."""
    async with asyncio.timeout(5):
        while (payment := await payment_of(payments, order)).status is not status:  # noqa: ASYNC110 - as in until()
            await asyncio.sleep(0.002)
    return payment


async def idle(payments: Payments) -> None:
    await until(lambda: not payments.due.busy)


def rows(ledger: Path) -> dict[str, LedgerRow]:
    return {row.key: row for row in read_ledger(ledger)}


class TestCharging:
    async def test_a_reserved_order_is_charged(self, payments: Payments, store: SqliteStore, ledger: Path) -> None:
        assert await payments.handle([reserved()]) == [SUCCESS]
        payment = await settles(payments, Status.COMPLETED)
        assert payment.amount == TOTAL
        assert [each.outcome for each in payment.attempts] == [AttemptOutcome.CHARGED]
        (completed,) = await published(store)
        assert (completed.type, completed.causationid) == ("PaymentCompleted", "reserved-1")
        assert rows(ledger)["payment-1.1"].captured == 9000

    async def test_a_redelivered_reservation_is_charged_once(
        self, payments: Payments, store: SqliteStore, ledger: Path
    ) -> None:
        for _ in range(2):
            assert await payments.handle([reserved(), reserved()]) == [SUCCESS, SUCCESS]
        await settles(payments, Status.COMPLETED)
        assert await payments.handle([reserved()]) == [SUCCESS]
        await idle(payments)
        assert await told(store) == ["PaymentCompleted"]
        assert rows(ledger)["payment-1.1"].asked == 1

    async def test_a_batch_is_charged_together(self, payments: Payments, store: SqliteStore) -> None:
        batch = [reserved(f"{i}") for i in range(50)]
        assert await payments.handle(batch) == [SUCCESS] * 50
        await idle(payments)
        assert await told(store) == ["PaymentCompleted"] * 50

    async def test_a_decline_is_told_with_its_reason(self, payments: Payments, store: SqliteStore) -> None:
        await payments.handle([reserved(method="card-declined")])
        payment = await settles(payments, Status.FAILED)
        assert payment.attempts[0].detail == "the card was declined"
        (failed,) = await published(store)
        assert isinstance(failed.data, PaymentFailed)
        assert failed.data.reason is FailureReason.DECLINED

    async def test_a_flaky_charge_is_tried_again_until_it_works(
        self, payments: Payments, store: SqliteStore, clock: ManualClock, ledger: Path
    ) -> None:
        await payments.handle([reserved(method="card-flaky")])
        for _ in range(2):
            await idle(payments)
            assert await payments.due.sweep() == 0
            clock.advance(3)
            assert await payments.due.sweep() == 1
        payment = await settles(payments, Status.COMPLETED)
        outcomes = [each.outcome for each in payment.attempts]
        assert outcomes == [AttemptOutcome.UNKNOWN, AttemptOutcome.UNKNOWN, AttemptOutcome.CHARGED]
        assert await told(store) == ["PaymentCompleted"]
        assert rows(ledger)["payment-1.1"].charges == 1

    async def test_each_retry_comes_in_its_time_and_waits_for_no_regular_sweep(
        self, store: SqliteStore, ids: CountingIds, script: Script
    ) -> None:
        """The second is put off while the first one's retry is waited for, and the third until before that."""
        waits = iter((0.4, 0.7, 0.1))

        class Scripted(Backoff):
            def seconds(self, attempt: int, jitter: float = 0.0) -> float:
                return next(waits)

        payments = new_payments(store, SystemClock(), ids, script, backoff=Scripted(1, 8))
        script.plays["charge"] = [fails, fails, fails]
        for order in ("1", "2", "3"):
            await payments.handle([reserved(order, hold_seconds=1e9)])
            await idle(payments)
        for order in ("3", "1", "2"):
            await reaches(payments, Status.COMPLETED, order)
        assert len(script.asked) == 6
        await payments.due.stop()

    async def test_money_that_moved_without_an_answer_is_found_again_and_taken_once(
        self, payments: Payments, clock: ManualClock, ledger: Path
    ) -> None:
        await payments.handle([reserved(method="card-timeout-after-charge")])
        await idle(payments)
        assert rows(ledger)["payment-1.1"].captured == 9000
        assert (await payment_of(payments)).status is Status.PENDING
        clock.advance(3)
        assert await payments.due.sweep() == 1
        await settles(payments, Status.COMPLETED)
        assert rows(ledger)["payment-1.1"].charges == 1

    async def test_a_provider_that_hangs_is_given_up_on_in_time(
        self, scripted: Payments, script: Script, clock: ManualClock
    ) -> None:
        script.plays["charge"] = [hangs, works]
        await scripted.handle([reserved()])
        async with asyncio.timeout(2):
            await idle(scripted)
        assert (await payment_of(scripted)).attempts[0].detail == "no answer in time"
        clock.advance(3)
        await scripted.due.sweep()
        await settles(scripted, Status.COMPLETED)
        assert script.asked == [("charge", "payment-1.1")] * 2

    async def test_after_the_last_attempt_the_money_is_given_back_and_the_order_told(
        self, script: Script, store: SqliteStore, clock: ManualClock, ids: CountingIds
    ) -> None:
        scripted = new_payments(store, clock, ids, script, call_later=never, attempt_seconds=5)
        script.plays["charge"] = [fails for _ in range(ATTEMPTS)]
        script.plays["void"] = [works]
        await scripted.handle([reserved()])
        for _ in range(ATTEMPTS - 1):
            await idle(scripted)
            clock.advance(10)
            await scripted.due.sweep()
        await settles(scripted, Status.FAILED)
        assert [kind for kind, _ in script.asked] == ["charge"] * ATTEMPTS + ["void"]
        (failed,) = await published(store)
        assert isinstance(failed.data, PaymentFailed)
        assert (failed.data.reason, failed.data.returned) == (FailureReason.GAVE_UP, True)

    async def test_a_broken_answer_stops_none_of_those_beside_it(
        self, scripted: Payments, script: Script, store: SqliteStore, clock: ManualClock
    ) -> None:
        async def later() -> object:
            await asyncio.sleep(0.05)
            return None

        script.plays["charge"] = [breaks, later, later]
        await scripted.handle([reserved("1"), reserved("2"), reserved("3")])
        await idle(scripted)
        assert await told(store) == ["PaymentCompleted"] * 2
        assert await scripted.due.sweep() == 0
        clock.advance(LEASE_SECONDS + 0.1)
        assert await scripted.due.sweep() == 1
        await settles(scripted, Status.COMPLETED, "1")


class TestTheEndOfTheHold:
    async def test_a_charge_that_comes_through_after_it_counts(self, payments: Payments, store: SqliteStore) -> None:
        """Whether there are seats for it is the concert's to say."""
        await payments.handle([reserved(method="card-slow", hold_seconds=1)])
        await settles(payments, Status.COMPLETED)
        assert await told(store) == ["PaymentCompleted"]

    async def test_no_attempt_begins_after_it_and_what_was_taken_goes_back(
        self, payments: Payments, store: SqliteStore, clock: ManualClock, ledger: Path
    ) -> None:
        await payments.handle([reserved(method="card-timeout-after-charge", hold_seconds=1)])
        await idle(payments)
        clock.advance(3)
        assert await payments.due.sweep() == 1
        await settles(payments, Status.FAILED)
        (failed,) = await published(store)
        assert isinstance(failed.data, PaymentFailed)
        assert (failed.data.reason, failed.data.returned) == (FailureReason.EXPIRED, True)
        row = rows(ledger)["payment-1.1"]
        assert (row.captured, row.refunded, row.voided) == (9000, 9000, True)

    async def test_what_a_crash_cut_off_is_taken_up_after_its_lease(
        self, build: Build, provider: SimulatedProvider, script: Script, store: SqliteStore, clock: ManualClock
    ) -> None:
        script.plays["charge"] = [hangs]
        crashed = build(script)
        await crashed.handle([reserved()])
        await crashed.due.stop()
        payments = build(provider)
        assert await payments.due.sweep() == 0
        clock.advance(LEASE_SECONDS + 0.1)
        assert await payments.due.sweep() == 1
        await settles(payments, Status.COMPLETED)
        assert await told(store) == ["PaymentCompleted"]

    async def test_what_got_its_end_while_it_was_being_taken_up_is_left_alone(
        self, store: SqliteStore, clock: ManualClock, ids: CountingIds, build: Build, script: Script
    ) -> None:
        script.plays["charge"] = [fails]
        other = build(script)
        await other.handle([reserved()])
        await idle(other)
        clock.advance(3)

        async def the_other_is_faster() -> None:
            await other.due.sweep()
            await settles(other, Status.COMPLETED)

        records = Meddled(store)
        records.meddle = the_other_is_faster
        late = Script()
        payments = new_payments(records, clock, ids, late)
        assert await payments.due.sweep() == 0
        await idle(payments)
        assert late.asked == []

    async def test_two_who_take_it_up_at_once_charge_once(
        self,
        build: Build,
        provider: SimulatedProvider,
        script: Script,
        store: SqliteStore,
        clock: ManualClock,
        ledger: Path,
    ) -> None:
        script.plays["charge"] = [hangs]
        crashed = build(script)
        await crashed.handle([reserved()])
        await crashed.due.stop()
        clock.advance(LEASE_SECONDS + 0.1)
        one, other = build(provider), build(provider)
        await asyncio.gather(one.due.sweep(), other.due.sweep())
        await idle(one)
        await idle(other)
        assert await told(store) == ["PaymentCompleted"]
        assert rows(ledger)["payment-1.1"].charges == 1


class TestGivingBack:
    async def test_a_redelivered_cancellation_gives_the_money_back_once(
        self, scripted: Payments, script: Script, store: SqliteStore
    ) -> None:
        await scripted.handle([reserved()])
        await settles(scripted, Status.COMPLETED)
        for _ in range(2):
            assert await scripted.handle([cancelled(), cancelled()]) == [SUCCESS, SUCCESS]
        await settles(scripted, Status.REFUNDED)
        assert await scripted.handle([cancelled()]) == [SUCCESS]
        await idle(scripted)
        assert [kind for kind, _ in script.asked] == ["charge", "refund"]
        back = (await published(store))[-1]
        assert (back.type, back.causationid) == ("PaymentRefunded", "cancelled-1")
        assert await told(store) == ["PaymentCompleted", "PaymentRefunded"]

    async def test_money_that_found_no_seats_goes_back_once(
        self, payments: Payments, store: SqliteStore, ledger: Path
    ) -> None:
        assert await payments.handle([unsold()]) == [RETRY]
        await payments.handle([reserved()])
        await settles(payments, Status.COMPLETED)
        for _ in range(2):
            assert await payments.handle([unsold()]) == [SUCCESS]
        await settles(payments, Status.REFUNDED)
        assert await told(store) == ["PaymentCompleted", "PaymentRefunded"]
        row = rows(ledger)["payment-1.1"]
        assert (row.captured, row.refunded) == (9000, 9000)

    async def test_money_that_is_owed_is_never_given_up_on(
        self, script: Script, store: SqliteStore, clock: ManualClock, ids: CountingIds
    ) -> None:
        scripted = new_payments(store, clock, ids, script, call_later=never)
        script.plays["refund"] = [*[fails] * 10, hangs]
        await scripted.handle([reserved()])
        await settles(scripted, Status.COMPLETED)
        await scripted.handle([cancelled()])
        for _ in range(11):
            await idle(scripted)
            clock.advance(20)
            assert await scripted.due.sweep() == 1
        await settles(scripted, Status.REFUNDED)
        assert [kind for kind, _ in script.asked].count("refund") == 12
        assert await told(store) == ["PaymentCompleted", "PaymentRefunded"]

    async def test_money_that_does_not_go_back_for_many_tries_is_counted_as_stuck(
        self, script: Script, store: SqliteStore, clock: ManualClock, ids: CountingIds
    ) -> None:
        scripted = new_payments(store, clock, ids, script, call_later=never)
        script.plays["refund"] = [fails] * STUCK_TRIES
        await scripted.handle([reserved()])
        await settles(scripted, Status.COMPLETED)
        await scripted.handle([cancelled()])
        counted = []
        for _ in range(STUCK_TRIES + 1):
            await idle(scripted)
            counted.append(scripted.gauges()["cludale_payments_stuck_total"])
            clock.advance(20)
            await scripted.due.sweep()
        await settles(scripted, Status.REFUNDED)
        assert counted.index(1) >= STUCK_TRIES - 2, "the charge was a try as well"
        assert counted[-1] > 0

    async def test_an_order_that_is_cancelled_while_it_is_being_charged_keeps_no_money(
        self, payments: Payments, script: Script, build: Build, store: SqliteStore
    ) -> None:
        gate = asyncio.Event()

        async def when_let() -> object:
            await gate.wait()
            return None

        script.plays["charge"] = [when_let]
        script.plays["void"] = [works]
        scripted = build(script)
        await scripted.handle([reserved()])
        await until(lambda: script.asked == [("charge", "payment-1.1")])
        await scripted.handle([cancelled()])
        failed = await reaches(scripted, Status.FAILED)
        gate.set()
        await idle(scripted)
        assert (await payment_of(scripted)).status is Status.FAILED
        assert failed.closed
        (event,) = await published(store)
        assert isinstance(event.data, PaymentFailed)
        assert (event.data.reason, event.data.returned) == (FailureReason.CANCELLED, True)
        with pytest.raises(PaymentClosed):
            await scripted.charge_now("order-1", method=None, cause=REQUEST)

    async def test_an_order_that_is_cancelled_before_it_could_be_charged_never_is(
        self, scripted: Payments, script: Script, store: SqliteStore
    ) -> None:
        assert await scripted.handle([cancelled(), reserved()]) == [SUCCESS, SUCCESS]
        await idle(scripted)
        assert script.asked == []
        assert await told(store) == []

    async def test_an_order_that_failed_by_itself_takes_no_money_back(
        self, payments: Payments, store: SqliteStore
    ) -> None:
        await payments.handle([reserved()])
        await settles(payments, Status.COMPLETED)
        assert await payments.handle([cancelled(reason=CancelReason.EXPIRED)]) == [SUCCESS]
        await idle(payments)
        assert await told(store) == ["PaymentCompleted"]


class TestChargingNow:
    async def test_a_declined_order_can_be_charged_with_another_card(
        self, payments: Payments, store: SqliteStore, ledger: Path
    ) -> None:
        await payments.handle([reserved(method="card-declined")])
        await settles(payments, Status.FAILED)
        payment = await payments.charge_now("order-1", method="card-ok", cause=REQUEST)
        assert (payment.status, payment.round, payment.method) == (Status.COMPLETED, 2, "card-ok")
        assert await told(store) == ["PaymentFailed", "PaymentCompleted"]
        assert sum(row.captured for row in rows(ledger).values()) == 9000

    async def test_what_is_paid_is_not_charged_again(
        self, payments: Payments, store: SqliteStore, ledger: Path
    ) -> None:
        await payments.handle([reserved()])
        first = await settles(payments, Status.COMPLETED)
        for _ in range(3):
            assert await payments.charge_now("order-1", method="card-ok", cause=REQUEST) == first
        assert list(rows(ledger)) == ["payment-1.1"]
        assert await told(store) == ["PaymentCompleted"]

    async def test_ten_clerks_at_once_charge_once(self, payments: Payments, store: SqliteStore, ledger: Path) -> None:
        await payments.handle([reserved(method="card-declined")])
        await settles(payments, Status.FAILED)
        charged = await asyncio.gather(
            *(payments.charge_now("order-1", method="card-ok", cause=REQUEST) for _ in range(10))
        )
        assert {payment.round for payment in charged} == {2}
        assert (await told(store)).count("PaymentCompleted") == 1
        assert sum(row.captured for row in rows(ledger).values()) == 9000

    async def test_a_late_answer_to_an_earlier_round_says_nothing_of_the_new_one(
        self, scripted: Payments, script: Script, store: SqliteStore, clock: ManualClock
    ) -> None:
        """The first charge answers only once the hold has ended, the round was voided and a new one begun."""
        gate = asyncio.Event()

        async def declines_late() -> object:
            await gate.wait()
            return await declines()

        async def slowly() -> object:
            gate.set()
            await asyncio.sleep(0.05)
            return None

        script.plays["charge"] = [declines_late, slowly]
        await scripted.handle([reserved(hold_seconds=1)])
        await until(lambda: len(script.asked) == 1)
        clock.advance(2)
        assert (await scripted.charge_now("order-1", method=None, cause=REQUEST)).closing is FailureReason.EXPIRED
        await reaches(scripted, Status.FAILED)
        payment = await scripted.charge_now("order-1", method=None, cause=REQUEST)
        assert (payment.status, payment.round) == (Status.COMPLETED, 2)
        await idle(scripted)
        assert await told(store) == ["PaymentFailed", "PaymentCompleted"]


class TestChargingAfterTheHold:
    """What was declined is charged anew once its seats are held no more."""

    @pytest.fixture
    async def charge(
        self, store: SqliteStore, clock: ManualClock, ids: CountingIds, script: Script
    ) -> AsyncIterator[ChargeLate]:
        built: list[Payments] = []

        async def charge(concerts: Concerts) -> Payment:
            payments = new_payments(store, clock, ids, script, concerts)
            built.append(payments)
            script.plays["charge"] = [declines]
            await payments.handle([reserved(hold_seconds=1)])
            await settles(payments, Status.FAILED)
            clock.advance(2)
            if concerts.refuses:
                concerts.refuse = lambda: payments.handle([unsold()])
            return await payments.charge_now("order-1", method=None, cause=REQUEST)

        yield charge
        for payments in built:
            await payments.due.stop()

    async def test_where_there_are_seats_it_is_charged_and_told_once_they_are_sold(self, charge: ChargeLate) -> None:
        concerts = Concerts(Outlook.POSSIBLE, Outlook.POSSIBLE, Outlook.SOLD)
        assert (await charge(concerts)).status is Status.COMPLETED
        assert concerts.asked == [allocation()] * 3

    @pytest.mark.parametrize(("outlook", "refusal"), [(Outlook.GONE, SeatsGone), (Outlook.CANCELLED, PaymentClosed)])
    async def test_where_there_are_none_nothing_is_charged_and_nothing_stored(
        self, charge: ChargeLate, script: Script, store: SqliteStore, outlook: Outlook, refusal: type[Exception]
    ) -> None:
        with pytest.raises(refusal):
            await charge(Concerts(outlook))
        assert script.asked == [("charge", "payment-1.1")]
        assert await told(store) == ["PaymentFailed"]

    async def test_where_concerts_gives_no_answer_nothing_is_charged(self, charge: ChargeLate, script: Script) -> None:
        concerts = Concerts(Outlook.POSSIBLE)
        concerts.away = True
        with pytest.raises(Busy, match="Nothing was charged"):
            await charge(concerts)
        assert script.asked == [("charge", "payment-1.1")]

    async def test_where_others_are_faster_the_answer_is_that_the_money_is_back(
        self, charge: ChargeLate, script: Script
    ) -> None:
        concerts = Concerts(Outlook.POSSIBLE, Outlook.GONE)
        concerts.refuses = True
        assert (await charge(concerts)).status is Status.REFUNDED
        assert [kind for kind, _ in script.asked] == ["charge", "charge", "refund"]

    async def test_what_is_not_known_in_time_is_not_waited_for(
        self, charge: ChargeLate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service, "SALE_SECONDS", 0.1)
        payment = await charge(Concerts(Outlook.POSSIBLE))
        assert (payment.status, payment.refunding) == (Status.COMPLETED, False)

    async def test_while_the_hold_runs_nobody_is_asked(
        self, store: SqliteStore, clock: ManualClock, ids: CountingIds, script: Script
    ) -> None:
        concerts = Concerts(Outlook.GONE)
        payments = new_payments(store, clock, ids, script, concerts)
        script.plays["charge"] = [declines]
        await payments.handle([reserved()])
        await settles(payments, Status.FAILED)
        assert (await payments.charge_now("order-1", method=None, cause=REQUEST)).status is Status.COMPLETED
        assert concerts.asked == []
        await payments.due.stop()


class TestAnUnknownOrder:
    async def test_an_order_that_nobody_knows_is_named(self, payments: Payments) -> None:
        with pytest.raises(NotFound, match="'order-9'"):
            await payments.charge_now("order-9", method=None, cause=REQUEST)
