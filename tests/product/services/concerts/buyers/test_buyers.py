"""Limits of buyers: what one may have of a concert, and how many unpaid orders at once."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from tests.events import delivered
from tests.fakes import NOON, CountingIds, ManualClock
from tests.product.services.concerts.larks import PRICE, concert_of, plan_of
from tests.seats import allocation

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.allocation import OrderSeats
from cludale.kernel.buyers import BUYER_KEY, BuyerHash, BuyerKeys, KnownBy, folded_email, folded_phone
from cludale.kernel.events import Cause
from cludale.kernel.times import rfc3339
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.records import Key, Records
from cludale.ports.sales import Outlook
from cludale.ports.seats import BuyerLimitReached, HoldRequest, HoldsLapsed, SeatsUnavailable, TooManyHolds
from cludale.services.concerts.api import MOST_BUYER_KEYS
from cludale.services.concerts.buyers.domain import FORGOTTEN_SECONDS
from cludale.services.concerts.buyers.service import Quotas
from cludale.services.concerts.service import Concerts
from cludale.services.concerts.store import ALLOWANCES, allowance_id
from cludale.services.orders.events import CancelReason, OrderCancelled, PartRefund, PartRefundRequested
from cludale.services.payments.events import PaymentCompleted

CONCERT = concert_of(plan_of("stalls", 100), plan_of("box", 1), max_per_buyer=4)
HASH = BuyerHash(b"secret")
ANNE = HASH.keys("anne", "anne@example.org", "+49 170 1")
HOLD_SECONDS = 60


class Service(Concerts):
    """Concerts with some quotas."""

    def __init__(self, store: Records, clock: ManualClock, ids: CountingIds, quotas: Quotas) -> None:
        super().__init__(store, clock=clock, ids=ids, hold_seconds=HOLD_SECONDS, max_per_order=8, quotas=quotas)

    async def take(self, order: str, quantity: int = 1, buyers: BuyerKeys = ANNE, section: str | None = None) -> None:
        await self.holding.hold(HoldRequest("concert-1", quantity, f"order-{order}", section, buyers=buyers))


@pytest.fixture
async def concerts(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> Service:
    service = Service(store, clock, ids, Quotas())
    await service.directory.schedule(CONCERT, Cause())
    return service


@pytest.fixture
def replica(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> Service:
    return Service(store, clock, ids, Quotas())


@pytest.fixture
async def strict(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> Service:
    """With quotas for unpaid orders, and a concert without a limit."""
    quotas = Quotas(holds_per_buyer=2, holds_per_address=3, lapses=2, pause_seconds=300)
    service = Service(store, clock, ids, quotas)
    await service.directory.schedule(msgspec.structs.replace(CONCERT, max_per_buyer=msgspec.UNSET), Cause())
    return service


class Stuck:
    """A queue in which nothing is ever done."""

    def submit(self, *_: object) -> "asyncio.Future[None]":
        return asyncio.get_running_loop().create_future()


def paid(order: str, quantity: int = 4, *, section: str = "stalls") -> Delivery:
    money = PaymentCompleted(
        payment_id=f"payment-{order}",
        order_id=f"order-{order}",
        allocation=allocation(f"reservation-{order}", quantity, section=section),
        amount=PRICE.times(quantity),
        round=1,
        attempts=1,
    )
    return delivered(money, f"paid-{order}")


def cancelled(order: str, quantity: int = 1) -> Delivery:
    off = OrderCancelled(
        order_id=f"order-{order}",
        seats=OrderSeats(
            concert_id="concert-1", quantity=quantity, section="stalls", reservation_id=f"reservation-{order}"
        ),
        total=PRICE,
        reason=CancelReason.BUYER,
        was_paid=False,
        reachable=False,
    )
    return delivered(off, f"cancelled-{order}")


def a_ticket_back(order: str, of: int) -> Delivery:
    part = PartRefund(number=1, refund_id="r", tickets=1, amount=PRICE, left=PRICE.times(of - 1), held=of - 1)
    seats = allocation(f"reservation-{order}", of, section="stalls")
    return delivered(PartRefundRequested(order_id=f"order-{order}", part=part, allocation=seats), f"part-{order}")


class TestOfOneConcert:
    async def test_a_buyer_has_no_more_than_the_limit_and_is_told_how_many(self, concerts: Service) -> None:
        await concerts.take("a", 3)
        with pytest.raises(BuyerLimitReached) as refused:
            await concerts.take("b", 2)
        assert refused.value.values == {"limit": 4, "has": 3, "wanted": 2, "knownBy": "user"}
        await concerts.take("c", 1)

    @pytest.mark.parametrize(
        ("other", "known"),
        [
            (("anne", "else@example.org", None), KnownBy.USER),
            (("b", "Anne+two@EXAMPLE.org", "1"), KnownBy.EMAIL),
            (("c", None, "0049 (0)170-1"), KnownBy.PHONE),
        ],
    )
    async def test_whoever_shares_one_of_these_is_the_same_buyer(
        self, concerts: Service, other: tuple[str, str | None, str | None], known: KnownBy
    ) -> None:
        await concerts.take("a", 4)
        with pytest.raises(BuyerLimitReached) as refused:
            await concerts.take("b", 1, HASH.keys(*other))
        assert refused.value.values["knownBy"] == known
        await concerts.take("c", 4, HASH.keys("carl", "carl@example.org", None))

    async def test_what_is_given_back_counts_no_more(self, concerts: Service, clock: ManualClock) -> None:
        await concerts.take("a", 4)
        await concerts.handle([paid("a")])
        with pytest.raises(BuyerLimitReached):
            await concerts.take("b", 1)
        await concerts.handle([cancelled("a", 4)])
        await concerts.take("c", 4)
        clock.advance(HOLD_SECONDS + 1)  # nobody swept
        await concerts.take("d", 4)

    async def test_a_ticket_of_an_order_that_is_given_back_counts_no_more(self, concerts: Service) -> None:
        await concerts.take("a", 4)
        await concerts.handle([paid("a"), a_ticket_back("a", of=4)])
        with pytest.raises(BuyerLimitReached) as refused:
            await concerts.take("b", 2)
        assert refused.value.values["has"] == 3
        await concerts.take("c", 1)

    async def test_seats_that_could_not_be_had_count_no_more(self, concerts: Service) -> None:
        with pytest.raises(SeatsUnavailable):
            await concerts.take("a", 4, section="box")
        await concerts.take("b", 4, section="stalls")

    async def test_asked_again_an_order_counts_once(self, concerts: Service, replica: Service) -> None:
        await asyncio.gather(*(service.take("a", 4) for service in (concerts, replica, concerts)))
        with pytest.raises(BuyerLimitReached):
            await concerts.take("b", 1)

    async def test_fifty_orders_at_once_through_two_replicas_get_exactly_the_limit(
        self, concerts: Service, replica: Service
    ) -> None:
        results = await asyncio.gather(
            *((concerts, replica)[i % 2].take(str(i), 1) for i in range(50)), return_exceptions=True
        )
        assert [type(each) for each in results if each is not None] == [BuyerLimitReached] * 46
        standing = await concerts.directory.standing("concert-1")
        assert sum(section.held_seats(standing.at) for section in standing.sections) == 4

    async def test_a_claim_that_a_dead_process_left_is_forgotten(
        self, concerts: Service, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(concerts.command_queue, "submit", Stuck().submit)
            dying = asyncio.create_task(concerts.take("a", 4, section="stalls"))
            await asyncio.sleep(0.1)
            dying.cancel()
        with pytest.raises(BuyerLimitReached):
            await concerts.take("b", 1)
        clock.advance(FORGOTTEN_SECONDS)
        await concerts.take("b", 4)

    async def test_late_money_gets_no_seats_beyond_the_limit(self, concerts: Service, clock: ManualClock) -> None:
        await concerts.take("a", 4, section="stalls")
        clock.advance(HOLD_SECONDS + 1)
        outlook = await concerts.late_money.sale_outlook("concert-1", "stalls", "reservation-a")
        assert outlook.outlook is Outlook.POSSIBLE
        await concerts.take("b", 4, section="stalls")
        outlook = await concerts.late_money.sale_outlook("concert-1", "stalls", "reservation-a")
        assert outlook.outlook is Outlook.GONE
        assert await concerts.handle([paid("a")]) == [Acknowledgement.SUCCESS]
        section = (await concerts.directory.standing("concert-1")).sections[0]
        assert (section.sold, section.held_seats(clock.now())) == (0, 4)

    async def test_late_money_gets_seats_within_the_limit_and_they_count(
        self, concerts: Service, clock: ManualClock
    ) -> None:
        await concerts.take("a", 4, section="stalls")
        clock.advance(HOLD_SECONDS + 1)
        assert await concerts.handle([paid("a")]) == [Acknowledgement.SUCCESS]
        assert (await concerts.directory.standing("concert-1")).sections[0].sold == 4
        with pytest.raises(BuyerLimitReached):
            await concerts.take("b", 1)

    async def test_where_there_is_no_limit_nothing_is_claimed(self, concerts: Service, store: SqliteStore) -> None:
        await concerts.directory.schedule(
            msgspec.structs.replace(CONCERT, id="free", max_per_buyer=msgspec.UNSET), Cause()
        )
        await concerts.holding.hold(HoldRequest("free", 8, "order-a", "stalls", buyers=ANNE))
        ids = [allowance_id(key, where) for key in ANNE for where in ("free", "*")]
        assert not await ALLOWANCES.load(store, ids)

    async def test_no_address_and_no_number_is_stored(self, concerts: Service, store: SqliteStore) -> None:
        await concerts.take("a", 1)
        for key in ANNE:
            (known,) = (
                await store.get(ALLOWANCES.kind, [Key(allowance_id(key, "concert-1"), allowance_id(key, "concert-1"))])
            ).values()
            assert b"anne" not in known.body
            assert b"170" not in known.body


class TestUnpaidOrders:
    async def test_so_many_at_once_over_all_concerts(self, strict: Service) -> None:
        await strict.directory.schedule(msgspec.structs.replace(CONCERT, id="concert-2"), Cause())
        await strict.take("a")
        await strict.holding.hold(HoldRequest("concert-2", 1, "order-b", buyers=ANNE))
        with pytest.raises(TooManyHolds) as refused:
            await strict.take("c")
        assert refused.value.values == {"limit": 2, "has": 2, "knownBy": "user"}
        await strict.handle([paid("a", 1)])
        await strict.take("d")

    async def test_those_of_an_address_are_counted_whoever_they_are_of(self, strict: Service) -> None:
        (address,) = HASH.address("203.0.113.9")
        for buyer in "abc":
            await strict.take(buyer, 1, (*HASH.keys(buyer, None, None), address))
        with pytest.raises(TooManyHolds) as refused:
            await strict.take("d", 1, (*HASH.keys("d", None, None), address))
        assert refused.value.values["knownBy"] == "address"

    async def test_who_lets_holds_lapse_again_and_again_waits(self, strict: Service, clock: ManualClock) -> None:
        await strict.take("a")
        clock.advance(HOLD_SECONDS * 2)
        await strict.take("b")
        clock.advance(HOLD_SECONDS * 2)
        with pytest.raises(HoldsLapsed) as refused:
            await strict.take("c")
        assert refused.value.retry_after_seconds == 240  # from the end of the second hold
        assert refused.value.values["waitUntil"] == rfc3339(NOON + timedelta(seconds=3 * HOLD_SECONDS + 300))
        clock.advance(240)
        await strict.take("d")

    async def test_what_is_held_and_given_back_is_a_lapse_and_a_paid_order_ends_the_row(
        self, strict: Service, clock: ManualClock
    ) -> None:
        await strict.take("a")
        await strict.handle([cancelled("a")])
        await strict.take("b")
        await strict.handle([paid("b", 1)])
        clock.advance(HOLD_SECONDS * 2)
        await strict.take("c")
        await strict.handle([cancelled("c")])
        await strict.take("d")
        clock.advance(HOLD_SECONDS * 2)
        with pytest.raises(HoldsLapsed):
            await strict.take("e")


def test_an_address_and_a_number_are_folded() -> None:
    assert folded_email("Ann.Lee+x@Example.ORG") == "ann.lee@example.org"
    assert folded_phone("+49 (0)170 / 12-34") == folded_phone("0049 170 1234") == "491701234"


def test_a_buyer_key_is_a_hash_that_another_secret_makes_otherwise() -> None:
    assert all(map(BUYER_KEY.fullmatch, ANNE))
    assert [KnownBy.of(key) for key in ANNE] == [KnownBy.USER, KnownBy.EMAIL, KnownBy.PHONE]
    assert not set(ANNE) & set(BuyerHash(b"other").keys("anne", "anne@example.org", "+49 170 1"))
    assert len({HASH.keys("1", "1@x", "1")[i].split("-", 1)[1] for i in range(3)}) == 3


def test_while_the_secret_is_changed_a_buyer_is_known_by_both() -> None:
    former, new = BuyerHash(b"former"), BuyerHash(b"new")
    both = BuyerHash(b"new", b"former")
    named = ("anne", "anne@example.org", "+49 170 1")
    assert set(both.keys(*named)) == {*former.keys(*named), *new.keys(*named)}
    assert both.address("192.0.2.1") == (*new.address("192.0.2.1"), *former.address("192.0.2.1"))
    assert len((*both.keys(*named), *both.address("192.0.2.1"))) <= MOST_BUYER_KEYS
