"""Orders against payments and concerts, over the real store: who is asked about, how often, and what comes of it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from tests.events import published
from tests.fakes import NOON, SEALS, CountingIds, ManualClock
from tests.product.services.orders.test_service import REQUEST, Seats, place, refunded, sold, swept, unpaid

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.allocation import Allocation
from cludale.kernel.backoff import Backoff
from cludale.ports.bus import Acknowledgement
from cludale.ports.charges import COMPARED_AT_ONCE, ChargeQuestion, ChargeStanding, ChargeState, ChargesUnreachable
from cludale.ports.sales import Outlook, SaleOutlook, SalesUnreachable
from cludale.services.orders import comparison as comparison_module
from cludale.services.orders.comparison import Comparison
from cludale.services.orders.due import PendingLimits
from cludale.services.orders.events import CancelReason
from cludale.services.orders.order import Order, Status
from cludale.services.orders.service import Orders

AFTER_SECONDS, EVERY_SECONDS = 60, 30


class Payments:
    """Payments, as far as orders asks it: says the same of all orders, or nothing."""

    def __init__(self) -> None:
        self.asked: list[Sequence[ChargeQuestion]] = []
        self.says: ChargeStanding | None = ChargeStanding("", ChargeState.OPEN, 1)

    async def compare(self, questions: Sequence[ChargeQuestion]) -> Mapping[str, ChargeStanding]:
        self.asked.append(questions)
        if self.says is None:
            raise ChargesUnreachable("no answer in time")
        return {each.order_id: self.says for each in questions}


class Concerts:
    """Concerts, as far as orders asks it."""

    def __init__(self) -> None:
        self.asked: list[Allocation] = []
        self.says: Outlook | None = Outlook.CANCELLED

    async def outlook(self, allocation: Allocation) -> SaleOutlook:
        self.asked.append(allocation)
        if self.says is None:
            raise SalesUnreachable("no answer in time")
        return SaleOutlook(self.says)


@pytest.fixture
def payments() -> Payments:
    return Payments()


@pytest.fixture
def concerts() -> Concerts:
    return Concerts()


@pytest.fixture
def comparison(
    store: SqliteStore, clock: ManualClock, ids: CountingIds, payments: Payments, concerts: Concerts
) -> Comparison:
    return Comparison(
        store,
        clock=clock,
        ids=ids,
        charges=payments,
        sales=concerts,
        every_seconds=EVERY_SECONDS,
        after_seconds=AFTER_SECONDS,
    )


@pytest.fixture
def orders(store: SqliteStore, clock: ManualClock, ids: CountingIds, comparison: Comparison) -> Orders:
    return Orders(
        store,
        clock=clock,
        ids=ids,
        seats=Seats(),
        pending=PendingLimits(Backoff(1, 8), 60),
        seals=SEALS,
        comparison=comparison,
    )


async def repeated(store: SqliteStore) -> list[str]:
    return [each.type for each in await published(store) if each.repeated]


async def cancelled(orders: Orders) -> Order:
    """A ticket that its buyer has cancelled."""
    order = await place(orders)
    assert await orders.handle([sold(order)]) == [Acknowledgement.SUCCESS]
    return await orders.cancel(order.id, CancelReason.BUYER, REQUEST)


class TestReservedOrders:
    async def test_none_is_asked_about_before_a_while_has_passed(
        self, orders: Orders, payments: Payments, clock: ManualClock
    ) -> None:
        order = await place(orders)
        clock.advance(AFTER_SECONDS - 1)
        assert await swept(orders) == 0
        clock.advance(EVERY_SECONDS)
        assert await swept(orders) == 1
        assert payments.asked == [[ChargeQuestion(order.id, 1, True, False, False)]]

    async def test_they_are_looked_for_every_so_often_and_asked_about_after_growing_waits(
        self, orders: Orders, payments: Payments, clock: ManualClock
    ) -> None:
        await place(orders)
        asked_at: list[int] = []
        for second in range(0, 1_000, 10):
            await swept(orders)
            if len(payments.asked) > len(asked_at):
                asked_at.append(second)
            clock.advance(10)
        assert asked_at == [60, 120, 240, 480, 960]

    async def test_a_payments_that_is_away_is_asked_again(
        self, orders: Orders, payments: Payments, clock: ManualClock, store: SqliteStore
    ) -> None:
        await place(orders)
        payments.says = None
        clock.advance(AFTER_SECONDS)
        await swept(orders)
        payments.says = ChargeStanding("", ChargeState.UNKNOWN)
        clock.advance(AFTER_SECONDS)
        await swept(orders)
        assert await repeated(store) == ["TicketReserved"]

    async def test_many_are_asked_about_in_one_call_and_as_many_calls_as_it_takes(
        self, orders: Orders, payments: Payments, clock: ManualClock
    ) -> None:
        for _ in range(COMPARED_AT_ONCE + 1):
            await place(orders)
        clock.advance(AFTER_SECONDS)
        assert await swept(orders) == COMPARED_AT_ONCE + 1
        assert [len(each) for each in payments.asked] == [COMPARED_AT_ONCE, 1]

    async def test_one_look_goes_through_so_many_pages_and_the_next_one_goes_on(
        self, orders: Orders, payments: Payments, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(comparison_module, "LOOK_PAGES", 1)
        for _ in range(COMPARED_AT_ONCE + 1):
            await place(orders)
        clock.advance(AFTER_SECONDS)
        await swept(orders)
        clock.advance(EVERY_SECONDS)
        await swept(orders)
        assert [len(each) for each in payments.asked] == [COMPARED_AT_ONCE, 1]

    async def test_one_that_waits_for_its_buyer_is_left_alone(
        self, orders: Orders, payments: Payments, clock: ManualClock
    ) -> None:
        order = await place(orders)
        await orders.handle([unpaid(order, retry_until=NOON + timedelta(seconds=600))])
        clock.advance(AFTER_SECONDS + 1)
        await swept(orders)
        assert payments.asked == []


class TestCancelledOrders:
    async def test_one_without_money_and_seats_is_looked_at_once(
        self, orders: Orders, payments: Payments, concerts: Concerts, clock: ManualClock, store: SqliteStore
    ) -> None:
        order = await cancelled(orders)
        payments.says = ChargeStanding(order.id, ChargeState.REFUNDED, 1, closed=True)
        for _ in range(5):
            clock.advance(AFTER_SECONDS)
            await swept(orders)
        assert len(payments.asked) == 1
        assert concerts.asked == [order.allocation]
        assert (await orders.order(order.id)).due_at is None
        assert await repeated(store) == []

    async def test_it_is_told_again_until_its_seats_are_back(
        self, orders: Orders, payments: Payments, concerts: Concerts, clock: ManualClock, store: SqliteStore
    ) -> None:
        order = await cancelled(orders)
        payments.says = ChargeStanding(order.id, ChargeState.REFUNDED, 1, closed=True)
        concerts.says = Outlook.SOLD
        for _ in range(2):
            clock.advance(2 * AFTER_SECONDS)
            await swept(orders)
        assert await repeated(store) == ["OrderCancelled", "OrderCancelled"]
        first, *others = [each for each in await published(store) if each.type == "OrderCancelled"]
        assert [each.data for each in others] == [first.data, first.data]
        concerts.says = Outlook.CANCELLED
        clock.advance(4 * AFTER_SECONDS)
        await swept(orders)
        assert (await orders.order(order.id)).due_at is None

    @pytest.mark.parametrize("away", ["payments", "concerts"])
    async def test_without_an_answer_nothing_is_told_and_it_is_looked_at_later(
        self,
        orders: Orders,
        payments: Payments,
        concerts: Concerts,
        clock: ManualClock,
        store: SqliteStore,
        away: str,
    ) -> None:
        order = await cancelled(orders)
        if away == "payments":
            payments.says = None
        else:
            concerts.says = None
        clock.advance(AFTER_SECONDS + 1)
        await swept(orders)
        assert await repeated(store) == []
        assert (await orders.order(order.id)).due_at == clock.now() + timedelta(seconds=AFTER_SECONDS)

    async def test_one_that_failed_for_want_of_money_is_not_looked_at(
        self, orders: Orders, payments: Payments, clock: ManualClock
    ) -> None:
        order = await place(orders)
        await orders.handle([unpaid(order)])
        clock.advance(AFTER_SECONDS + 1)
        await swept(orders)
        assert (await orders.order(order.id)).status is Status.CANCELLED
        assert payments.asked == []

    async def test_money_that_went_back_ends_an_order_that_did_not_hear_why(self, orders: Orders) -> None:
        order = await place(orders)
        assert await orders.handle([refunded(order)]) == [Acknowledgement.SUCCESS]
        off = await orders.order(order.id)
        assert (off.status, off.reason) == (Status.CANCELLED, CancelReason.EXPIRED)
