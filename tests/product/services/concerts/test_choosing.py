"""An order that names no section gets the cheapest with room, however many there are and whoever else sells them."""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
import pytest
from tests.fakes import CountingIds, ManualClock
from tests.product.services.concerts.larks import concert_of, plan_of

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.ports.records import Commit, Key, Kind, Outcome, Page, Query, Records, Stored, StoreUnavailable
from cludale.ports.seats import HoldRequest, OtherCurrency, PriceTooHigh, SeatsHeld, SeatsUnavailable
from cludale.services.concerts.choosing import LOOK_AGAIN_SECONDS
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.service import Concerts
from cludale_proof.simulator.memory import MemoryStore


def concert(*sections: tuple[str, int, int]) -> Concert:
    """A concert with these sections: id, seats, price of one in cents."""
    plans = [plan_of(id, seats, Money(cents, "EUR")) for id, seats, cents in sections]
    return concert_of(*plans, date="2099-06-05")


def many(count: int, *, seats: int) -> Concert:
    """A concert with `count` sections, each a euro dearer than the one before."""
    return concert(*((f"s{n}", seats, 1_000 + 100 * n) for n in range(count)))


class Counted:
    """A store that counts the records that are read, and can be away."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.read = 0
        self.is_away = False

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        self.read += len(keys)
        if self.is_away:
            raise StoreUnavailable("away")
        return await self._records.get(kind, keys)

    async def find(self, kind: Kind, query: Query) -> Page:
        return await self._records.find(kind, query)

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        return await self._records.commit(commits)


@pytest.fixture
def records(store: SqliteStore) -> Counted:
    return Counted(store)


@pytest.fixture
def concerts(records: Counted, clock: ManualClock, ids: CountingIds) -> Concerts:
    return Concerts(records, clock=clock, ids=ids, hold_seconds=600, max_per_order=8)


@pytest.fixture
def replica(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> Concerts:
    """Another process over the same store."""
    return Concerts(store, clock=clock, ids=ids, hold_seconds=600, max_per_order=8)


async def order(
    concerts: Concerts, name: str, quantity: int = 1, section: str | None = None, most: Money | None = None
) -> SeatsHeld:
    return await concerts.holding.hold(HoldRequest("concert-1", quantity, f"order-{name}", section, None, most))


class TestThePrice:
    async def test_it_is_the_cheapest_section_however_they_are_listed(self, concerts: Concerts) -> None:
        await concerts.directory.schedule(
            concert(("floor", 5, 6_500), ("upper", 1, 3_900), ("lower", 5, 5_500)), Cause()
        )
        held = [await order(concerts, name) for name in "abc"]
        assert [(each.allocation.section, each.price.amount) for each in held] == [
            ("upper", 3_900),
            ("lower", 5_500),
            ("lower", 5_500),
        ]

    async def test_of_equally_cheap_ones_it_is_the_one_listed_first(self, concerts: Concerts) -> None:
        await concerts.directory.schedule(concert(("b", 1, 900), ("a", 1, 900), ("c", 1, 900)), Cause())
        assert [(await order(concerts, name)).allocation.section for name in "xyz"] == ["b", "a", "c"]

    async def test_a_free_section_is_had_by_its_name_only(self, concerts: Concerts) -> None:
        await concerts.directory.schedule(concert(("guests", 5, 0), ("hall", 1, 900)), Cause())
        assert (await order(concerts, "a")).allocation.section == "hall"
        with pytest.raises(SeatsUnavailable) as refusal:
            await order(concerts, "b")
        assert (refusal.value.values["left"], refusal.value.values["section"]) == (0, "hall")
        assert (await order(concerts, "c", 1, "guests")).price.amount == 0

    async def test_where_all_are_free_any_will_do(self, concerts: Concerts) -> None:
        await concerts.directory.schedule(concert(("a", 1, 0), ("b", 1, 0)), Cause())
        assert [(await order(concerts, name)).allocation.section for name in "xy"] == ["a", "b"]

    async def test_nobody_pays_more_than_they_said(self, concerts: Concerts) -> None:
        await concerts.directory.schedule(concert(("floor", 5, 6_500), ("upper", 1, 3_900)), Cause())
        most = Money(3_900, "EUR")
        assert (await order(concerts, "a", most=most)).allocation.section == "upper"
        with pytest.raises(PriceTooHigh) as refusal:
            await order(concerts, "b", most=most)
        assert refusal.value.values == {"maxPrice": most, "priceFrom": Money(6_500, "EUR")}
        with pytest.raises(PriceTooHigh):
            await order(concerts, "c", 1, "floor", most)
        assert (await order(concerts, "a", most=most)).allocation.section == "upper"  # asked again
        with pytest.raises(OtherCurrency):
            await order(concerts, "d", most=Money(9_900, "USD"))

    async def test_who_ask_at_once_fill_one_section_after_the_other(self, concerts: Concerts) -> None:
        await concerts.directory.schedule(many(5, seats=3), Cause())
        held = await asyncio.gather(*(order(concerts, f"{n}") for n in range(20)), return_exceptions=True)
        sections = [each.allocation.section if isinstance(each, SeatsHeld) else type(each).__name__ for each in held]
        assert sections == [f"s{n // 3}" for n in range(15)] + ["SeatsUnavailable"] * 5


class TestWhatOthersDo:
    async def test_seats_that_another_replica_took_are_not_given_again(
        self, concerts: Concerts, replica: Concerts
    ) -> None:
        await concerts.directory.schedule(many(4, seats=1), Cause())
        held = [await order((concerts, replica)[n % 2], f"{n}") for n in range(4)]
        assert [each.allocation.section for each in held] == ["s0", "s1", "s2", "s3"]
        for each in (concerts, replica):
            with pytest.raises(SeatsUnavailable):
                await order(each, "x")

    async def test_it_is_never_refused_while_another_replica_gave_a_seat_back(
        self, concerts: Concerts, replica: Concerts, clock: ManualClock
    ) -> None:
        await concerts.directory.schedule(many(3, seats=1), Cause())
        for n in range(3):
            await order(concerts, f"{n}")
        clock.advance(601)
        assert await replica.sweep() == 3
        await order(replica, "a", 1, "s1")
        assert [(await order(concerts, name)).allocation.section for name in "bc"] == ["s0", "s2"]

    async def test_a_cheaper_seat_that_another_replica_gave_back_is_found_soon(
        self, concerts: Concerts, store: SqliteStore, clock: ManualClock
    ) -> None:
        short = Concerts(store, clock=clock, ids=CountingIds(), hold_seconds=5, max_per_order=8)
        await concerts.directory.schedule(many(2, seats=2), Cause())
        await order(short, "x", 2, "s0")
        assert (await order(concerts, "a")).allocation.section == "s1"
        clock.advance(5 + LOOK_AGAIN_SECONDS)
        assert (await order(concerts, "b")).allocation.section == "s0"

    async def test_a_hold_that_ends_is_had_again_in_the_second_in_which_it_ends(
        self, concerts: Concerts, clock: ManualClock
    ) -> None:
        await concerts.directory.schedule(concert(("a", 1, 900), ("b", 1, 1_900)), Cause())
        assert (await order(concerts, "x")).allocation.section == "a"
        clock.advance(599)
        assert (await order(concerts, "y")).allocation.section == "b"
        clock.advance(1)
        assert (await order(concerts, "z")).allocation.section == "a"

    async def test_asked_again_an_order_has_its_one_hold_on_either_replica(
        self, concerts: Concerts, replica: Concerts
    ) -> None:
        await concerts.directory.schedule(many(3, seats=1), Cause())
        for name in "abc":
            first = await order(concerts, name)
            again = await order(replica, name)
            assert again.allocation == first.allocation

    async def test_after_a_restart_it_goes_on_where_seats_are_left(self, concerts: Concerts, replica: Concerts) -> None:
        await concerts.directory.schedule(many(50, seats=1), Cause())
        for n in range(49):
            await order(concerts, f"{n}")
        assert (await order(replica, "x")).allocation.section == "s49"
        with pytest.raises(SeatsUnavailable):
            await order(replica, "y")

    async def test_a_store_that_is_away_is_no_refusal(self, concerts: Concerts, records: Counted) -> None:
        await concerts.directory.schedule(many(3, seats=1), Cause())
        records.is_away = True
        with pytest.raises(StoreUnavailable):
            await order(concerts, "a")
        records.is_away = False
        assert (await order(concerts, "a")).allocation.section == "s0"


class TestHowMuchIsRead:
    @pytest.mark.parametrize("sections", [2, 500])
    async def test_an_order_reads_as_little_of_many_sections_as_of_two(
        self, concerts: Concerts, records: Counted, sections: int
    ) -> None:
        await concerts.directory.schedule(many(sections, seats=100), Cause())
        await order(concerts, "first")
        records.read = 0
        for n in range(20):
            await order(concerts, f"{n}")
        assert records.read == 20  # the section in which it is held

    async def test_those_who_are_refused_together_share_one_look(self, concerts: Concerts, records: Counted) -> None:
        await concerts.directory.schedule(many(500, seats=1), Cause())
        for n in range(500):
            await order(concerts, f"{n}")
        records.read = 0
        refused = await asyncio.gather(*(order(concerts, f"x{n}") for n in range(100)), return_exceptions=True)
        assert all(isinstance(each, SeatsUnavailable) for each in refused)
        assert records.read <= 2 * 500 + 2 * 100  # and one for each: has it seats already?


async def test_where_partitions_are_apart_it_is_the_same(
    apart: MemoryStore, clock: ManualClock, ids: CountingIds
) -> None:
    one, other = (
        Concerts(apart, clock=clock, ids=ids, hold_seconds=600, max_per_order=8, partitions_apart=True)
        for _ in range(2)
    )
    await one.directory.schedule(many(5, seats=2), Cause())
    held = [await order((one, other)[n % 2], f"{n}") for n in range(10)]
    assert [each.allocation.section for each in held] == [f"s{n // 2}" for n in range(10)]
    for n, each in enumerate(held):
        assert (await order((other, one)[n % 2], f"{n}")).allocation.reservation_id == each.allocation.reservation_id
    with pytest.raises(SeatsUnavailable):
        await order(one, "x")
    assert msgspec.structs.asdict((await one.directory.standing("concert-1")).sections[0])["held"]
