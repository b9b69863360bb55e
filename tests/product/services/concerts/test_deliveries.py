"""Events that reach concerts more than once, at awkward moments, over the real store."""

from datetime import timedelta

import pytest
from tests.fakes import CountingIds, ManualClock
from tests.seats import allocation

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.allocation import OrderSeats
from cludale.kernel.events import Cause, Event, envelop
from cludale.kernel.money import Money
from cludale.kernel.wire import Codec
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.seats import HoldRequest
from cludale.services.catalogue import CATALOGUE
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import SectionPlan
from cludale.services.concerts.service import Concerts
from cludale.services.orders.events import CancelReason, OrderCancelled
from cludale.services.payments.events import PaymentCompleted

PRICE = Money(4500, "EUR")
CODEC = Codec(CATALOGUE)


@pytest.fixture
async def concerts(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> Concerts:
    service = Concerts(store, clock=clock, ids=ids, hold_seconds=10, max_per_order=8)
    plan = SectionPlan(id="stalls", name="Stalls", total_seats=4, price=PRICE)
    concert = Concert(
        id="c1", artist="A", date="2027-01-01", venue=None, sections=(plan,), on_sale_at=None, max_per_order=8
    )
    await service.directory.schedule(concert, Cause())
    return service


def delivery(event: Event, id: str, clock: ManualClock) -> Delivery:
    envelope = envelop(event, id=id, source="test", time=clock.now(), cause=Cause())
    return Delivery(envelope, CODEC.encode(envelope))


def paid(order_id: str, quantity: int) -> PaymentCompleted:
    return PaymentCompleted(
        payment_id=f"payment-{order_id}",
        order_id=order_id,
        allocation=allocation(f"reservation-{order_id}", quantity, concert_id="c1"),
        amount=PRICE.times(quantity),
        round=1,
        attempts=1,
    )


def cancelled(order_id: str, quantity: int) -> OrderCancelled:
    return OrderCancelled(
        order_id=order_id,
        seats=OrderSeats(
            concert_id="c1", quantity=quantity, section="stalls", reservation_id=f"reservation-{order_id}"
        ),
        total=PRICE.times(quantity),
        reason=CancelReason.BUYER,
        was_paid=False,
        reachable=False,
    )


async def types(store: SqliteStore) -> list[str]:
    return [CODEC.decode(entry.body).type for entry in await store.pending(0, 100)]


async def test_money_too_late_that_is_told_twice_at_once_is_refused_once(
    concerts: Concerts, store: SqliteStore, clock: ManualClock
) -> None:
    await concerts.holding.hold(HoldRequest("c1", 2, "order-1"))
    assert await concerts.handle([delivery(cancelled("1", 2), "event-off", clock)]) == [Acknowledgement.SUCCESS]
    clock.at += timedelta(seconds=1)
    twice = [delivery(paid("1", 2), "event-paid", clock)] * 2
    assert await concerts.handle(twice) == [Acknowledgement.SUCCESS, Acknowledgement.SUCCESS]
    assert (await types(store)).count("SaleRefused") == 1
