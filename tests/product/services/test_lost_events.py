"""An event that is lost for good, by whatever lost it: the order comes to its end all the same, and nothing is done
twice. The real services over a real store; a service answers the event as handled, and never sees it.
"""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
from tests.product.wiring.platforms import REQUEST, buy, put_on, settings

from cludale.ports.bus import Acknowledgement, Delivery, Handler
from cludale.services.audit.service import Audit
from cludale.services.manifest import Service
from cludale.services.orders.events import CancelReason
from cludale.services.orders.order import Order, OrderRequest, PaymentStatus, Status
from cludale.services.payments import carts
from cludale.services.payments.payment import Payment
from cludale.services.payments.store import PAYMENTS
from cludale.wiring.platform import Platform
from cludale_proof.checker import DataFolder, check

pytestmark = pytest.mark.slow

Losses = Counter[tuple[str, str]]
"""How often each service loses an event of this type."""


Lost = list[tuple[str, Delivery]]
"""What was lost, and by whom."""


def losing(service: Service, losses: Losses, lost: Lost) -> Service:
    running = service.running
    if running.handle is None:
        return service
    return service._replace(running=running._replace(handle=_losing(running.handle, service.name, losses, lost)))


def _losing(handle: Handler, name: str, losses: Losses, lost: Lost) -> Handler:
    async def lossy(deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        answers = [Acknowledgement.SUCCESS] * len(deliveries)
        kept = []
        for at, each in enumerate(deliveries):
            if losses[name, each.event.type] > 0:
                losses[name, each.event.type] -= 1
                lost.append((name, each))
            else:
                kept.append(at)
        if kept:
            for at, answer in zip(kept, await handle([deliveries[at] for at in kept]), strict=True):
                answers[at] = answer
        return answers

    return lossy


class World:
    """A platform that loses what the test says."""

    def __init__(self, platform: Platform, losses: Losses, lost: Lost) -> None:
        self.platform = platform
        self.losses = losses
        self.lost = lost

    async def order(self, order: Order) -> Order:
        return await self.platform.orders.order(order.id)

    async def payment(self, order: Order) -> Payment | None:
        found = await PAYMENTS.load(self.platform.store, [carts.record_id(order.id)])
        return next((carts.seen_as(each.state, order.id) for each in found.values()), None)

    async def ends(self, order: Order, status: Status, payment: PaymentStatus) -> Order:
        """Once the order has come to this end, and nothing of it is left to do."""

        async def is_there() -> bool:
            now = await self.order(order)
            money = await self.payment(order)
            shown = now.payment.status if now.payment else None
            open_ = money is None or money.due_at is not None
            return (now.status, shown, now.due_at, open_) == (status, payment, None, False)

        await until(is_there)
        assert not +self.losses, "what was to be lost was"
        return await self.order(order)

    async def is_told(self, order: Order, times: int) -> None:
        """Once the buyer was told so often. (That it is not more often, the check in the end says.)"""

        async def is_so() -> bool:
            return (await self.story(order))["NotificationSent"] == times

        await until(is_so)

    async def available(self) -> int:
        standing = await self.platform.concerts.directory.standing("concert-1")
        return sum(section.available(standing.at) for section in standing.sections)

    async def story(self, order: Order) -> Counter[str]:
        return Counter(
            entry.event_type for entry in await Audit(self.platform.store, self.platform.clock).story(order.id)
        )


async def until(is_so: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not await is_so():  # noqa: ASYNC110 - what is waited for has no event to wait on
            await asyncio.sleep(0.02)


def violations(folder: Path) -> list[str]:
    """What the checker says of the folder. For a process of its own: the store and the checker bring a SQLite each, and
    two of them on one file in one process take each other's locks away (sqlite.org/howtocorrupt.html, 2.2.1).
    """
    with DataFolder(folder) as snapshot:
        return [str(each) for each in check(snapshot, quiet=True, grace=timedelta(seconds=5)).violations]


@asynccontextmanager
async def world(folder: Path, *lost: tuple[str, str], seats: int = 10, **changes: object) -> AsyncIterator[World]:
    losses: Losses = Counter(lost)
    gone: Lost = []
    quick = {"compare_seconds": 0.05, "compare_after_seconds": 0.3} | changes
    platform = Platform(settings(folder, **quick))
    platform.services = [losing(each, losses, gone) for each in platform.services]
    await platform.start()
    try:
        await put_on(platform, seats)
        yield World(platform, losses, gone)
        found: list[str] = []

        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as elsewhere:

            async def holds() -> bool:
                """Is every promise kept, the last events delivered?"""
                found[:] = await asyncio.get_running_loop().run_in_executor(elsewhere, violations, folder)
                return not found

            with suppress(TimeoutError):
                await until(holds)
        assert found == []
    finally:
        await platform.stop()


async def _is_quiet(platform: Platform) -> bool:
    return platform.relay.lag == 0 and not any(platform.bus.depths.values())


PAID, CANCELLED = Status.PAID, Status.CANCELLED


@pytest.mark.parametrize(
    "lost",
    [
        ("payments", "TicketReserved"),
        ("concerts", "PaymentCompleted"),
        ("orders", "PaymentCompleted"),
        ("orders", "SeatsSold"),
    ],
    ids="-".join,
)
async def test_an_order_gets_its_ticket_whatever_event_on_the_way_is_lost(
    tmp_path: Path, lost: tuple[str, str]
) -> None:
    async with world(tmp_path, lost) as here:
        order = await here.ends(await buy(here.platform), PAID, PaymentStatus.COMPLETED)
        assert await here.available() == 8
        await here.is_told(order, 1)


async def test_several_losses_of_one_order_heal_one_after_another(tmp_path: Path) -> None:
    lost = [
        ("payments", "TicketReserved"),
        ("concerts", "PaymentCompleted"),
        ("orders", "PaymentCompleted"),
        ("orders", "SeatsSold"),
        ("orders", "SeatsSold"),
    ]
    async with world(tmp_path, *lost) as here:
        order = await here.ends(await buy(here.platform), PAID, PaymentStatus.COMPLETED)
        assert await here.available() == 8
        await here.is_told(order, 1)
        assert (await here.story(order))["OrderPaid"] == 1


async def test_a_decline_that_orders_does_not_hear_of_ends_the_order_all_the_same(tmp_path: Path) -> None:
    async with world(tmp_path, ("orders", "PaymentFailed"), hold_seconds=2.0) as here:
        order = await here.ends(await buy(here.platform, method="card-declined"), CANCELLED, PaymentStatus.DECLINED)
        assert order.reason is CancelReason.DECLINED
        assert await here.available() == 10


async def test_another_way_to_pay_is_taken_though_payments_does_not_hear_of_it(tmp_path: Path) -> None:
    async with world(tmp_path, ("payments", "PaymentRequested")) as here:
        order = await buy(here.platform, method="card-declined")

        async def is_declined() -> bool:
            payment = (await here.order(order)).payment
            return payment is not None and payment.status is PaymentStatus.DECLINED

        await until(is_declined)
        await here.platform.orders.pay_again(order.id, method="card-ok", cause=REQUEST)
        paid = await here.ends(order, PAID, PaymentStatus.COMPLETED)
        assert paid.payment is not None
        assert paid.payment.round == 2


@pytest.mark.parametrize("loser", [None, "orders", "payments"])
async def test_money_that_came_to_nobody_until_the_seats_were_gone_goes_back_once(
    tmp_path: Path, loser: str | None
) -> None:
    losses = [("concerts", "PaymentCompleted")] + ([(loser, "SaleRefused")] if loser else [])
    async with world(tmp_path, *losses, seats=2, hold_seconds=1.0, compare_after_seconds=2.5) as here:
        late = await buy(here.platform)

        async def is_free() -> bool:
            return await here.available() == 2

        await until(is_free)
        other = await buy(here.platform)
        gone = await here.ends(late, CANCELLED, PaymentStatus.REFUNDED)
        assert gone.reason is CancelReason.EXPIRED
        await here.ends(other, PAID, PaymentStatus.COMPLETED)
        await here.is_told(late, 1)


@pytest.mark.parametrize("loser", ["payments", "concerts", "both"])
async def test_a_ticket_that_is_cancelled_gives_back_money_and_seats_whoever_does_not_hear_of_it(
    tmp_path: Path, loser: str
) -> None:
    losers = ("payments", "concerts") if loser == "both" else (loser,)
    async with world(tmp_path, *((each, "OrderCancelled") for each in losers)) as here:
        order = await buy(here.platform)
        await here.platform.orders.news.settled(order.id, wait_seconds=5)
        await here.platform.orders.cancel(order.id, CancelReason.BUYER, REQUEST)
        await here.ends(order, CANCELLED, PaymentStatus.REFUNDED)
        assert await here.available() == 10
        await here.is_told(order, 2)
        told = await here.story(order)
        assert (told["PaymentRefunded"], told["SeatsReleased"]) == (1, 1)


@pytest.mark.parametrize("loser", ["payments", "concerts"])
async def test_a_cart_that_is_cancelled_gives_back_money_and_seats_whoever_misses_one_of_its_lines(
    tmp_path: Path, loser: str
) -> None:
    async with world(tmp_path, (loser, "OrderCancelled")) as here:
        orders = here.platform.orders
        wanted = OrderRequest(concert_id="concert-1", user_id="user-1", quantity=2)
        cart = await orders.carts.place([wanted, wanted], cause=REQUEST)
        await orders.news.settled_cart(cart.cart.id, wait_seconds=5)
        await orders.carts.cancel(cart.cart.id, CancelReason.BUYER, cause=REQUEST)
        for line in cart.orders:
            await here.ends(line, CANCELLED, PaymentStatus.REFUNDED)
        assert await here.available() == 10


async def test_a_refund_that_orders_does_not_hear_of_is_shown_in_the_end(tmp_path: Path) -> None:
    async with world(tmp_path, ("orders", "PaymentRefunded")) as here:
        order = await buy(here.platform)
        await here.platform.orders.news.settled(order.id, wait_seconds=5)
        await here.platform.orders.cancel(order.id, CancelReason.BUYER, REQUEST)
        await here.ends(order, CANCELLED, PaymentStatus.REFUNDED)


async def test_a_charge_of_the_organizers_that_everybody_misses_brings_the_ticket(tmp_path: Path) -> None:
    lost = [("concerts", "PaymentCompleted"), ("orders", "PaymentCompleted")]
    async with world(tmp_path, *lost, hold_seconds=1.0) as here:
        order = await buy(here.platform, method="card-declined")

        async def is_off() -> bool:
            return (await here.order(order)).status is CANCELLED

        await until(is_off)
        await here.platform.payments.charge_now(order.id, method="card-ok", cause=REQUEST)
        await here.ends(order, PAID, PaymentStatus.COMPLETED)


async def test_what_is_told_again_is_said_in_the_log_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "cludale.services.orders"):
        async with world(tmp_path, ("concerts", "PaymentCompleted")) as here:
            order = await here.ends(await buy(here.platform), PAID, PaymentStatus.COMPLETED)
            gauges = here.platform.gauges()
    assert gauges['cludale_orders_told_again_total{lost="money"}'] >= 1
    (said,) = {re.sub("since .*?;", "since …;", each) for each in caplog.messages}
    assert said == (
        f"order {order.id} is Reserved and shows its payment Completed since …; payments says: taken (round 1). "
        "An event seems to be lost, so it is told again: how its money stands, or what follows from it"
    )


async def test_an_order_that_ends_as_most_do_is_never_asked_about(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        order = await here.ends(await buy(here.platform), PAID, PaymentStatus.COMPLETED)
        declined = await buy(here.platform, method="card-declined")
        await asyncio.sleep(1.0)
        assert (await here.order(order)).status is PAID
        assert (await here.order(declined)).status is Status.RESERVED
        assert here.platform.gauges()["cludale_orders_compared_total"] == 0
        await here.platform.orders.cancel(declined.id, CancelReason.BUYER, REQUEST)
        await here.ends(declined, CANCELLED, PaymentStatus.DECLINED)
        assert here.platform.gauges()["cludale_orders_compared_total"] == 1


@pytest.mark.parametrize(
    "lost", [("concerts", "PaymentCompleted"), ("orders", "SeatsSold"), ("payments", "TicketReserved")], ids="-".join
)
async def test_what_was_lost_and_comes_after_all_changes_nothing(tmp_path: Path, lost: tuple[str, str]) -> None:
    async with world(tmp_path, lost) as here:
        order = await here.ends(await buy(here.platform), PAID, PaymentStatus.COMPLETED)
        await until(lambda: _is_quiet(here.platform))
        before = await here.story(order)
        ((service, delivery),) = here.lost
        assert await here.platform.bus.deliver(service, [delivery]) == [Acknowledgement.SUCCESS]
        await until(lambda: _is_quiet(here.platform))
        assert await here.order(order) == order
        assert await here.story(order) == before
