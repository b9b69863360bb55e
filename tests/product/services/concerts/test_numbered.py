"""Numbered seats of a section: held, sold, given back, each by one at a time, as the seats that are free allow."""

import itertools
import random

import msgspec
import pytest
from tests.events import delivered, published
from tests.fakes import CountingIds, ManualClock
from tests.product.services.concerts.larks import PRICE, concert_of, plan_of

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.allocation import Allocation, NumberedSeat, OrderSeats
from cludale.kernel.events import Cause
from cludale.kernel.flat import FlatJson
from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid
from cludale.ports.sales import Outlook
from cludale.ports.seats import HeldOtherwise, HoldRequest, InLine, SeatsHeld, SeatsNotFree, SeatsUnavailable
from cludale.services.concerts import numbered
from cludale.services.concerts.events import SeatsOffered, SeatsReserved, SeatsReturned, SeatsSold, SectionPlan
from cludale.services.concerts.numbered import SeatMap
from cludale.services.concerts.seat_plans.service import parts_of
from cludale.services.concerts.seating import table
from cludale.services.concerts.service import Concerts
from cludale.services.concerts.store import SECTIONS
from cludale.services.orders.events import CancelReason, OrderCancelled, PartRefund, PartRefundRequested
from cludale.services.payments.events import PaymentCompleted


def hall(rows: str = "ABC", seats: int = 8, *, wheelchairs: int = 0) -> bytes:
    """A plan as CSV: the last row begins with so many wheelchair places."""
    lines = ["section,row,seat,x,y,category,flags"]
    for number, row in enumerate(rows):
        for seat in range(1, seats + 1):
            flag = "wheelchair" if row == rows[-1] and seat <= wheelchairs else ""
            lines.append(f"Stalls,{row},{seat},{seat * 10},{100 + number * 12},Stalls,{flag}")
    return "\n".join(lines).encode()


async def scheduled(concerts: Concerts, plan: bytes = hall(), *, more: tuple[SectionPlan, ...] = ()) -> None:
    read = table.read(plan)
    ((part, total),) = parts_of(read, {"stalls": "Stalls"}, await concerts.seat_plans.keep(read)).values()
    stalls = plan_of("stalls", total, plan=part)
    concert = concert_of(stalls, *more, venue="The Barn", max_per_order=20)
    await concerts.directory.schedule(concert, Cause())


@pytest.fixture
async def concerts(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> Concerts:
    service = Concerts(store, clock=clock, ids=ids, hold_seconds=600, max_per_order=20)
    await scheduled(service)
    return service


async def held(
    concerts: Concerts, order: str, *seats: str, quantity: int = 2, section: str | None = "stalls", wheelchairs: int = 0
) -> tuple[str, ...]:
    """The ids of the seats that the order holds now."""
    request = HoldRequest(
        "concert-1", len(seats) or quantity, f"order-{order}", section, seats=seats, wheelchairs=wheelchairs
    )
    return named(await concerts.holding.hold(request))


def named(answer: SeatsHeld) -> tuple[str, ...]:
    return tuple(seat.id for seat in answer.allocation.numbered_seats or ())


async def taken(store: SqliteStore) -> SeatMap:
    (known,) = (await SECTIONS.load(store, ["concert-1/stalls"])).values()
    assert known.state.numbered
    return known.state.numbered


def allocation(order: str, seats: tuple[str, ...]) -> Allocation:
    return Allocation(
        concert_id="concert-1",
        section="stalls",
        reservation_id=f"reservation-{order}",
        quantity=len(seats),
        numbered_seats=tuple(NumberedSeat(id, "?", "?", 0) for id in seats),
    )


async def paid(concerts: Concerts, order: str, seats: tuple[str, ...]) -> None:
    completed = PaymentCompleted(
        payment_id=f"payment-{order}",
        order_id=f"order-{order}",
        allocation=allocation(order, seats),
        amount=PRICE.times(len(seats)),
        round=1,
        attempts=1,
    )
    await concerts.handle([delivered(completed, f"paid-{order}")])


async def cancelled(concerts: Concerts, order: str, seats: tuple[str, ...]) -> None:
    off = OrderCancelled(
        order_id=f"order-{order}",
        seats=OrderSeats.of(allocation(order, seats)),
        total=PRICE,
        reason=CancelReason.BUYER,
        was_paid=True,
        reachable=False,
    )
    await concerts.handle([delivered(off, f"off-{order}")])


class TestHolding:
    async def test_who_names_no_seats_gets_the_best_that_are_adjacent(self, concerts: Concerts) -> None:
        assert await held(concerts, "a") == ("Stalls-A-4", "Stalls-A-5")
        assert await held(concerts, "b", quantity=3) == ("Stalls-A-6", "Stalls-A-7", "Stalls-A-8")

    async def test_named_seats_are_held_in_the_order_of_the_plan(self, concerts: Concerts, store: SqliteStore) -> None:
        assert await held(concerts, "a", "Stalls-B-3", "Stalls-A-1") == ("Stalls-A-1", "Stalls-B-3")
        (event,) = [each.data for each in await published(store) if isinstance(each.data, SeatsReserved)]
        assert event.allocation.numbered_seats == (
            NumberedSeat("Stalls-A-1", "A", "1", 0),
            NumberedSeat("Stalls-B-3", "B", "3", 10),
        )

    async def test_who_names_no_section_gets_the_seats_by_their_ids(self, concerts: Concerts) -> None:
        assert await held(concerts, "a", "Stalls-C-8", section=None) == ("Stalls-C-8",)

    async def test_a_refusal_names_the_seats_that_are_not_free(self, concerts: Concerts) -> None:
        await held(concerts, "a", "Stalls-A-1", "Stalls-A-2")
        with pytest.raises(SeatsNotFree) as refused:
            await held(concerts, "b", "Stalls-A-2", "Stalls-A-3")
        assert refused.value.values == {"notFree": ["Stalls-A-2"]}

    @pytest.mark.parametrize("seats", [("Stalls-Z-1",), ("Stalls-A-1", "Stalls-A-1")])
    async def test_seats_that_are_not_there_or_named_twice_are_refused(
        self, concerts: Concerts, seats: tuple[str, ...]
    ) -> None:
        with pytest.raises(Invalid) as refused:
            await held(concerts, "a", *seats)
        assert refused.value.values["errors"][0]["field"] == f"seats[{len(seats) - 1}]"

    async def test_the_same_request_again_has_the_same_seats(self, concerts: Concerts) -> None:
        assert await held(concerts, "a") == await held(concerts, "a")
        with pytest.raises(HeldOtherwise):
            await held(concerts, "a", "Stalls-C-1", "Stalls-C-2")

    async def test_wheelchair_places_go_to_who_asks(
        self, store: SqliteStore, clock: ManualClock, ids: CountingIds
    ) -> None:
        concerts = Concerts(store, clock=clock, ids=ids, hold_seconds=600, max_per_order=20)
        await scheduled(concerts, hall("A", 4, wheelchairs=2))
        with pytest.raises(SeatsUnavailable) as refused:
            await held(concerts, "a", quantity=3, section=None)
        assert refused.value.values["left"] == 2
        with pytest.raises(Invalid):
            await held(concerts, "b", "Stalls-A-1")
        assert await held(concerts, "c", quantity=2, wheelchairs=1, section=None) == ("Stalls-A-2", "Stalls-A-3")

    async def test_sections_by_quantity_have_no_seats_to_name(
        self, store: SqliteStore, clock: ManualClock, ids: CountingIds
    ) -> None:
        concerts = Concerts(store, clock=clock, ids=ids, hold_seconds=600, max_per_order=20)
        await scheduled(concerts, more=(plan_of("lawn", 5, Money(100, "EUR")),))
        with pytest.raises(Invalid):
            await held(concerts, "a", "Stalls-A-1", section="lawn")
        assert await held(concerts, "b", section=None) == ()
        assert len(await held(concerts, "c", quantity=6, section=None)) == 6


class TestTime:
    async def test_seats_can_be_had_from_the_second_on_at_which_their_hold_ends(
        self, concerts: Concerts, clock: ManualClock, store: SqliteStore
    ) -> None:
        seats = await held(concerts, "a", quantity=8)
        clock.advance(600)
        assert await held(concerts, "b", *seats) == seats
        assert len((await taken(store)).over) == 8
        clock.advance(1)
        await concerts.sweep()
        assert (await taken(store)).over == {}
        with pytest.raises(SeatsNotFree):
            await held(concerts, "c", seats[0])

    async def test_late_money_gets_its_seats_again_or_others_that_are_adjacent(
        self, concerts: Concerts, clock: ManualClock, store: SqliteStore
    ) -> None:
        one, other = await held(concerts, "a"), await held(concerts, "b")
        clock.advance(600)
        await paid(concerts, "a", one)
        assert await held(concerts, "c", *other) == other
        assert (
            await concerts.late_money.sale_outlook("concert-1", "stalls", "reservation-b")
        ).outlook is Outlook.POSSIBLE
        await paid(concerts, "b", other)
        sold = [each.data.allocation for each in await published(store) if isinstance(each.data, SeatsSold)]
        assert [seat.id for seat in sold[0].numbered_seats or ()] == list(one)
        again = [seat.id for seat in sold[1].numbered_seats or ()]
        assert len(again) == 2
        assert not {*again} & {*one, *other}

    async def test_late_money_goes_back_where_no_seats_are_left(
        self, concerts: Concerts, clock: ManualClock, store: SqliteStore
    ) -> None:
        seats = await held(concerts, "a")
        clock.advance(600)
        for order in range(3):
            await held(concerts, f"x{order}", quantity=8)
        await paid(concerts, "a", seats)
        assert (await published(store))[-1].type == "SaleRefused"


class TestWaiting:
    async def test_seats_that_come_back_are_offered_to_all_whose_turn_it_is(
        self, concerts: Concerts, clock: ManualClock, store: SqliteStore
    ) -> None:
        for order in range(3):
            await held(concerts, f"x{order}", quantity=8)
        for waits in ("a", "b"):
            with pytest.raises(InLine):
                await concerts.holding.hold(HoldRequest("concert-1", 2, f"order-{waits}", "stalls", waits=True))
        clock.advance(601)
        await concerts.sweep()
        offers = [each.data.allocation for each in await published(store) if isinstance(each.data, SeatsOffered)]
        assert [len(each.numbered_seats or ()) for each in offers] == [2, 2]


class TestBlocking:
    async def test_blocked_seats_are_nobodys_until_they_are_unblocked(
        self, concerts: Concerts, store: SqliteStore
    ) -> None:
        await held(concerts, "a", "Stalls-A-1")
        with pytest.raises(SeatsNotFree):
            await concerts.changes.block_seats("concert-1", ["Stalls-A-1"], reason="Mixer", by="key", cause=Cause())
        for _ in range(2):  # again changes nothing
            await concerts.changes.block_seats(
                "concert-1", ["Stalls-A-4", "Stalls-A-5"], reason="Mixer", by="key", cause=Cause()
            )
        with pytest.raises(SeatsNotFree):
            await held(concerts, "b", "Stalls-A-4")
        standing = await concerts.directory.standing("concert-1")
        assert standing.sections[0].available(standing.at) == 24 - 1 - 2
        await concerts.changes.block_seats("concert-1", ["Stalls-A-4"], reason=None, by="key", cause=Cause())
        assert await held(concerts, "c", "Stalls-A-4") == ("Stalls-A-4",)
        told = [each.type for each in await published(store) if each.type.endswith("locked")]
        assert told == ["SeatsBlocked", "SeatsUnblocked"]
        assert (await taken(store)).blocked == {4: "Mixer"}


class TestGivingBack:
    async def test_seats_of_a_cancelled_order_can_be_had_again(self, concerts: Concerts, store: SqliteStore) -> None:
        seats = await held(concerts, "a")
        await paid(concerts, "a", seats)
        await cancelled(concerts, "a", seats)
        assert not any((await taken(store)).taken)
        assert await held(concerts, "b", *seats) == seats

    async def test_a_part_refund_gives_back_the_seats_that_it_names(
        self, concerts: Concerts, store: SqliteStore
    ) -> None:
        seats = await held(concerts, "a", quantity=4)
        await paid(concerts, "a", seats)
        part = PartRefund(number=1, refund_id="r", tickets=1, amount=PRICE, left=PRICE.times(3), held=3, numbers=(2,))
        asked = PartRefundRequested(order_id="order-a", part=part, allocation=allocation("a", seats))
        await concerts.handle([delivered(asked, "part")])
        (returned,) = [each.data for each in await published(store) if isinstance(each.data, SeatsReturned)]
        assert returned.numbers == (2,)
        assert await held(concerts, "b", seats[1]) == (seats[1],)
        await cancelled(concerts, "a", seats)
        assert sum(byte.bit_count() for byte in (await taken(store)).taken) == 1


def test_what_an_allocation_was_before_seats_had_numbers_is_written_as_it_was() -> None:
    json = FlatJson(OrderCancelled)
    off = OrderCancelled(
        order_id="o",
        seats=OrderSeats(concert_id="c", quantity=2),
        total=None,
        reason=CancelReason.BUYER,
        was_paid=False,
        reachable=False,
    )
    assert b"numbered" not in json.encode(off)
    with_seats = msgspec.structs.replace(off, seats=OrderSeats.of(allocation("a", ("x", "y"))))
    assert json.decode(json.encode(with_seats)) == with_seats


def test_holds_that_end_in_one_second_end_in_any_order_though_they_have_seats_in_common() -> None:
    """As a log may tell of them: what one has next to another's may look like a third's."""
    empty = SeatMap(plan="p", zone="z", taken=bytes(2))
    holds = [[NumberedSeat(str(place), "", "", place) for place in places] for places in ((7, 8), (9, 3), (8, 9))]
    for told in itertools.permutations(holds):
        for ended in itertools.permutations(holds):
            seats = empty
            for those in told:
                seats = numbered.reserved(seats, those, 60)
            for those in ended:
                seats = numbered.released(seats, those, 60)
            assert seats == empty


def test_seats_are_taken_and_free_whatever_happens_in_whatever_order() -> None:
    """Beside a model that knows each owner; the same facts, told in the order of each owner alone, end alike."""
    choices = random.Random(7)
    for _ in range(60):
        total = 40
        empty = SeatMap(plan="p", zone="z", taken=bytes(5))
        seats, owners, facts, told = empty, dict[str, tuple[list[int], int]](), dict[str, list[object]](), 0
        for _ in range(60):
            now = told = told + 1
            free = numbered.set_bits(numbered.free_bits(seats, total, now))
            live = {place for places, until in owners.values() if until > now for place in places}
            assert set(free) == set(range(total)) - live
            if choices.random() < 0.6 and len(free) > 3:
                name, places = f"o{told}", choices.sample(free, 3)
                owners[name] = places, now + choices.choice((2, 10, 1_000))
                those = [NumberedSeat(str(place), "", "", place) for place in places]
                facts[name] = [(numbered.reserved, those, owners[name][1])]
            elif owners:
                name = choices.choice(list(owners))
                places, until = owners.pop(name)
                those = [NumberedSeat(str(place), "", "", place) for place in places]
                facts[name].append((numbered.released, those, until))
            else:
                continue
            become, those, until = facts[name][-1]  # type: ignore[misc]
            seats = become(seats, those, until)  # type: ignore[has-type]
        replayed, names = empty, list(facts)
        choices.shuffle(names)
        for at in range(2):
            for name in names:
                for become, those, until in facts[name][at : at + 1]:  # type: ignore[misc]
                    replayed = become(replayed, those, until)  # type: ignore[has-type]
        assert replayed.taken == seats.taken
        assert dict(replayed.over) == dict(seats.over)
        assert {until: sorted(numbered.unpacked(each)) for until, each in replayed.held.items()} == {
            until: sorted(numbered.unpacked(each)) for until, each in seats.held.items()
        }
