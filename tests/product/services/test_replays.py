"""Every service's replay: the same state, in whatever order the log has what has no cause in common."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType
from tests.fakes import NOON
from tests.seats import allocation

from cludale.kernel.allocation import NumberedSeat, OrderSeats
from cludale.kernel.events import Cause, Envelope, Event, envelop
from cludale.kernel.money import Money
from cludale.kernel.wire import Codec
from cludale.ports.records import Commit, Key
from cludale.runtime.replay import CannotFold, Rebuild, Replay
from cludale.services.catalogue import CATALOGUE, KINDS
from cludale.services.concerts.events import (
    ConcertScheduled,
    ReleaseReason,
    SeatsReleased,
    SeatsReserved,
    SeatsReturned,
    SeatsSold,
    SectionPlan,
)
from cludale.services.concerts.replay import ConcertsReplay
from cludale.services.concerts.stock import Status
from cludale.services.concerts.store import CONCERTS, RESERVATIONS, SECTIONS
from cludale.services.orders.events import (
    CancelReason,
    OrderCancelled,
    OrderPaid,
    OrderPlaced,
    PartRefund,
    PartRefundRequested,
    PaymentRequested,
    TicketReserved,
)
from cludale.services.orders.order import OrderPayment, PaymentStatus
from cludale.services.orders.order import Status as OrderStatus
from cludale.services.orders.replay import OrdersReplay
from cludale.services.orders.store import ORDERS
from cludale.services.payments.domain import as_begun, evolve
from cludale.services.payments.events import FailureReason, PaymentCompleted, PaymentFailed, PaymentRefunded
from cludale.services.payments.payment import Status as ChargeStatus
from cludale.services.payments.replay import PaymentsReplay
from cludale.services.payments.store import PAYMENTS
from cludale_proof.simulator.memory import Disk, MemoryStore

PRICE = Money(4500, "EUR")
CODEC = Codec(CATALOGUE)
EXPIRES = NOON + timedelta(seconds=600)

SCHEDULED = ConcertScheduled(
    concert_id="c1",
    artist="A",
    date="2027-01-01",
    venue=None,
    sections=(SectionPlan(id="s1", name="S", total_seats=10, price=PRICE),),
    on_sale_at=None,
    max_per_order=8,
)
SEATS = allocation(concert_id="c1", section="s1")
HELD = SeatsReserved(allocation=SEATS, order_id="order-1", expires_at=EXPIRES)
SOLD = SeatsSold(allocation=SEATS, order_id="order-1")
GIVEN_BACK = SeatsReleased(allocation=SEATS, order_id="order-1", reason=ReleaseReason.CANCELLED)

PLACED = OrderPlaced(order_id="order-1", concert_id="c1", user_id="u", quantity=2, section=None)
RESERVED = TicketReserved(
    order_id="order-1",
    allocation=SEATS,
    user_id="u",
    total=PRICE.times(2),
    payment_method="card-ok",
    expires_at=EXPIRES,
)
PAID = OrderPaid(
    order_id="order-1",
    allocation=SEATS,
    total=PRICE.times(2),
    reachable=False,
)


def off(
    reason: CancelReason, *, was_paid: bool = False, reservation_id: str | None = "reservation-1"
) -> OrderCancelled:
    return OrderCancelled(
        order_id="order-1",
        seats=OrderSeats(concert_id="c1", quantity=2, section="s1", reservation_id=reservation_id),
        total=PRICE.times(2),
        reason=reason,
        was_paid=was_paid,
        reachable=False,
    )


_MONEY: dict[str, Any] = {"payment_id": "payment-1", "order_id": "order-1", "amount": PRICE.times(2)}


def failed(round_: int, *, retry_until: datetime | None = None) -> PaymentFailed:
    return PaymentFailed(
        **_MONEY,
        concert_id="c1",
        round=round_,
        attempts=1,
        reason=FailureReason.DECLINED,
        returned=False,
        retry_until=retry_until,
    )


def completed(round_: int) -> PaymentCompleted:
    return PaymentCompleted(**_MONEY, allocation=SEATS, round=round_, attempts=1)


def refunded(round_: int) -> PaymentRefunded:
    return PaymentRefunded(**_MONEY, concert_id="c1", round=round_)


class Listed:
    """A log of these events, in pages of `page`."""

    def __init__(self, events: Sequence[Event], page: int) -> None:
        self._pages = [events[at : at + page] for at in range(0, len(events), page)]

    async def read(self) -> AsyncIterator[Sequence[Envelope]]:
        pages, self._pages = self._pages, []
        for page in pages:
            yield [
                envelop(each, id=f"event-{type(each).__name__}", source="test", time=NOON, cause=Cause())
                for each in page
            ]


async def rebuilt(replay: Replay, events: Sequence[Event], page: int) -> MemoryStore:
    store = MemoryStore(Disk(KINDS, CODEC))
    await Rebuild(Listed(events, page), [replay], store).run()
    return store


LIVES: list[tuple[list[Event], OrderStatus, CancelReason | None]] = [
    ([PLACED, RESERVED, PAID], OrderStatus.PAID, None),
    ([PLACED, RESERVED, off(CancelReason.BUYER)], OrderStatus.CANCELLED, CancelReason.BUYER),
    ([PLACED, RESERVED, PAID, off(CancelReason.BUYER, was_paid=True)], OrderStatus.CANCELLED, CancelReason.BUYER),
    ([PLACED, RESERVED, off(CancelReason.DECLINED), PAID], OrderStatus.PAID, None),
    (
        [PLACED, RESERVED, off(CancelReason.DECLINED), PAID, off(CancelReason.ORGANIZER, was_paid=True)],
        OrderStatus.CANCELLED,
        CancelReason.ORGANIZER,
    ),
    (
        [PLACED, RESERVED, off(CancelReason.EXPIRED), off(CancelReason.BUYER)],
        OrderStatus.CANCELLED,
        CancelReason.BUYER,
    ),
    (
        [PLACED, off(CancelReason.SOLD_OUT, reservation_id=None), off(CancelReason.BUYER, reservation_id=None)],
        OrderStatus.CANCELLED,
        CancelReason.BUYER,
    ),
]


@pytest.mark.parametrize(("life", "status", "reason"), LIVES)
@pytest.mark.parametrize("page", [1, 10])
async def test_an_order_ends_alike_in_whatever_order_it_is_logged(
    life: list[Event], status: OrderStatus, reason: CancelReason | None, page: int
) -> None:
    for logged in permutations(life):
        store = await rebuilt(OrdersReplay(), logged, page)
        order = (await ORDERS.one(store, "order-1")).state
        assert (order.status, order.reason) == (status, reason), [type(each).__name__ for each in logged]


@pytest.mark.parametrize("page", [1, 10])
async def test_an_order_shows_its_payment_alike_in_whatever_order_it_is_logged(page: int) -> None:
    request = PaymentRequested(order_id="order-1", concert_id="c1", round=2, payment_method="card-ok")
    for logged in permutations([PLACED, RESERVED, failed(1, retry_until=EXPIRES), request, completed(2)]):
        store = await rebuilt(OrdersReplay(), logged, page)
        order = (await ORDERS.one(store, "order-1")).state
        assert order.payment == OrderPayment(status=PaymentStatus.COMPLETED, at=NOON, attempts=1, round=2)


AGAIN = [
    [PLACED, RESERVED, PAID, RESERVED],
    [PLACED, RESERVED, completed(1), PAID, completed(1)],
    [PLACED, RESERVED, PAID, off(CancelReason.BUYER, was_paid=True), off(CancelReason.BUYER, was_paid=True)],
    [PLACED, RESERVED, completed(1), refunded(1), off(CancelReason.EXPIRED), refunded(1)],
]


@pytest.mark.parametrize("life", AGAIN)
@pytest.mark.parametrize("replay", [OrdersReplay(), PaymentsReplay()])
async def test_what_is_told_again_is_folded_once_wherever_it_stands(life: list[Event], replay: Replay) -> None:
    heard = [each for each in life if type(each).__name__ in replay.event_types]
    once = list(dict.fromkeys(heard))
    wanted = await rebuilt(replay, once, 10)
    for logged in permutations(heard):
        rebuild = Rebuild(Listed(logged, 10), [replay], MemoryStore(Disk(KINDS, CODEC)))
        await rebuild.run()
        assert await rebuild.compare(wanted, settle_rounds=1, settle_seconds=0) == []


async def test_a_sale_that_is_told_again_counts_its_seats_once() -> None:
    for logged in permutations([SCHEDULED, HELD, SOLD, SOLD, GIVEN_BACK]):
        store = await rebuilt(ConcertsReplay(), logged, 10)
        (section,) = (await SECTIONS.load(store, ["c1/s1"])).values()
        assert (section.state.sold, section.state.held) == (0, {})


async def test_an_order_that_is_older_than_what_it_shows_of_its_payment_is_as_its_log() -> None:
    rebuild = Rebuild(
        Listed([PLACED, RESERVED, PAID, completed(1)], 10), [OrdersReplay()], MemoryStore(Disk(KINDS, CODEC))
    )
    await rebuild.run()
    live = await rebuilt(OrdersReplay(), [PLACED, RESERVED, PAID], 10)
    known = await ORDERS.one(live, "order-1")
    older = ORDERS.put(msgspec.structs.replace(known.state, payment=None), known.version)
    await live.commit([Commit("order-1", (older,))])
    assert await rebuild.compare(live, settle_rounds=1, settle_seconds=0) == []


ASKED_BACK = PartRefundRequested(
    order_id="order-1",
    allocation=SEATS,
    part=PartRefund(number=1, refund_id="refund-1.1", tickets=1, amount=PRICE, left=PRICE, held=1),
)
ONE_BACK = SeatsReturned(allocation=SEATS, order_id="order-1", number=1, tickets=1, returned_at=NOON)


@pytest.mark.parametrize("ended", [(), (off(CancelReason.ORGANIZER, was_paid=True),)])
async def test_that_seats_of_a_part_are_back_has_to_be_known_until_all_are(ended: tuple[Event, ...]) -> None:
    life = [PLACED, RESERVED, PAID, ASKED_BACK]
    rebuild = Rebuild(Listed([*life, ONE_BACK, *ended], 10), [OrdersReplay()], MemoryStore(Disk(KINDS, CODEC)))
    await rebuild.run()
    live = await rebuilt(OrdersReplay(), [*life, *ended], 10)
    found = await rebuild.compare(live, settle_rounds=1, settle_seconds=0)
    assert [each.field for each in found] == ([] if ended else ["seats_back"])


async def test_an_order_that_shows_another_payment_than_its_log_tells_is_found() -> None:
    rebuild = Rebuild(Listed([PLACED, RESERVED, completed(1)], 10), [OrdersReplay()], MemoryStore(Disk(KINDS, CODEC)))
    await rebuild.run()
    live = await rebuilt(OrdersReplay(), [PLACED, RESERVED, failed(1, retry_until=EXPIRES)], 10)
    (difference,) = await rebuild.compare(live, settle_rounds=1, settle_seconds=0)
    assert difference.field == "payment"


@pytest.mark.parametrize(
    ("life", "status", "sold"),
    [
        ([SCHEDULED, HELD, SOLD], Status.SOLD, 2),
        ([SCHEDULED, HELD, GIVEN_BACK], Status.RELEASED, 0),
        ([SCHEDULED, HELD, SOLD, GIVEN_BACK], Status.RELEASED, 0),
    ],
)
@pytest.mark.parametrize("page", [1, 10])
async def test_seats_end_alike_in_whatever_order_it_is_logged(
    life: list[Event], status: Status, sold: int, page: int
) -> None:
    for logged in permutations(life):
        store = await rebuilt(ConcertsReplay(), logged, page)
        (section,) = (await SECTIONS.load(store, ["c1/s1"])).values()
        (reservation,) = (await RESERVATIONS.load(store, ["reservation-1"], partition="c1/s1")).values()
        assert reservation.state.status is status
        assert (section.state.sold, section.state.held) == (sold, {})


@pytest.mark.parametrize("listed", [True, False])
async def test_a_concert_of_the_log_is_listed_as_it_was(listed: bool) -> None:
    scheduled = msgspec.structs.replace(SCHEDULED, listed=listed)
    store = await rebuilt(ConcertsReplay(), [scheduled], 1)
    assert (await CONCERTS.one(store, "c1")).state.listed is listed


def test_a_concert_that_an_older_version_tells_of_is_listed() -> None:
    envelope = envelop(SCHEDULED, id="event-1", source="concerts", time=NOON, cause=Cause())
    older = json.loads(CODEC.encode(envelope))
    del older["data"]["listed"]
    assert CODEC.decode(json.dumps(older)) == envelope


@pytest.mark.parametrize(
    ("life", "status", "round_"),
    [
        ([RESERVED, completed(1)], ChargeStatus.COMPLETED, 1),
        ([RESERVED, failed(1), completed(2)], ChargeStatus.COMPLETED, 2),
        ([RESERVED, failed(1), failed(2), completed(3), refunded(3)], ChargeStatus.REFUNDED, 3),
    ],
)
@pytest.mark.parametrize("page", [1, 10])
async def test_a_payment_ends_alike_in_whatever_order_it_is_logged(
    life: list[Event], status: ChargeStatus, round_: int, page: int
) -> None:
    for logged in permutations(life):
        store = await rebuilt(PaymentsReplay(), logged, page)
        payment = (await PAYMENTS.one(store, "payment-1")).state
        assert (payment.status, payment.round) == (status, round_)


async def test_a_log_that_misses_what_an_event_is_about_is_found_out_when_compared() -> None:
    rebuild = Rebuild(Listed([PAID], 1), [OrdersReplay()], MemoryStore(Disk(KINDS, CODEC)))
    await rebuild.run()
    live = MemoryStore(Disk(KINDS, CODEC))
    with pytest.raises(CannotFold, match="OrderPaid"):
        await rebuild.compare(live, settle_rounds=1, settle_seconds=0)
    assert (await live.get(ORDERS.kind, [Key("order-1", "order-1")])) == {}


def test_a_payment_that_began_with_what_was_told_again_after_a_move_is_the_same() -> None:
    def paid(*at: int, moves: int | UnsetType = UNSET) -> object:
        seats = tuple(NumberedSeat(id=f"s1-0-{n}", row="0", number=str(n), at=n) for n in at)
        held = msgspec.structs.replace(SEATS, numbered_seats=seats, moves=moves)
        begun = as_begun(msgspec.structs.replace(RESERVED, allocation=held), at=NOON)
        return PaymentsReplay.tables[0].comparable(evolve(begun, completed(1), at=NOON))

    first = paid(1, 2)
    assert first is not None
    assert first == paid(3, 4, moves=1)
