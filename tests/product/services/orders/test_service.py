"""Orders at work over the real store: placed, finished in the background, paid, cancelled; each once."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import permutations

import msgspec
import pytest
from tests.events import delivered, published, told
from tests.fakes import NOON, SEALS, CountingIds, ManualClock
from tests.patience import until
from tests.product.runtime.ledgers import Meddled
from tests.seats import allocation

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.allocation import OrderSeats
from cludale.kernel.backoff import Backoff
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy, NotFound
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.contacts import Contact
from cludale.ports.records import Commit, Key, Put, Query
from cludale.ports.seats import (
    ConcertNotFound,
    ConcertOver,
    HeldElsewhere,
    HoldEnded,
    HoldRequest,
    NotOnSale,
    OtherCurrency,
    OverTheLimit,
    PriceTooHigh,
    SeatsHeld,
    SeatsUnavailable,
    SeatsUnreachable,
    SectionNotFound,
)
from cludale.runtime.aggregates import AnsweredBefore
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.concerts.events import SaleRefused, SeatsSold
from cludale.services.orders.due import PendingLimits
from cludale.services.orders.events import CancelReason
from cludale.services.orders.order import (
    AlreadyPaid,
    ChargeOpen,
    NotReserved,
    Order,
    OrderPayment,
    OrderRequest,
    PaymentStatus,
    Status,
)
from cludale.services.orders.service import Orders
from cludale.services.orders.store import ORDERS
from cludale.services.payments.events import FailureReason, PaymentCompleted, PaymentFailed, PaymentRefunded

PRICE = Money(4500, "EUR")
EXPIRES = NOON + timedelta(seconds=600)
WANTED = OrderRequest(concert_id="concert-1", user_id="user-1", quantity=2, email="a@example.org")
REQUEST = Cause(None, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
ANSWER = IdempotencyKeys.kind_for("orders")
SUCCESS, RETRY = Acknowledgement.SUCCESS, Acknowledgement.RETRY


class Seats:
    """Concerts, as far as orders sees it: holds for each order once; away or without seats when the test says so."""

    def __init__(self) -> None:
        self.requests: list[HoldRequest] = []
        self.trouble: Exception | None = None
        self._held: dict[str, SeatsHeld] = {}

    async def hold_all(self, wanted: Sequence[HoldRequest]) -> Sequence[SeatsHeld]:
        return [await self.hold(each) for each in wanted]

    async def hold(self, wanted: HoldRequest) -> SeatsHeld:
        self.requests.append(wanted)
        if self.trouble is not None:
            raise self.trouble
        id = wanted.order_id.replace("order-", "reservation-")
        held = allocation(id, wanted.quantity, concert_id=wanted.concert_id, section=wanted.section or "stalls")
        fresh = SeatsHeld(held, PRICE, EXPIRES, f"held-{id}")
        return self._held.setdefault(wanted.order_id, fresh)


@pytest.fixture
def seats() -> Seats:
    return Seats()


@pytest.fixture
def records(store: SqliteStore) -> Meddled:
    return Meddled(store)


@pytest.fixture
def orders(records: Meddled, clock: ManualClock, ids: CountingIds, seats: Seats) -> Orders:
    return Orders(records, clock=clock, ids=ids, seats=seats, pending=PendingLimits(Backoff(1, 8), 60), seals=SEALS)


async def swept(orders: Orders) -> int:
    """How many were due, once all that was to be done about them is done."""
    count = await orders.sweep()
    await until(lambda: not orders.due.busy)
    return count


async def place(orders: Orders, wanted: OrderRequest = WANTED) -> Order:
    return await orders.place(wanted, cause=REQUEST)


def sold(
    order: Order, *, event: str = "sold-1", reservation: str | None = None, money: Delivery | None = None
) -> Delivery:
    fact = SeatsSold(
        allocation=allocation(reservation or order.seats.reservation_id or "reservation-?", 2),
        order_id=order.id,
        payment_round=money.event.data.round if money else 0,
        payment_attempts=money.event.data.attempts if money else 0,
        paid_at=money.event.time if money else None,
    )
    return delivered(fact, event)


def for_itself(order: Order, delivery: Delivery) -> Delivery:
    """The same event of another order: it has an id of its own."""
    event = msgspec.structs.replace(delivery.event, id=f"{delivery.event.id}-{order.id}")
    return msgspec.structs.replace(delivery, event=event)


def unsold(order: Order, *, event: str = "refused-1") -> Delivery:
    fact = SaleRefused(
        allocation=allocation(order.seats.reservation_id or "", 2),
        order_id=order.id,
        payment_round=1,
    )
    return delivered(fact, event)


def paid(order: Order, *, round: int = 1, attempts: int = 1) -> Delivery:
    fact = PaymentCompleted(
        payment_id="payment-1",
        order_id=order.id,
        allocation=allocation(order.seats.reservation_id or "", 2),
        amount=PRICE.times(2),
        round=round,
        attempts=attempts,
    )
    return delivered(fact, f"completed-{round}", at=NOON + timedelta(seconds=round))


def refunded(order: Order, *, round: int = 1) -> Delivery:
    fact = PaymentRefunded(
        payment_id="payment-1",
        order_id=order.id,
        concert_id="concert-1",
        amount=PRICE.times(2),
        round=round,
        attempts=1,
    )
    return delivered(fact, f"refunded-{round}", at=NOON + timedelta(seconds=10 * round))


def declined(order: Order, *, round: int = 1) -> Delivery:
    return unpaid(order, event=f"failed-{round}", round=round, retry_until=EXPIRES)


def unpaid(
    order: Order,
    reason: FailureReason = FailureReason.DECLINED,
    *,
    event: str = "failed-1",
    round: int = 1,
    retry_until: datetime | None = None,
) -> Delivery:
    fact = PaymentFailed(
        payment_id="payment-1",
        order_id=order.id,
        concert_id="concert-1",
        amount=PRICE.times(2),
        round=round,
        attempts=1,
        reason=reason,
        returned=False,
        retry_until=retry_until,
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
        assert (reserved.type, reserved.causationid) == ("TicketReserved", f"held-{order.seats.reservation_id}")
        assert {each.traceparent for each in (placed, reserved)} == {REQUEST.traceparent}

    async def test_the_address_is_for_notifications_alone(self, orders: Orders, store: SqliteStore) -> None:
        order = await place(orders)
        assert await orders.privacy.contacts([order.id, "order-none"]) == {order.id: Contact("a@example.org", None)}
        assert all(b"example.org" not in entry.body for entry in await store.pending(0, 100))

    async def test_an_order_that_is_refused_leaves_nothing(
        self, orders: Orders, store: SqliteStore, seats: Seats
    ) -> None:
        seats.trouble = SeatsUnavailable("concert-1", wanted=2, left=1)
        with pytest.raises(SeatsUnavailable):
            await place(orders)
        assert await told(store) == []
        assert await orders.finder.find(Query()) == ([], None)

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

        order = await orders.place(WANTED, cause=REQUEST, order_id="order-1", keep=keep)
        kept = await store.get(ANSWER, [Key(order.id, "answer-1")])
        assert kept["answer-1"].body == b"order-1"
        with pytest.raises(AnsweredBefore):
            await orders.place(WANTED, cause=REQUEST, order_id="order-1", keep=keep)
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
        assert await swept(orders) == 0
        clock.advance(1.5)
        seats.trouble = None
        assert await swept(orders) == 1
        assert (await orders.order(order.id)).status is Status.RESERVED
        assert (await published(store))[-1].causationid == f"held-{order.id.replace('order', 'reservation')}"
        clock.advance(100)
        assert await swept(orders) == 0
        assert {wanted.order_id for wanted in seats.requests} == {order.id}

    @pytest.mark.parametrize("end", [None, SeatsUnavailable("concert-1", wanted=2, left=0)])
    async def test_what_comes_of_it_is_in_the_trace_of_the_buyers_request(
        self, orders: Orders, store: SqliteStore, seats: Seats, clock: ManualClock, end: Exception | None
    ) -> None:
        await orders.place(WANTED, cause=REQUEST)
        clock.advance(1.5)
        await swept(orders)  # in vain
        seats.trouble = end
        clock.advance(10)
        await swept(orders)
        assert [event.traceparent for event in await published(store)] == [REQUEST.traceparent] * 2
        assert [wanted.traceparent for wanted in seats.requests] == [REQUEST.traceparent] * 3

    async def test_it_asks_ever_more_seldom_and_at_last_gives_up(
        self, orders: Orders, store: SqliteStore, seats: Seats, clock: ManualClock
    ) -> None:
        order = await place(orders)
        asked: list[float] = []
        for _ in range(100):
            clock.advance(1)
            if await swept(orders):
                asked.append((clock.now() - NOON).total_seconds())
        assert asked == [1, 4, 8, 16, 24, 32, 40, 48, 56, 64]
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
        await swept(orders)
        off = await orders.order(order.id)
        assert (off.status, off.reason) == (Status.CANCELLED, reason)

    async def test_concerts_that_is_busy_is_asked_again(self, orders: Orders, seats: Seats, clock: ManualClock) -> None:
        order = await place(orders)
        seats.trouble = Busy("too many")
        clock.advance(2)
        await swept(orders)
        assert (await orders.order(order.id)).status is Status.PENDING

    async def test_one_that_is_cancelled_while_its_seats_are_asked_for_stays_cancelled(
        self, orders: Orders, store: SqliteStore, records: Meddled, seats: Seats, clock: ManualClock
    ) -> None:
        order = await place(orders)
        seats.trouble = None
        clock.advance(2)
        records.meddle = lambda: orders.cancel(order.id, CancelReason.BUYER, REQUEST)
        await swept(orders)
        assert (await orders.order(order.id)).status is Status.CANCELLED
        assert await told(store) == ["OrderPlaced", "OrderCancelled"]
        assert await swept(orders) == 0


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
        await orders.handle([sold(order, reservation=f"{order.seats.reservation_id}.2")])
        paid = await orders.order(order.id)
        assert (paid.status, paid.reason, paid.seats.reservation_id) == (
            Status.PAID,
            None,
            f"{order.seats.reservation_id}.2",
        )
        await orders.handle([unpaid(order)])
        assert (await orders.order(order.id)).status is Status.PAID

    async def test_failure_and_success_in_one_batch_end_as_one_after_the_other(self, orders: Orders) -> None:
        order = await place(orders)
        assert await orders.handle([unpaid(order), sold(order)]) == [SUCCESS, SUCCESS]
        assert (await orders.order(order.id)).status is Status.PAID


class TestShowingThePayment:
    async def test_a_charge_that_is_open_is_pending(self, orders: Orders) -> None:
        order = await place(orders)
        assert order.payment == OrderPayment(status=PaymentStatus.PENDING, at=NOON)

    async def test_the_money_is_shown_as_soon_as_it_is_there_and_does_not_make_the_order_paid(
        self, orders: Orders, store: SqliteStore
    ) -> None:
        order = await place(orders)
        assert await orders.handle([paid(order, attempts=3)]) == [SUCCESS]
        seen = await orders.order(order.id)
        assert seen.status is Status.RESERVED
        at = NOON + timedelta(seconds=1)
        assert seen.payment == OrderPayment(status=PaymentStatus.COMPLETED, at=at, attempts=3)
        assert "OrderPaid" not in await told(store)

    async def test_a_sale_that_comes_first_says_how_it_was_paid_and_the_payment_then_costs_no_commit(
        self, orders: Orders, store: SqliteStore
    ) -> None:
        order = await place(orders)
        money = paid(order, attempts=3)
        await orders.handle([sold(order, money=money)])
        first = await orders.order(order.id)
        assert (first.status, first.payment) == (
            Status.PAID,
            OrderPayment(status=PaymentStatus.COMPLETED, at=money.event.time, attempts=3),
        )
        kind = ORDERS.kind
        before = (await store.get(kind, [Key(order.id, order.id)]))[order.id]
        assert await orders.handle([money]) == [SUCCESS]
        assert (await store.get(kind, [Key(order.id, order.id)]))[order.id] == before

    @pytest.mark.parametrize("at_once", [True, False])
    async def test_the_facts_of_two_rounds_and_a_refund_come_to_the_same_in_any_order_and_twice(
        self, orders: Orders, at_once: bool
    ) -> None:
        seen: set[object] = set()
        for arrival in permutations(range(5)):
            order = await place(orders)
            money = paid(order, round=2)
            late = unpaid(order, event="late")
            facts = [declined(order), money, sold(order, money=money), late, refunded(order, round=2)]
            coming = [for_itself(order, facts[i]) for i in arrival for _ in range(2)]
            for batch in [coming] if at_once else [[each] for each in coming]:
                assert set(await orders.handle(batch)) == {SUCCESS}
            after = await orders.order(order.id)
            seen.add((after.status, after.reason, after.payment, after.due_at))
        back = OrderPayment(status=PaymentStatus.REFUNDED, at=NOON + timedelta(seconds=20), attempts=1, round=2)
        assert seen == {(Status.PAID, None, back, None)}

    async def test_a_failure_of_the_first_round_says_nothing_once_the_second_has_the_money(
        self, orders: Orders
    ) -> None:
        order = await place(orders)
        await orders.handle([paid(order, round=2)])
        await orders.handle([unpaid(order)])
        seen = await orders.order(order.id)
        assert (seen.status, seen.payment and seen.payment.status) == (Status.RESERVED, PaymentStatus.COMPLETED)

    async def test_an_order_reserved_before_orders_knew_of_payments_goes_on_without(
        self, orders: Orders, store: SqliteStore
    ) -> None:
        order = await place(orders)
        old = ORDERS.put(msgspec.structs.replace(order, payment=None), 1)
        await store.commit([Commit(order.id, [old])])
        await orders.handle([paid(order)])
        await orders.handle([sold(order, money=paid(order))])
        seen = await orders.order(order.id)
        assert (seen.status, seen.payment) == (Status.PAID, None)


class TestPayingInAnotherWay:
    async def test_a_declined_order_keeps_its_seats_and_takes_another_way_to_pay(
        self, orders: Orders, store: SqliteStore
    ) -> None:
        order = await place(orders)
        await orders.handle([declined(order)])
        seen = await orders.order(order.id)
        assert (seen.status, seen.payment and seen.payment.status) == (Status.RESERVED, PaymentStatus.DECLINED)
        again = await orders.pay_again(order.id, method="card-slow", cause=REQUEST)
        assert again.payment == OrderPayment(status=PaymentStatus.PENDING, at=NOON, round=2)
        assert (again.status, again.due_at) == (Status.RESERVED, None)
        *_, asked = await published(store)
        assert (asked.type, asked.data.round, asked.data.payment_method) == ("PaymentRequested", 2, "card-slow")
        await orders.handle([declined(order)])
        assert await orders.order(order.id) == again

    async def test_asked_twice_one_charge_is_begun(self, orders: Orders, store: SqliteStore) -> None:
        order = await place(orders)
        await orders.handle([declined(order)])
        await orders.pay_again(order.id, method="card-ok", cause=REQUEST)
        with pytest.raises(ChargeOpen):
            await orders.pay_again(order.id, method="card-ok", cause=REQUEST)
        assert (await told(store)).count("PaymentRequested") == 1

    async def test_nobody_pays_twice_nor_for_an_order_that_is_off_or_has_no_seats_yet(
        self, orders: Orders, seats: Seats
    ) -> None:
        order = await place(orders)
        with pytest.raises(ChargeOpen):
            await orders.pay_again(order.id, method="card-ok", cause=REQUEST)
        await orders.handle([paid(order)])
        with pytest.raises(AlreadyPaid):
            await orders.pay_again(order.id, method="card-ok", cause=REQUEST)
        await orders.handle([sold(order)])
        with pytest.raises(AlreadyPaid):
            await orders.pay_again(order.id, method="card-ok", cause=REQUEST)
        await orders.cancel(order.id, CancelReason.BUYER, REQUEST)
        seats.trouble = SeatsUnreachable("no answer")
        for each in (order, await place(orders)):
            with pytest.raises(NotReserved):
                await orders.pay_again(each.id, method="card-ok", cause=REQUEST)

    async def test_once_the_hold_has_ended_it_is_too_late_and_the_order_is_off(
        self, orders: Orders, store: SqliteStore, clock: ManualClock
    ) -> None:
        order = await place(orders)
        await orders.handle([declined(order)])
        clock.advance(599)
        assert await swept(orders) == 0
        clock.advance(1)
        with pytest.raises(HoldEnded):
            await orders.pay_again(order.id, method="card-ok", cause=REQUEST)
        clock.advance(0.001)
        assert await swept(orders) == 1
        off = await orders.order(order.id)
        assert (off.status, off.reason, off.due_at) == (Status.CANCELLED, CancelReason.DECLINED, None)
        assert (await told(store)).count("OrderCancelled") == 1
        assert await swept(orders) == 0

    async def test_the_end_of_the_hold_waits_for_a_charge_that_is_open(
        self, orders: Orders, clock: ManualClock
    ) -> None:
        order = await place(orders)
        await orders.handle([declined(order)])
        await orders.pay_again(order.id, method="card-ok", cause=REQUEST)
        clock.advance(601)
        assert await swept(orders) == 0
        assert (await orders.order(order.id)).status is Status.RESERVED

    async def test_pay_against_the_end_of_the_hold_has_one_winner(
        self, orders: Orders, store: SqliteStore, clock: ManualClock, records: Meddled
    ) -> None:
        order = await place(orders)
        await orders.handle([declined(order)])
        clock.advance(599.9)

        async def too_late() -> None:
            clock.advance(1)
            await swept(orders)

        records.meddle = too_late
        with pytest.raises(NotReserved):
            await orders.pay_again(order.id, method="card-ok", cause=REQUEST)
        assert "PaymentRequested" not in await told(store)

    async def test_whoever_waits_for_the_order_is_told_of_the_decline(self, orders: Orders) -> None:
        order = await place(orders)
        waiting = asyncio.create_task(orders.news.settled(order.id, wait_seconds=10))
        await asyncio.sleep(0.02)
        await orders.handle([declined(order)])
        async with asyncio.timeout(0.15):
            seen = await waiting
        assert (seen.payment and seen.payment.status) is PaymentStatus.DECLINED

    async def test_a_failure_that_was_told_before_another_way_was_possible_is_the_end(self, orders: Orders) -> None:
        order = await place(orders)
        await orders.handle([unpaid(order)])
        assert (await orders.order(order.id)).reason is CancelReason.DECLINED


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
        """The buyer's cancellation is the last word, whichever comes first."""
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
        kind = ORDERS.kind

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
        waiting = asyncio.create_task(orders.news.settled(order.id, wait_seconds=10))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        if end is Status.PAID:
            await orders.handle([sold(order)])
        else:
            await orders.cancel(order.id, CancelReason.BUYER, REQUEST)
        async with asyncio.timeout(0.15):
            assert (await waiting).status is end
        assert orders.news.waiting == 0

    async def test_nobody_waits_longer_than_asked(self, orders: Orders) -> None:
        order = await place(orders)
        async with asyncio.timeout(1):
            assert (await orders.news.settled(order.id, wait_seconds=0.05)).status is Status.RESERVED
        assert orders.news.waiting == 0

    async def test_what_has_its_end_is_not_waited_for(self, orders: Orders) -> None:
        order = await place(orders)
        await orders.cancel(order.id, CancelReason.BUYER, REQUEST)
        async with asyncio.timeout(1):
            assert (await orders.news.settled(order.id, wait_seconds=10)).status is Status.CANCELLED

    async def test_what_another_replica_did_is_found_by_looking(
        self, orders: Orders, store: SqliteStore, clock: ManualClock, ids: CountingIds, seats: Seats
    ) -> None:
        order = await place(orders)
        replica = Orders(
            store, clock=clock, ids=ids, seats=seats, pending=PendingLimits(Backoff(1, 8), 60), seals=SEALS
        )
        waiting = asyncio.create_task(orders.news.settled(order.id, wait_seconds=10))
        await asyncio.sleep(0.02)
        await replica.handle([sold(order)])
        async with asyncio.timeout(2):
            assert (await waiting).status is Status.PAID

    async def test_whoever_waits_when_the_process_ends_is_told_how_it_stands(self, orders: Orders) -> None:
        order = await place(orders)
        waiting = asyncio.create_task(orders.news.settled(order.id, wait_seconds=10))
        await asyncio.sleep(0.02)
        orders.news.end()
        async with asyncio.timeout(1):
            assert (await waiting).status is Status.RESERVED
            assert (await orders.news.settled(order.id, wait_seconds=10)).status is Status.RESERVED

    async def test_whoever_gives_up_waiting_leaves_nothing_behind(self, orders: Orders) -> None:
        order = await place(orders)
        gone = asyncio.create_task(orders.news.settled(order.id, wait_seconds=10))
        await asyncio.sleep(0.02)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert orders.news.waiting == 0


def announced(id: str) -> Order:
    """An order as an event names it, before it is there."""
    return Order(
        id=id,
        seats=OrderSeats.of(allocation("reservation-000001")),
        user_id="user-1",
        status=Status.RESERVED,
        payment_method="card-ok",
        created_at=NOON,
    )
