"""Orders at work over the real store: placed, finished in the background, paid, cancelled; each once."""

import asyncio
from datetime import timedelta

import pytest
from tests.events import delivered, published, told
from tests.fakes import NOON, CountingIds, ManualClock
from tests.runtime.ledgers import Meddled

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy, NotFound
from cludale.ports.bus import Answer, Delivery
from cludale.ports.contacts import Contact
from cludale.ports.records import Commit, Key, Kind, Put, Query
from cludale.ports.seats import (
    ConcertNotFound,
    ConcertOver,
    HeldElsewhere,
    HoldEnded,
    HoldWish,
    NotOnSale,
    OtherCurrency,
    OverTheLimit,
    PriceTooHigh,
    SeatsHeld,
    SeatsUnavailable,
    SeatsUnreachable,
    SectionNotFound,
)
from cludale.runtime.backoff import Backoff
from cludale.runtime.idempotency import AnsweredBefore
from cludale.services.concerts.events import SaleRefused, SeatsSold
from cludale.services.orders.domain import Order, Status, Wish
from cludale.services.orders.events import CancelReason
from cludale.services.orders.service import Orders
from cludale.services.payments.events import FailureReason, PaymentFailed

PRICE = Money(4500, "EUR")
EXPIRES = NOON + timedelta(seconds=600)
WISH = Wish(concert_id="concert-1", user_id="user-1", quantity=2, email="a@example.org")
REQUEST = Cause(None, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
ANSWER = Kind("orders", "answer")
SUCCESS, RETRY = Answer.SUCCESS, Answer.RETRY


class Seats:
    """Concerts, as far as orders sees it: holds for each order once; away or without seats when the test says so."""

    def __init__(self) -> None:
        self.wishes: list[HoldWish] = []
        self.trouble: Exception | None = None
        self._held: dict[str, SeatsHeld] = {}

    async def hold(self, wish: HoldWish) -> SeatsHeld:
        self.wishes.append(wish)
        if self.trouble is not None:
            raise self.trouble
        id = wish.order_id.replace("order-", "reservation-")
        fresh = SeatsHeld(id, wish.section or "stalls", wish.quantity, PRICE, EXPIRES, f"held-{id}")
        return self._held.setdefault(wish.order_id, fresh)


@pytest.fixture
def seats() -> Seats:
    return Seats()


@pytest.fixture
def records(store: SqliteStore) -> Meddled:
    return Meddled(store)


@pytest.fixture
def orders(records: Meddled, clock: ManualClock, ids: CountingIds, seats: Seats) -> Orders:
    return Orders(records, clock=clock, ids=ids, seats=seats, pending_backoff=Backoff(1, 8), pending_seconds=60)


async def place(orders: Orders, wish: Wish = WISH) -> Order:
    return await orders.place(wish, cause=REQUEST)


def sold(order: Order, *, event: str = "sold-1", reservation: str | None = None) -> Delivery:
    fact = SeatsSold(
        reservation_id=reservation or order.reservation_id or "reservation-?",
        concert_id="concert-1",
        section="stalls",
        quantity=2,
        order_id=order.id,
    )
    return delivered(fact, event)


def unsold(order: Order, *, event: str = "refused-1") -> Delivery:
    fact = SaleRefused(
        reservation_id=order.reservation_id or "",
        concert_id="concert-1",
        section="stalls",
        quantity=2,
        order_id=order.id,
        payment_round=1,
    )
    return delivered(fact, event)


def unpaid(order: Order, reason: FailureReason = FailureReason.DECLINED, *, event: str = "failed-1") -> Delivery:
    fact = PaymentFailed(
        payment_id="payment-1",
        order_id=order.id,
        concert_id="concert-1",
        amount=PRICE.times(2),
        round=1,
        attempts=1,
        reason=reason,
        returned=False,
    )
    return delivered(fact, event)


class TestPlacing:
    async def test_an_order_that_gets_its_seats_is_reserved_and_durable(
        self, orders: Orders, store: SqliteStore
    ) -> None:
        order = await place(orders)
        assert (order.status, order.total, order.expires_at) == (Status.RESERVED, PRICE.times(2), EXPIRES)
        assert await orders.order(order.id) == order
        placed, reserved = await published(store)
        assert (placed.type, placed.causationid) == ("OrderPlaced", None)
        assert (reserved.type, reserved.causationid) == ("TicketReserved", f"held-{order.reservation_id}")
        assert {each.traceparent for each in (placed, reserved)} == {REQUEST.traceparent}

    async def test_the_address_is_for_notifications_alone(self, orders: Orders, store: SqliteStore) -> None:
        order = await place(orders)
        assert await orders.contacts([order.id, "order-none"]) == {order.id: Contact("a@example.org", None)}
        assert all(b"example.org" not in entry.body for entry in await store.pending(0, 100))

    async def test_an_order_that_is_refused_leaves_nothing(
        self, orders: Orders, store: SqliteStore, seats: Seats
    ) -> None:
        seats.trouble = SeatsUnavailable("concert-1", wanted=2, left=1)
        with pytest.raises(SeatsUnavailable):
            await place(orders)
        assert await told(store) == []
        assert await orders.find(Query()) == ([], None)

    async def test_while_concerts_is_away_an_order_is_pending(
        self, orders: Orders, store: SqliteStore, seats: Seats, caplog: pytest.LogCaptureFixture
    ) -> None:
        seats.trouble = SeatsUnreachable("no answer")
        order = await place(orders)
        assert (order.status, order.total) == (Status.PENDING, None)
        assert await told(store) == ["OrderPlaced"]
        assert "no answer" in caplog.text

    async def test_an_order_whose_answer_was_kept_before_is_not_placed_again(
        self, orders: Orders, store: SqliteStore
    ) -> None:
        def keep(order: Order) -> Put:
            return Put(ANSWER, "answer-1", order.id.encode(), 0)

        order = await orders.place(WISH, cause=REQUEST, order_id="order-1", keep=keep)
        kept = await store.get(ANSWER, [Key(order.id, "answer-1")])
        assert kept["answer-1"].body == b"order-1"
        with pytest.raises(AnsweredBefore):
            await orders.place(WISH, cause=REQUEST, order_id="order-1", keep=keep)
        assert (await told(store)).count("OrderPlaced") == 1

    async def test_one_that_is_not_there_is_named(self, orders: Orders) -> None:
        with pytest.raises(NotFound, match="no order 'order-9'"):
            await orders.order("order-9")


class TestPending:
    @pytest.fixture(autouse=True)
    def away(self, seats: Seats) -> None:
        seats.trouble = SeatsUnreachable("no answer")

    async def test_it_gets_its_seats_in_the_background(
        self, orders: Orders, store: SqliteStore, seats: Seats, clock: ManualClock
    ) -> None:
        order = await place(orders)
        assert await orders.sweep() == 0
        clock.advance(1.5)
        seats.trouble = None
        assert await orders.sweep() == 1
        assert (await orders.order(order.id)).status is Status.RESERVED
        assert (await published(store))[-1].causationid == f"held-{order.id.replace('order', 'reservation')}"
        clock.advance(100)
        assert await orders.sweep() == 0
        assert {wish.order_id for wish in seats.wishes} == {order.id}

    @pytest.mark.parametrize("end", [None, SeatsUnavailable("concert-1", wanted=2, left=0)])
    async def test_what_comes_of_it_is_in_the_trace_of_the_buyers_request(
        self, orders: Orders, store: SqliteStore, seats: Seats, clock: ManualClock, end: Exception | None
    ) -> None:
        await orders.place(WISH, cause=REQUEST)
        clock.advance(1.5)
        await orders.sweep()  # in vain
        seats.trouble = end
        clock.advance(10)
        await orders.sweep()
        assert [event.traceparent for event in await published(store)] == [REQUEST.traceparent] * 2
        assert [wish.traceparent for wish in seats.wishes] == [REQUEST.traceparent] * 3

    async def test_it_asks_ever_more_seldom_and_at_last_gives_up(
        self, orders: Orders, store: SqliteStore, seats: Seats, clock: ManualClock
    ) -> None:
        order = await place(orders)
        asked: list[float] = []
        for _ in range(100):
            clock.advance(1)
            if await orders.sweep():
                asked.append((clock.now() - NOON).total_seconds())
        assert asked == [2, 5, 10, 19, 28, 37, 46, 55, 64]
        off = await orders.order(order.id)
        assert (off.status, off.reason) == (Status.CANCELLED, CancelReason.UNREACHABLE)
        assert await told(store) == ["OrderPlaced", "OrderCancelled"]

    @pytest.mark.parametrize(
        ("refusal", "reason"),
        [
            (SeatsUnavailable("concert-1", wanted=2, left=0), CancelReason.SOLD_OUT),
            (NotOnSale("concert-1", NOON + timedelta(days=1)), CancelReason.NOT_ON_SALE),
            (ConcertOver("concert-1", NOON), CancelReason.CONCERT_OVER),
            (PriceTooHigh("concert-1", max_price=PRICE, price_from=PRICE.times(2)), CancelReason.PRICE_TOO_HIGH),
            (OtherCurrency("concert-1", "EUR"), CancelReason.OTHER_CURRENCY),
            (ConcertNotFound("concert-1"), CancelReason.NO_SUCH_CONCERT),
            (SectionNotFound("concert-1", "roof"), CancelReason.NO_SUCH_SECTION),
            (OverTheLimit("concert-1", wanted=100, limit=8), CancelReason.OVER_THE_LIMIT),
            (HoldEnded("reservation-1"), CancelReason.EXPIRED),
            (HeldElsewhere("reservation-1", concert_id="concert-2"), CancelReason.HELD_OTHERWISE),
        ],
    )
    async def test_it_is_cancelled_for_the_reason_that_concerts_gives(
        self, orders: Orders, seats: Seats, clock: ManualClock, refusal: Exception, reason: CancelReason
    ) -> None:
        order = await place(orders)
        seats.trouble = refusal
        clock.advance(2)
        await orders.sweep()
        off = await orders.order(order.id)
        assert (off.status, off.reason) == (Status.CANCELLED, reason)

    async def test_concerts_that_is_busy_is_asked_again(self, orders: Orders, seats: Seats, clock: ManualClock) -> None:
        order = await place(orders)
        seats.trouble = Busy("too many")
        clock.advance(2)
        await orders.sweep()
        assert (await orders.order(order.id)).status is Status.PENDING

    async def test_one_that_is_cancelled_while_its_seats_are_asked_for_stays_cancelled(
        self, orders: Orders, store: SqliteStore, records: Meddled, seats: Seats, clock: ManualClock
    ) -> None:
        order = await place(orders)
        seats.trouble = None
        clock.advance(2)
        records.meddle = lambda: orders.cancel(order.id, CancelReason.BUYER, REQUEST)
        await orders.sweep()
        assert (await orders.order(order.id)).status is Status.CANCELLED
        assert await told(store) == ["OrderPlaced", "OrderCancelled"]
        assert await orders.sweep() == 0


class TestPaying:
    async def test_a_redelivered_sale_pays_the_order_once(self, orders: Orders, store: SqliteStore) -> None:
        order = await place(orders)
        for _ in range(2):
            assert await orders.handle([sold(order), sold(order)]) == [SUCCESS, SUCCESS]
        assert (await orders.order(order.id)).status is Status.PAID
        assert (await told(store)).count("OrderPaid") == 1

    async def test_a_sale_that_comes_before_its_order_is_to_come_again(self, orders: Orders) -> None:
        early = announced("order-000001")
        assert await orders.handle([sold(early)]) == [RETRY]
        order = await place(orders)
        assert order.id == early.id
        assert await orders.handle([sold(order)]) == [SUCCESS]

    async def test_a_redelivered_failure_cancels_the_order_once(self, orders: Orders, store: SqliteStore) -> None:
        order = await place(orders)
        for _ in range(2):
            assert await orders.handle([unpaid(order)]) == [SUCCESS]
        off = await orders.order(order.id)
        assert (off.status, off.reason) == (Status.CANCELLED, CancelReason.DECLINED)
        assert (await told(store)).count("OrderCancelled") == 1

    @pytest.mark.parametrize(
        ("failure", "reason"),
        [
            (FailureReason.DECLINED, CancelReason.DECLINED),
            (FailureReason.GAVE_UP, CancelReason.PAYMENT_FAILED),
            (FailureReason.EXPIRED, CancelReason.EXPIRED),
        ],
    )
    async def test_the_buyer_is_told_why(self, orders: Orders, failure: FailureReason, reason: CancelReason) -> None:
        order = await place(orders)
        await orders.handle([unpaid(order, failure)])
        assert (await orders.order(order.id)).reason is reason

    async def test_money_that_finds_no_seats_cancels_the_order_once(self, orders: Orders, store: SqliteStore) -> None:
        order = await place(orders)
        for _ in range(2):
            assert await orders.handle([unsold(order)]) == [SUCCESS]
        assert (await orders.order(order.id)).reason is CancelReason.EXPIRED
        assert (await told(store)).count("OrderCancelled") == 1

    async def test_a_new_round_of_payment_revives_an_order_that_had_failed(
        self, orders: Orders, store: SqliteStore
    ) -> None:
        order = await place(orders)
        await orders.handle([unpaid(order)])
        await orders.handle([sold(order, reservation=f"{order.reservation_id}.2")])
        paid = await orders.order(order.id)
        assert (paid.status, paid.reason, paid.reservation_id) == (Status.PAID, None, f"{order.reservation_id}.2")
        await orders.handle([unpaid(order)])
        assert (await orders.order(order.id)).status is Status.PAID

    async def test_failure_and_success_in_one_batch_end_as_one_after_the_other(self, orders: Orders) -> None:
        order = await place(orders)
        assert await orders.handle([unpaid(order), sold(order)]) == [SUCCESS, SUCCESS]
        assert (await orders.order(order.id)).status is Status.PAID


class TestCancelling:
    async def test_cancelled_again_it_stays_as_it_is(self, orders: Orders, store: SqliteStore) -> None:
        order = await place(orders)
        first = await orders.cancel(order.id, CancelReason.BUYER, REQUEST)
        assert await orders.cancel(order.id, CancelReason.ORGANIZER, REQUEST) == first
        assert (await told(store)).count("OrderCancelled") == 1

    @pytest.mark.parametrize("paid_first", [True, False])
    async def test_cancel_against_pay_has_one_winner(
        self, orders: Orders, store: SqliteStore, records: Meddled, paid_first: bool
    ) -> None:
        """The buyer's wish is the last word, whichever comes first."""
        order = await place(orders)
        if paid_first:
            records.meddle = lambda: orders.handle([sold(order)])
            await orders.cancel(order.id, CancelReason.BUYER, REQUEST)
        else:
            records.meddle = lambda: orders.cancel(order.id, CancelReason.BUYER, REQUEST)
            await orders.handle([sold(order)])
        off = await orders.order(order.id)
        assert (off.status, off.reason) == (Status.CANCELLED, CancelReason.BUYER)
        paid = await told(store)
        assert paid.count("OrderCancelled") == 1
        assert paid.count("OrderPaid") == int(paid_first)

    async def test_an_order_that_is_changed_without_an_end_is_busy(
        self, orders: Orders, store: SqliteStore, records: Meddled
    ) -> None:
        order = await place(orders)
        kind = Kind("orders", "order", ("concertId", "status", "dueAt"))

        async def touch() -> None:
            found = (await store.get(kind, [Key(order.id, order.id)]))[order.id]
            put = Put(kind, order.id, found.body, found.version, ("concert-1", "Reserved", None))
            await store.commit([Commit(order.id, [put])])

        records.always = touch
        with pytest.raises(Busy):
            await orders.cancel(order.id, CancelReason.BUYER, REQUEST)

    async def test_one_that_is_not_there_can_not_be_cancelled(self, orders: Orders) -> None:
        with pytest.raises(NotFound):
            await orders.cancel("order-9", CancelReason.BUYER, REQUEST)


class TestWaiting:
    @pytest.mark.parametrize("end", [Status.PAID, Status.CANCELLED])
    async def test_whoever_waits_is_told_at_once(self, orders: Orders, end: Status) -> None:
        order = await place(orders)
        waiting = asyncio.create_task(orders.settled(order.id, wait_seconds=10))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        if end is Status.PAID:
            await orders.handle([sold(order)])
        else:
            await orders.cancel(order.id, CancelReason.BUYER, REQUEST)
        async with asyncio.timeout(0.15):
            assert (await waiting).status is end
        assert not orders._waiters

    async def test_nobody_waits_longer_than_asked(self, orders: Orders) -> None:
        order = await place(orders)
        async with asyncio.timeout(1):
            assert (await orders.settled(order.id, wait_seconds=0.05)).status is Status.RESERVED
        assert not orders._waiters

    async def test_what_has_its_end_is_not_waited_for(self, orders: Orders) -> None:
        order = await place(orders)
        await orders.cancel(order.id, CancelReason.BUYER, REQUEST)
        async with asyncio.timeout(1):
            assert (await orders.settled(order.id, wait_seconds=10)).status is Status.CANCELLED

    async def test_what_another_replica_did_is_found_by_looking(
        self, orders: Orders, store: SqliteStore, clock: ManualClock, ids: CountingIds, seats: Seats
    ) -> None:
        order = await place(orders)
        replica = Orders(store, clock=clock, ids=ids, seats=seats, pending_backoff=Backoff(1, 8), pending_seconds=60)
        waiting = asyncio.create_task(orders.settled(order.id, wait_seconds=10))
        await asyncio.sleep(0.02)
        await replica.handle([sold(order)])
        async with asyncio.timeout(2):
            assert (await waiting).status is Status.PAID

    async def test_whoever_waits_when_the_process_ends_is_told_how_it_stands(self, orders: Orders) -> None:
        order = await place(orders)
        waiting = asyncio.create_task(orders.settled(order.id, wait_seconds=10))
        await asyncio.sleep(0.02)
        orders.end_waiting()
        async with asyncio.timeout(1):
            assert (await waiting).status is Status.RESERVED
            assert (await orders.settled(order.id, wait_seconds=10)).status is Status.RESERVED

    async def test_whoever_gives_up_waiting_leaves_nothing_behind(self, orders: Orders) -> None:
        order = await place(orders)
        gone = asyncio.create_task(orders.settled(order.id, wait_seconds=10))
        await asyncio.sleep(0.02)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert not orders._waiters


def announced(id: str) -> Order:
    """An order as an event names it, before it is there."""
    return Order(
        id=id,
        concert_id="concert-1",
        user_id="user-1",
        quantity=2,
        status=Status.RESERVED,
        payment_method="card-ok",
        created_at=NOON,
        reservation_id="reservation-000001",
    )
