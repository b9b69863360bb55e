"""Concerts at work over the real store: one batch for everyone who waits, whatever is delivered, however often."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from tests.events import delivered, published, told
from tests.fakes import NOON, CountingIds, ManualClock
from tests.product.runtime.ledgers import Meddled
from tests.product.services.concerts.larks import PRICE, concert_of, plan_of
from tests.seats import allocation

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.allocation import OrderSeats
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.principals import FIRST
from cludale.kernel.refusals import Busy
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.records import StoreUnavailable
from cludale.ports.sales import Outlook, SaleOutlook
from cludale.ports.seats import (
    ConcertNotFound,
    HeldElsewhere,
    HeldOtherwise,
    HoldEnded,
    HoldRequest,
    NotOnSale,
    OverTheLimit,
    SeatsUnavailable,
    SectionNotFound,
)
from cludale.services.concerts.concert import ConcertExists
from cludale.services.concerts.directory import Search
from cludale.services.concerts.events import SectionPlan
from cludale.services.concerts.service import Concerts
from cludale.services.concerts.stock import Reservation, Status
from cludale.services.concerts.store import RESERVATIONS, SECTIONS
from cludale.services.orders.events import CancelReason, OrderCancelled
from cludale.services.payments.events import PaymentCompleted
from cludale_proof.simulator.memory import MemoryStore

STALLS = plan_of("stalls", 10)
BALCONY = plan_of("balcony", 4, Money(6500, "EUR"))
CONCERT = concert_of(STALLS, BALCONY, venue="The Barn")
SUCCESS, RETRY = Acknowledgement.SUCCESS, Acknowledgement.RETRY


@pytest.fixture
def records(store: SqliteStore) -> Meddled:
    return Meddled(store)


@pytest.fixture
async def concerts(records: Meddled, clock: ManualClock, ids: CountingIds) -> Concerts:
    service = Concerts(records, clock=clock, ids=ids, hold_seconds=600, max_per_order=8)
    await service.directory.schedule(CONCERT, Cause())
    return service


@pytest.fixture
def replica(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> Concerts:
    """Another process over the same store."""
    return Concerts(store, clock=clock, ids=ids, hold_seconds=600, max_per_order=8)


def wanted(order: str, quantity: int = 2, section: str | None = "stalls") -> HoldRequest:
    return HoldRequest("concert-1", quantity, f"order-{order}", section)


def paid(order: str, *, event: str | None = None, payment_round: int = 1, section: str = "stalls") -> Delivery:
    completed = PaymentCompleted(
        payment_id=f"payment-{order}",
        order_id=f"order-{order}",
        allocation=allocation(f"reservation-{order}", 2, section=section),
        amount=PRICE.times(2),
        round=payment_round,
        attempts=1,
    )
    return delivered(completed, event or f"paid-{order}")


def cancelled(
    order: str, reason: CancelReason = CancelReason.BUYER, *, event: str | None = None, had_seats: bool = True
) -> Delivery:
    off = OrderCancelled(
        order_id=f"order-{order}",
        seats=OrderSeats(
            concert_id="concert-1",
            quantity=2,
            section="stalls" if had_seats else None,
            reservation_id=f"reservation-{order}" if had_seats else None,
        ),
        total=PRICE.times(2),
        reason=reason,
        was_paid=False,
        reachable=False,
    )
    return delivered(off, event or f"cancelled-{order}")


async def seats(concerts: Concerts) -> tuple[int, int, int]:
    """Available, held and sold in the stalls."""
    standing = await concerts.directory.standing("concert-1")
    section = standing.sections[0]
    return section.available(standing.at), section.held_seats(standing.at), section.sold


async def reservation(store: SqliteStore, id: str) -> Reservation:
    (found,) = (await RESERVATIONS.load(store, [id], partition="concert-1/stalls")).values()
    return found.state


class TestScheduling:
    async def test_a_concert_can_be_found_as_it_was_scheduled(self, concerts: Concerts, store: SqliteStore) -> None:
        standing = await concerts.directory.standing("concert-1")
        assert standing.concert == CONCERT
        assert [section.available(NOON) for section in standing.sections] == [10, 4]
        (scheduled,) = await published(store)
        assert (scheduled.type, scheduled.subject) == ("ConcertScheduled", "concert-1")

    async def test_an_id_is_given_to_one_concert(self, concerts: Concerts, store: SqliteStore) -> None:
        with pytest.raises(ConcertExists):
            await concerts.directory.schedule(msgspec.structs.replace(CONCERT, artist="Others"), Cause())
        assert (await concerts.directory.concert("concert-1")).artist == "The Larks"
        assert await told(store) == ["ConcertScheduled"]

    async def test_a_concert_that_is_not_there_is_named(self, concerts: Concerts) -> None:
        with pytest.raises(ConcertNotFound, match="'concert-9'"):
            await concerts.directory.standing("concert-9")
        with pytest.raises(ConcertNotFound):
            await concerts.holding.hold(HoldRequest("concert-9", 1, "order-a"))


class TestSearching:
    @pytest.fixture(autouse=True)
    async def programme(self, concerts: Concerts) -> None:
        for id, artist, venue, date in [
            ("concert-2", "Ægir", "Old Mill", "2027-01-01"),
            ("concert-3", "THE LARKSPURS", None, "2027-06-05T19:30:00.000000Z"),
            ("concert-4", "Zebra", "The barn", "2028-01-01"),
        ]:
            another = msgspec.structs.replace(CONCERT, id=id, artist=artist, venue=venue, date=date)
            await concerts.directory.schedule(another, Cause())

    @staticmethod
    async def found(concerts: Concerts, search: Search) -> list[str]:
        standings, _ = await concerts.directory.search(search)
        return [standing.concert.id.removeprefix("concert-") for standing in standings]

    async def test_by_artist_and_venue_whatever_the_case(self, concerts: Concerts) -> None:
        assert await self.found(concerts, Search(artist="the lark")) == ["1", "3"]
        assert await self.found(concerts, Search(venue="BARN")) == ["1", "4"]
        assert await self.found(concerts, Search(artist="æGIR")) == ["2"]
        assert await self.found(concerts, Search(artist="lark", venue="barn")) == ["1"]

    async def test_however_it_is_written(self, concerts: Concerts) -> None:
        """An accent may be a character of its own (NFD), as macOS has it in names of files, or left out."""
        for id, artist in (("concert-5", "\u00c4therklang"), ("concert-6", " A\u0308therwind ")):
            await concerts.directory.schedule(msgspec.structs.replace(CONCERT, id=id, artist=artist), Cause())
        for sought in ("\u00e4ther", "a\u0308ther", "  \u00c4THER ", "ather"):
            assert await self.found(concerts, Search(artist=sought)) == ["5", "6"]
        for sought in (" ", "\u0301"):
            assert await self.found(concerts, Search(artist=sought, venue="barn")) == ["1", "5", "6", "4"]
        assert await self.found(concerts, Search(order_by="artist")) == ["5", "6", "1", "3", "4", "2"]

    async def test_a_last_date_takes_in_all_of_its_day(self, concerts: Concerts) -> None:
        assert await self.found(concerts, Search(since="2027-06-05", until="2027-06-05")) == ["1", "3"]
        assert await self.found(concerts, Search(since="2027-06-06")) == ["4"]
        assert await self.found(concerts, Search(until="2027-06-04")) == ["2"]

    async def test_what_is_not_listed_is_found_by_its_id_only(self, concerts: Concerts) -> None:
        unlisted = msgspec.structs.replace(CONCERT, id="concert-5", listed=False)
        await concerts.directory.schedule(unlisted, Cause())
        for search in (Search(), Search(artist="lark"), Search(since="2027-06-05"), Search(order_by="artist")):
            assert "5" not in await self.found(concerts, search)
        assert (await concerts.directory.standing("concert-5")).concert == unlisted
        assert (await concerts.holding.hold(HoldRequest("concert-5", 1, "order-a"))).allocation.quantity == 1

    async def test_what_is_sought_is_no_pattern(self, concerts: Concerts) -> None:
        assert await self.found(concerts, Search(artist="%")) == []
        assert await self.found(concerts, Search(artist="_arks")) == []

    async def test_a_page_is_full_though_others_lie_between(self, concerts: Concerts) -> None:
        assert await self.found(concerts, Search(artist="lark", unlisted_of=FIRST, limit=2)) == ["1", "3"]

    async def test_in_order_and_a_page_at_a_time(self, concerts: Concerts) -> None:
        assert await self.found(concerts, Search(descending=True)) == ["4", "3", "1", "2"]
        assert await self.found(concerts, Search(order_by="artist")) == ["1", "3", "4", "2"]
        first, following = await concerts.directory.search(Search(limit=3))
        rest, end = await concerts.directory.search(Search(limit=3, after=following))
        assert [standing.concert.id[-1] for standing in [*first, *rest]] == ["2", "1", "3", "4"]
        assert end is None


class TestHolding:
    async def test_held_seats_belong_to_the_order(self, concerts: Concerts, store: SqliteStore) -> None:
        held = await concerts.holding.hold(wanted("a", 3))
        assert (held.allocation.reservation_id, held.allocation.section, held.allocation.quantity, held.price) == (
            "reservation-a",
            "stalls",
            3,
            PRICE,
        )
        assert held.expires_at == NOON + timedelta(seconds=600)
        _, reserved = await published(store)
        assert reserved.id == held.event_id
        assert (reserved.type, reserved.correlationid) == ("SeatsReserved", "order-a")
        assert await seats(concerts) == (7, 3, 0)

    async def test_everyone_who_waits_is_served_in_one_batch_until_nothing_is_left(
        self, concerts: Concerts, records: Meddled
    ) -> None:
        before = records.commits
        answers = await asyncio.gather(
            *(concerts.holding.hold(wanted(f"{i}", 3)) for i in range(9)), return_exceptions=True
        )
        assert sum(not isinstance(answer, Exception) for answer in answers) == 3
        refusals = [answer for answer in answers if isinstance(answer, SeatsUnavailable)]
        assert [(refusal.values["left"], refusal.values["held"]) for refusal in refusals] == [(1, 9)] * 6
        assert await seats(concerts) == (1, 9, 0)
        assert records.commits == before + 1

    async def test_asked_again_for_the_same_order_it_is_the_same_hold(
        self, concerts: Concerts, store: SqliteStore
    ) -> None:
        first = await concerts.holding.hold(wanted("a"))
        again = await concerts.holding.hold(wanted("a"))
        assert again == msgspec.structs.replace(first, event_id=None)
        assert (await told(store)).count("SeatsReserved") == 1
        assert await seats(concerts) == (8, 2, 0)

    async def test_asked_again_it_is_found_though_nothing_is_left(self, concerts: Concerts) -> None:
        first = await concerts.holding.hold(wanted("a", 8))
        await concerts.holding.hold(wanted("b", 2))
        assert (
            await concerts.holding.hold(wanted("a", 8))
        ).allocation.reservation_id == first.allocation.reservation_id

    async def test_asked_twice_at_once_it_is_one_hold(self, concerts: Concerts) -> None:
        both = await asyncio.gather(concerts.holding.hold(wanted("a")), concerts.holding.hold(wanted("a")))
        assert len({held.allocation.reservation_id for held in both}) == 1
        assert await seats(concerts) == (8, 2, 0)

    @pytest.mark.parametrize("held_in", [None, "stalls"])
    @pytest.mark.parametrize("other", [wanted("a", 3), wanted("a", 1, None), wanted("a", 2, "balcony"), wanted("a", 8)])
    async def test_asked_again_for_something_else_it_is_refused_and_the_hold_stays(
        self, concerts: Concerts, store: SqliteStore, held_in: str | None, other: HoldRequest
    ) -> None:
        held = await concerts.holding.hold(wanted("a", 2, held_in))
        with pytest.raises(HeldOtherwise) as refusal:
            await concerts.holding.hold(other)
        assert refusal.value.values == {"wanted": other.quantity, "held": 2, "section": "stalls"}
        assert (await told(store)).count("SeatsReserved") == 1
        assert await seats(concerts) == (8, 2, 0)
        for same in (wanted("a", 2, None), wanted("a", 2, "stalls")):
            assert (await concerts.holding.hold(same)).allocation.reservation_id == held.allocation.reservation_id

    async def test_asked_for_more_than_is_left_it_says_what_is_held(self, concerts: Concerts) -> None:
        await concerts.holding.hold(wanted("a", 2))
        await concerts.holding.hold(wanted("b", 8))
        with pytest.raises(HeldOtherwise):
            await concerts.holding.hold(wanted("a", 3))

    async def test_a_hold_that_ended_is_not_held_again(self, concerts: Concerts, clock: ManualClock) -> None:
        await concerts.holding.hold(wanted("a"))
        clock.advance(600)
        with pytest.raises(HoldEnded):
            await concerts.holding.hold(wanted("a"))

    async def test_holds_without_an_order_are_holds_of_their_own(self, concerts: Concerts, store: SqliteStore) -> None:
        one, other = [await concerts.holding.hold(HoldRequest("concert-1", 2, "", "stalls")) for _ in range(2)]
        assert one.allocation.reservation_id != other.allocation.reservation_id
        assert await seats(concerts) == (6, 4, 0)
        assert (await published(store))[-1].correlationid is None

    async def test_orders_of_other_people_never_share_a_hold(self, concerts: Concerts) -> None:
        """An organizer may call an order anything."""
        ids = [
            (await concerts.holding.hold(HoldRequest("concert-1", 1, order, "stalls"))).allocation.reservation_id
            for order in ("order-7", "sale-7", "7", "telephone-sale-7", "sale-sale-7")
        ]
        assert len(set(ids)) == 5
        assert await seats(concerts) == (5, 5, 0)

    async def test_one_order_holds_seats_of_one_concert(self, concerts: Concerts, store: SqliteStore) -> None:
        await concerts.directory.schedule(msgspec.structs.replace(CONCERT, id="concert-2"), Cause())
        await concerts.holding.hold(wanted("a"))
        with pytest.raises(HeldElsewhere):
            await concerts.holding.hold(HoldRequest("concert-2", 2, "order-a", "stalls"))
        await concerts.holding.hold(HoldRequest("concert-2", 8, "order-b", "stalls"))
        with pytest.raises(HeldElsewhere):
            await concerts.holding.hold(HoldRequest("concert-2", 4, "order-a", "stalls"))
        one = await concerts.holding.hold(HoldRequest("concert-1", 2, "sale-7", "stalls"))
        other = await concerts.holding.hold(HoldRequest("concert-2", 2, "sale-7", "stalls"))
        assert one.allocation.reservation_id != other.allocation.reservation_id
        assert (await told(store)).count("SeatsReserved") == 4

    async def test_without_a_section_it_is_the_cheapest_with_room_for_all(self, concerts: Concerts) -> None:
        assert (await concerts.holding.hold(wanted("a", 8, None))).allocation.section == "stalls"
        assert (await concerts.holding.hold(wanted("b", 3, None))).allocation.section == "balcony"
        assert (await concerts.holding.hold(wanted("c", 2, None))).allocation.section == "stalls"
        with pytest.raises(SeatsUnavailable) as refusal:
            await concerts.holding.hold(wanted("d", 4, None))
        until = "2026-11-22T12:10:00.000000Z"
        assert refusal.value.values == {"wanted": 4, "left": 1, "section": "balcony", "held": 13, "heldUntil": until}

    async def test_an_order_that_got_another_section_gets_no_second_hold_when_the_first_has_room_again(
        self, concerts: Concerts
    ) -> None:
        await concerts.holding.hold(wanted("a", 8, None))
        first = await concerts.holding.hold(wanted("b", 3, None))
        assert first.allocation.section == "balcony"
        await concerts.handle([cancelled("a")])
        assert (await concerts.holding.hold(wanted("b", 3, None))).allocation.section == "balcony"
        assert await seats(concerts) == (10, 0, 0)

    async def test_what_may_not_be_ordered_is_refused(self, concerts: Concerts) -> None:
        later = msgspec.structs.replace(CONCERT, id="concert-2", on_sale_at=NOON + timedelta(seconds=1))
        await concerts.directory.schedule(later, Cause())
        with pytest.raises(NotOnSale):
            await concerts.holding.hold(HoldRequest("concert-2", 1, "order-a"))
        with pytest.raises(OverTheLimit):
            await concerts.holding.hold(wanted("a", 9))
        with pytest.raises(SectionNotFound):
            await concerts.holding.hold(wanted("a", 1, "pit"))

    async def test_what_another_replica_held_meanwhile_is_counted(
        self, concerts: Concerts, replica: Concerts, records: Meddled
    ) -> None:
        records.meddle = lambda: replica.holding.hold(wanted("b", 8))
        with pytest.raises(SeatsUnavailable) as refusal:
            await concerts.holding.hold(wanted("a", 3))
        assert refusal.value.values["left"] == 2
        assert await seats(concerts) == (2, 8, 0)

    async def test_of_two_replicas_that_hold_for_one_order_one_does(
        self, concerts: Concerts, replica: Concerts, records: Meddled
    ) -> None:
        records.meddle = lambda: replica.holding.hold(wanted("a", 3))
        assert (await concerts.holding.hold(wanted("a", 3))).event_id is None
        assert await seats(concerts) == (7, 3, 0)

    async def test_too_many_conflicts_end_in_busy(
        self, concerts: Concerts, replica: Concerts, records: Meddled
    ) -> None:
        turn = iter(range(100))
        records.always = lambda: replica.holding.hold(HoldRequest("concert-1", 1, f"order-x{next(turn)}", "stalls"))
        with pytest.raises(Busy):
            await concerts.holding.hold(wanted("a"))
        records.always = None
        assert (await seats(replica))[1] == 8

    async def test_a_store_that_is_away_reaches_everyone_who_waits(self, concerts: Concerts, records: Meddled) -> None:
        async def away() -> None:
            raise StoreUnavailable("locked")

        records.always = away
        answers = await asyncio.gather(
            *(concerts.holding.hold(wanted(f"{i}")) for i in range(3)), return_exceptions=True
        )
        assert all(isinstance(answer, StoreUnavailable) for answer in answers)
        records.always = None
        assert await seats(concerts) == (10, 0, 0)


class TestPartitions:
    """A section knows nothing of another: over a store that finds no record but in its partition."""

    @pytest.fixture
    def records(self, apart: MemoryStore) -> Meddled:
        return Meddled(apart)

    @pytest.fixture
    async def concerts(self, records: Meddled, clock: ManualClock, ids: CountingIds) -> Concerts:
        service = Concerts(records, clock=clock, ids=ids, hold_seconds=600, max_per_order=8, partitions_apart=True)
        await service.directory.schedule(CONCERT, Cause())
        return service

    async def test_two_who_ask_for_one_order_at_once_get_one_hold(
        self, concerts: Concerts, records: Meddled, apart: MemoryStore, clock: ManualClock, ids: CountingIds
    ) -> None:
        replica = Concerts(apart, clock=clock, ids=ids, hold_seconds=600, max_per_order=8, partitions_apart=True)

        async def meanwhile() -> None:
            await replica.holding.hold(wanted("x", 8, "stalls"))
            await replica.holding.hold(wanted("y", 2, "stalls"))
            assert (await replica.holding.hold(wanted("a", 2, None))).allocation.section == "balcony"
            await replica.handle([cancelled("x")])

        records.meddle = meanwhile
        assert (await concerts.holding.hold(wanted("a", 2, None))).allocation.section == "balcony"
        standing = await concerts.directory.standing("concert-1")
        assert [section.held_seats(standing.at) for section in standing.sections] == [2, 2]

    async def test_an_order_that_asks_again_gets_its_hold_and_not_another_in_the_next_section(
        self, concerts: Concerts
    ) -> None:
        held = await concerts.holding.hold(wanted("a", 8, None))
        await concerts.holding.hold(wanted("b", 2, "stalls"))
        again = await concerts.holding.hold(wanted("a", 8, None))
        assert (again.allocation.reservation_id, again.allocation.section) == (held.allocation.reservation_id, "stalls")
        assert (await concerts.holding.hold(wanted("b", 2, None))).allocation.section == "stalls"
        standing = await concerts.directory.standing("concert-1")
        assert [section.held_seats(standing.at) for section in standing.sections] == [10, 0]

    async def test_a_hold_that_ended_is_not_held_a_second_time_in_the_next_section(
        self, concerts: Concerts, clock: ManualClock
    ) -> None:
        await concerts.holding.hold(wanted("a", 2, None))
        clock.advance(601)
        await concerts.holding.hold(wanted("b", 8, "stalls"))
        await concerts.holding.hold(wanted("c", 2, "stalls"))
        with pytest.raises(HoldEnded):
            await concerts.holding.hold(wanted("a", 2, None))

    async def test_everything_that_happens_to_a_reservation_finds_it(
        self, concerts: Concerts, clock: ManualClock
    ) -> None:
        for name in "abc":
            await concerts.holding.hold(wanted(name))
        assert await concerts.handle([paid("a"), cancelled("b"), paid("a")]) == [SUCCESS, SUCCESS, SUCCESS]
        clock.advance(601)
        assert await concerts.sweep() == 1
        assert await concerts.handle([paid("c")]) == [SUCCESS]
        assert await concerts.handle([paid("a"), cancelled("b"), paid("c")]) == [SUCCESS, SUCCESS, SUCCESS]
        assert await seats(concerts) == (6, 0, 4)


class TestACommitLimit:
    @pytest.fixture
    async def concerts(self, records: Meddled, clock: ManualClock, ids: CountingIds) -> Concerts:
        service = Concerts(records, clock=clock, ids=ids, hold_seconds=600, max_per_order=8, commit_limit=4)
        await service.directory.schedule(CONCERT, Cause())
        return service

    async def test_a_batch_makes_as_many_commits_as_the_store_needs(self, concerts: Concerts, records: Meddled) -> None:
        before = records.commits
        held = await asyncio.gather(*(concerts.holding.hold(wanted(f"{i}", 1)) for i in range(8)))
        assert len({each.allocation.reservation_id for each in held}) == 8
        assert records.commits - before == 3  # three holds a commit: the fourth is the section
        assert await concerts.handle([paid(f"{i}") for i in range(8)]) == [SUCCESS] * 8
        assert await seats(concerts) == (2, 0, 8)

    async def test_what_a_part_committed_stands_when_the_store_goes_away_before_the_next(
        self, concerts: Concerts, records: Meddled
    ) -> None:
        async def away() -> None:
            if records.commits > 1:
                raise StoreUnavailable("away")

        records.commits = 0
        records.always = away
        answers = await asyncio.gather(
            *(concerts.holding.hold(wanted(f"{i}", 1)) for i in range(8)), return_exceptions=True
        )
        assert [isinstance(answer, StoreUnavailable) for answer in answers] == [False] * 6 + [True] * 2
        records.always = None
        assert await seats(concerts) == (4, 6, 0)


class TestMoney:
    async def test_money_sells_the_seats(self, concerts: Concerts, store: SqliteStore) -> None:
        await concerts.holding.hold(wanted("a"))
        assert await concerts.handle([paid("a")]) == [SUCCESS]
        assert await seats(concerts) == (8, 0, 2)
        sold = (await published(store))[-1]
        assert (sold.type, sold.correlationid, sold.causationid) == ("SeatsSold", "order-a", "paid-a")

    async def test_a_redelivered_payment_sells_the_seats_once(self, concerts: Concerts, store: SqliteStore) -> None:
        await concerts.holding.hold(wanted("a"))
        assert await concerts.handle([paid("a")]) == [SUCCESS]
        assert await concerts.handle([paid("a"), paid("a")]) == [SUCCESS, SUCCESS]
        assert (await told(store)).count("SeatsSold") == 1
        assert await seats(concerts) == (8, 0, 2)

    async def test_a_redelivered_payment_does_not_sell_seats_that_were_given_back_since(
        self, concerts: Concerts, store: SqliteStore
    ) -> None:
        await concerts.holding.hold(wanted("a"))
        await concerts.handle([paid("a")])
        await concerts.handle([cancelled("a")])
        before = await told(store)
        assert await concerts.handle([paid("a")]) == [SUCCESS]
        assert await told(store) == before
        assert await seats(concerts) == (10, 0, 0)

    async def test_a_redelivered_payment_stops_none_of_those_beside_it(self, concerts: Concerts) -> None:
        for order in "abc":
            await concerts.holding.hold(wanted(order))
        await concerts.handle([paid("a")])
        assert await concerts.handle([paid("b"), paid("a"), paid("c")]) == [SUCCESS] * 3
        assert await seats(concerts) == (4, 0, 6)

    async def test_money_that_comes_before_its_reservation_is_to_come_again(self, concerts: Concerts) -> None:
        await concerts.holding.hold(wanted("b"))
        assert await concerts.handle([paid("a"), paid("b")]) == [RETRY, SUCCESS]
        await concerts.holding.hold(wanted("a"))
        assert await concerts.handle([paid("a")]) == [SUCCESS]

    async def test_late_money_gets_other_seats_once(
        self, concerts: Concerts, store: SqliteStore, clock: ManualClock
    ) -> None:
        await concerts.holding.hold(wanted("a"))
        clock.advance(601)
        assert await concerts.handle([paid("a")]) == [SUCCESS]
        assert await concerts.handle([paid("a")]) == [SUCCESS]
        assert await seats(concerts) == (8, 0, 2)
        assert (await told(store))[1:] == ["SeatsReserved", "SeatsReleased", "SeatsReserved", "SeatsSold"]
        assert (await reservation(store, "reservation-a")).successor == "reservation-a.1"

    async def test_late_money_without_seats_is_refused_once(
        self, concerts: Concerts, store: SqliteStore, clock: ManualClock
    ) -> None:
        await concerts.holding.hold(wanted("a"))
        clock.advance(600)
        for order, quantity in (("b", 8), ("c", 2)):
            await concerts.holding.hold(wanted(order, quantity))
        for _ in range(3):
            assert await concerts.handle([paid("a")]) == [SUCCESS]
        assert (await told(store, about="order-a")) == ["SeatsReserved", "SeatsReleased", "SaleRefused"]
        assert await seats(concerts) == (0, 10, 0)

    async def test_what_would_come_of_late_money_is_told_and_nothing_of_it_kept(
        self, concerts: Concerts, store: SqliteStore, clock: ManualClock
    ) -> None:
        question = ("concert-1", "stalls", "reservation-a")
        assert (await concerts.late_money.sale_outlook(*question)).outlook is Outlook.GONE
        await concerts.holding.hold(wanted("a"))
        clock.advance(601)
        before = await told(store)
        assert await concerts.late_money.sale_outlook(*question) == SaleOutlook(Outlook.POSSIBLE, 10)
        assert await told(store) == before
        await concerts.handle([paid("a")])
        assert (await concerts.late_money.sale_outlook(*question)).outlook is Outlook.SOLD

    async def test_an_order_that_failed_by_itself_gets_seats_for_a_new_payment_and_one_that_was_cancelled_does_not(
        self, concerts: Concerts, store: SqliteStore
    ) -> None:
        for order, reason in (("a", CancelReason.DECLINED), ("b", CancelReason.BUYER)):
            await concerts.holding.hold(wanted(order))
            await concerts.handle([cancelled(order, reason)])
            assert await concerts.handle([paid(order, payment_round=2)]) == [SUCCESS]
        assert (await told(store, about="order-a"))[-1] == "SeatsSold"
        assert (await told(store, about="order-b"))[-1] == "SaleRefused"
        assert await seats(concerts) == (8, 0, 2)

    async def test_many_sections_are_sold_in_one_batch(self, concerts: Concerts) -> None:
        await concerts.holding.hold(wanted("a"))
        await concerts.holding.hold(wanted("b", 2, "balcony"))
        assert await concerts.handle([paid("a"), paid("b", section="balcony")]) == [SUCCESS, SUCCESS]
        standing = await concerts.directory.standing("concert-1")
        assert [section.sold for section in standing.sections] == [2, 2]


class TestACancellation:
    async def test_a_redelivered_cancellation_gives_the_seats_back_once(
        self, concerts: Concerts, store: SqliteStore
    ) -> None:
        await concerts.holding.hold(wanted("a"))
        await concerts.handle([paid("a")])
        for _ in range(2):
            assert await concerts.handle([cancelled("a"), cancelled("a")]) == [SUCCESS, SUCCESS]
        assert (await told(store)).count("SeatsReleased") == 1
        assert await seats(concerts) == (10, 0, 0)

    async def test_one_that_never_had_seats_gives_nothing_back(self, concerts: Concerts, store: SqliteStore) -> None:
        assert await concerts.handle([cancelled("a", had_seats=False)]) == [SUCCESS]
        assert await told(store) == ["ConcertScheduled"]

    async def test_one_that_overtook_its_reservation_is_to_come_again(self, concerts: Concerts) -> None:
        assert await concerts.handle([cancelled("a")]) == [RETRY]

    async def test_cancel_against_pay_has_one_winner_in_either_order(
        self, concerts: Concerts, store: SqliteStore
    ) -> None:
        for order, batch in (("a", [paid("a"), cancelled("a")]), ("b", [cancelled("b"), paid("b")])):
            await concerts.holding.hold(wanted(order))
            assert await concerts.handle(batch) == [SUCCESS, SUCCESS]
        assert await seats(concerts) == (10, 0, 0)
        assert (await told(store, about="order-a")) == ["SeatsReserved", "SeatsSold", "SeatsReleased"]
        assert (await told(store, about="order-b")) == ["SeatsReserved", "SeatsReleased", "SaleRefused"]

    @pytest.mark.parametrize("reason", list(CancelReason))
    async def test_every_reason_for_a_cancellation_gives_held_seats_back(
        self, concerts: Concerts, store: SqliteStore, reason: CancelReason
    ) -> None:
        await concerts.holding.hold(wanted("a"))
        assert await concerts.handle([cancelled("a", reason)]) == [SUCCESS]
        assert (await reservation(store, "reservation-a")).status is Status.RELEASED


class TestSweeping:
    async def test_it_publishes_what_has_come_true_once(
        self, concerts: Concerts, store: SqliteStore, clock: ManualClock
    ) -> None:
        await concerts.holding.hold(wanted("a"))
        clock.advance(5)
        await concerts.holding.hold(wanted("b"))
        await concerts.handle([paid("b")])
        clock.advance(600)
        assert await seats(concerts) == (8, 0, 2)
        assert await concerts.sweep() == 1
        assert await concerts.sweep() == 0
        assert (await told(store)).count("SeatsReleased") == 1
        assert await seats(concerts) == (8, 0, 2)
        (section,) = (await SECTIONS.load(store, ["concert-1/stalls"])).values()
        assert section.state.held == {}

    async def test_it_leaves_holds_that_go_on(self, concerts: Concerts, clock: ManualClock) -> None:
        await concerts.holding.hold(wanted("a"))
        clock.advance(599.9)
        assert await concerts.sweep() == 0
        assert await seats(concerts) == (8, 2, 0)

    async def test_many_holds_of_many_sections_end_in_one_sweep(
        self, concerts: Concerts, store: SqliteStore, clock: ManualClock
    ) -> None:
        big = SectionPlan(id="field", name="Field", total_seats=1_000, price=PRICE)
        await concerts.directory.schedule(msgspec.structs.replace(CONCERT, id="concert-2", sections=(big,)), Cause())
        holds = [concerts.holding.hold(HoldRequest("concert-2", 1, f"order-{i}")) for i in range(450)]
        await asyncio.gather(*holds, concerts.holding.hold(wanted("a")))
        clock.advance(601)
        assert await concerts.sweep() == 451
        assert (await told(store)).count("SeatsReleased") == 451
