"""A concert's seating plan is changed while it is on sale: who has a seat keeps it, and none that is gone is sold."""

import random

import pytest
from tests.events import published
from tests.fakes import CountingIds, ManualClock
from tests.product.services.concerts.test_numbered import cancelled, hall, held, paid, scheduled, taken

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid
from cludale.ports.seats import SeatsNotFree
from cludale.services.concerts import numbered
from cludale.services.concerts.changes.domain import ChangedMeanwhile
from cludale.services.concerts.changes.service import SectionWish
from cludale.services.concerts.directory import ConcertSnapshot
from cludale.services.concerts.events import ConcertFields, SeatPlanChanged, SeatPlanPart, SectionPlan
from cludale.services.concerts.seat_plans.domain import MOST_PLACES, SeatsKept, Whose, difference
from cludale.services.concerts.seating import table
from cludale.services.concerts.seating.plans import layout_of
from cludale.services.concerts.service import Concerts


def without(*seats: str, rows: str = "ABC", more: tuple[str, ...] = ()) -> bytes:
    """The hall without these seats, with more lines at its end."""
    lines = [
        line
        for line in hall(rows).decode().splitlines()
        if "-".join(line.split(",")[:3]) not in {f"Stalls-{seat}" for seat in seats}
    ]
    return "\n".join([*lines, *more]).encode()


async def changed(
    concerts: Concerts, plan: bytes, *, tag: str | None = None, wishes: tuple[SectionWish, ...] = ()
) -> ConcertSnapshot:
    return await concerts.changes.change(
        "concert-1",
        lambda _: ConcertFields(),
        wishes,
        tags=tag and {tag},
        by="key-1",
        cause=Cause(),
        plan=table.read(plan),
    )


@pytest.fixture
async def concerts(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> Concerts:
    service = Concerts(store, clock=clock, ids=ids, hold_seconds=600, max_per_order=20)
    await scheduled(service)
    return service


async def free(concerts: Concerts) -> set[str]:
    (section, *_) = (await concerts.directory.standing("concert-1")).sections
    seats = section.numbered
    assert seats
    its = await concerts.seat_plans.hall_of(section)
    assert its
    bits = numbered.free_bits(seats, section.places, concerts.clock.now().timestamp())
    assert section.available(concerts.clock.now()) == bits.bit_count()
    return {its.seat(place).id for place in numbered.set_bits(bits)}


class TestChanging:
    async def test_seats_come_and_go_and_who_has_some_keeps_them(self, concerts: Concerts, store: SqliteStore) -> None:
        mine = await held(concerts, "a", "Stalls-A-4", "Stalls-A-5")
        sold = await held(concerts, "b", "Stalls-C-8")
        await paid(concerts, "b", sold)
        standing = await changed(concerts, without("A-1", "B-2", more=("Stalls,D,1,10,140,Stalls,",)))
        assert standing.sections[0].total == 24 - 2 + 1
        assert await free(concerts) == {f"Stalls-{row}-{seat}" for row in "ABC" for seat in range(1, 9)} - {
            "Stalls-A-1",
            "Stalls-B-2",
            *mine,
            *sold,
        } | {"Stalls-D-1"}
        (event,) = [each.data for each in await published(store) if isinstance(each.data, SeatPlanChanged)]
        assert (event.changed_by, event.change, event.added, event.total_seats) == ("key-1", 1, 1, 23)
        assert numbered.unpacked(event.gone) == [0, 9]
        assert event.plan.digest != event.before
        assert await held(concerts, "c", "Stalls-D-1") == ("Stalls-D-1",)
        with pytest.raises(Invalid):
            await held(concerts, "d", "Stalls-A-1")
        await paid(concerts, "a", mine)
        await cancelled(concerts, "b", sold)
        assert await held(concerts, "e", "Stalls-C-8") == sold

    async def test_the_best_are_found_among_those_that_there_are(self, concerts: Concerts) -> None:
        await changed(concerts, without("A-4", "A-5", rows="ABCD"))
        assert await held(concerts, "a") == ("Stalls-B-4", "Stalls-B-5")
        await changed(concerts, without("A-4", rows="ABCD"))
        assert await held(concerts, "b", quantity=1) == ("Stalls-A-5",)

    async def test_a_seat_that_comes_back_has_its_place_again(self, concerts: Concerts, store: SqliteStore) -> None:
        await changed(concerts, without("A-1"))
        before = await taken(store)
        assert (before.places, numbered.unpacked(before.gone)) == (24, [0])
        await changed(concerts, hall())
        after = await taken(store)
        assert (after.gone, after.order, any(after.taken)) == (b"", "", False)
        assert await held(concerts, "a", "Stalls-A-1") == ("Stalls-A-1",)

    async def test_rows_in_another_order_are_the_same_seats(self, concerts: Concerts, store: SqliteStore) -> None:
        mine = await held(concerts, "a", "Stalls-A-4")
        await changed(concerts, hall("CBA"))
        assert (await taken(store)).order.startswith("order-")
        assert mine[0] not in await free(concerts)
        with pytest.raises(SeatsNotFree):
            await held(concerts, "b", *mine)

    async def test_wheelchair_places_may_become_others(self, concerts: Concerts) -> None:
        await held(concerts, "a", "Stalls-C-1")  # ordinary, and sold as that
        await changed(concerts, hall(wheelchairs=2))
        with pytest.raises(Invalid):
            await held(concerts, "b", "Stalls-C-2")
        assert await held(concerts, "c", "Stalls-C-2", wheelchairs=1) == ("Stalls-C-2",)

    async def test_the_same_plan_changes_nothing(self, concerts: Concerts, store: SqliteStore) -> None:
        standing = await changed(concerts, hall())
        assert standing.tag == "0.0"
        assert not [each for each in await published(store) if isinstance(each.data, SeatPlanChanged)]


class TestRefusing:
    async def test_what_is_sold_held_or_blocked_stays_and_nothing_is_changed(
        self, concerts: Concerts, store: SqliteStore
    ) -> None:
        await held(concerts, "a", "Stalls-A-1")
        await paid(concerts, "b", await held(concerts, "b", "Stalls-A-2"))
        await concerts.changes.block_seats("concert-1", ["Stalls-A-3"], reason="Mixer", by="key", cause=Cause())
        before = await taken(store)
        with pytest.raises(SeatsKept) as refused:
            await changed(concerts, without("A-1", "A-2", "A-3", "A-4"))
        assert [(each.id, each.whose) for each in refused.value.seats] == [
            ("Stalls-A-1", Whose.HELD),
            ("Stalls-A-2", Whose.SOLD),
            ("Stalls-A-3", Whose.BLOCKED),
        ]
        assert refused.value.values["seats"][1] == {
            "id": "Stalls-A-2", "section": "stalls", "status": "sold", "renamed": False,
        }  # fmt: skip
        assert await taken(store) == before

    async def test_a_seat_whose_hold_has_ended_may_go_and_late_money_gets_another(
        self, concerts: Concerts, clock: ManualClock, store: SqliteStore
    ) -> None:
        seats = await held(concerts, "a", "Stalls-A-1")
        clock.advance(600)
        await changed(concerts, without("A-1"))
        clock.advance(1)
        await concerts.sweep()
        assert "Stalls-A-1" not in await free(concerts)
        assert (await taken(store)).over == {}
        await paid(concerts, "a", seats)
        assert len(await free(concerts)) == 22
        assert (await published(store))[-1].type == "SeatsSold"

    async def test_what_is_sold_keeps_its_name(self, concerts: Concerts) -> None:
        await held(concerts, "a", "Stalls-A-1")
        renamed = hall().replace(b"category,flags\n", b"category,flags,id\n")
        lines = [line if n == 0 else line + b"," for n, line in enumerate(renamed.splitlines())]
        lines[1] = b"Stalls,A,101,10,100,Stalls,,Stalls-A-1"
        with pytest.raises(SeatsKept, match=r"Stalls-A-1 \(held, would be renamed\)"):
            await changed(concerts, b"\n".join(lines))
        lines[1], lines[2] = b"Stalls,A,1,10,100,Stalls,,Stalls-A-1", b"Stalls,A,102,20,100,Stalls,,Stalls-A-2"
        await changed(concerts, b"\n".join(lines))
        assert await held(concerts, "b", "Stalls-A-2") == ("Stalls-A-2",)

    async def test_a_change_that_was_not_seen_is_not_overwritten(self, concerts: Concerts) -> None:
        seen = (await concerts.directory.standing("concert-1")).tag
        await changed(concerts, without("A-1"), tag=seen, wishes=(SectionWish("stalls", price=Money(100, "EUR")),))
        assert (await concerts.directory.standing("concert-1")).sections[0].price == Money(100, "EUR")
        with pytest.raises(ChangedMeanwhile):
            await changed(concerts, hall(), tag=seen)

    async def test_a_zone_that_is_a_section_is_needed(self, concerts: Concerts) -> None:
        with pytest.raises(Invalid, match="Stalls"):
            await changed(concerts, hall().replace(b"Stalls,", b"Balcony,"))

    async def test_sections_by_quantity_have_no_plan(
        self, store: SqliteStore, clock: ManualClock, ids: CountingIds
    ) -> None:
        concerts = Concerts(store, clock=clock, ids=ids, hold_seconds=600, max_per_order=20)
        lawn = SectionPlan(id="lawn", name="Lawn", total_seats=5, price=Money(100, "EUR"))
        await scheduled(concerts, more=(lawn,))
        await changed(concerts, without("A-1"))
        standing = await concerts.directory.standing("concert-1")
        assert [each.total for each in standing.sections] == [23, 5]
        assert await held(concerts, "a", "Stalls-A-2", section=None) == ("Stalls-A-2",)

    async def test_another_replica_knows_it_at_once(
        self, concerts: Concerts, store: SqliteStore, clock: ManualClock, ids: CountingIds
    ) -> None:
        other = Concerts(store, clock=clock, ids=ids, hold_seconds=600, max_per_order=20)
        assert await held(other, "a", "Stalls-A-2") == ("Stalls-A-2",)
        await changed(concerts, without("A-1", more=("Stalls,D,1,10,140,Stalls,",)))
        assert await held(other, "b", "Stalls-D-1") == ("Stalls-D-1",)
        with pytest.raises(Invalid):
            await held(other, "c", "Stalls-A-1")


def test_places_stay_whatever_becomes_of_the_plan() -> None:
    """Beside a model that knows which seats there are: any row of plans, and each seat has one place for good."""
    choices = random.Random(3)
    known = hall("AB", 6)
    all_lines = hall("ABCD", 6).decode().splitlines()[1:]
    header = hall().decode().splitlines()[0]
    its = numbered.Hall(layout_of(table.read(known), "Stalls"))
    seats = numbered.SeatMap(plan="p", zone="Stalls", taken=bytes(2))
    total, places = 12, {id: place for place, id in enumerate(its.order)}
    for _ in range(40):
        lines = choices.sample(all_lines, choices.randint(1, len(all_lines)))
        layout = layout_of(table.read("\n".join([header, *lines]).encode()), "Stalls")
        what = difference(its, seats, numbered.Hall(layout))
        assert what.renamed == ()
        its = numbered.Hall(layout, what.order)
        event = SeatPlanChanged(
            concert_id="c", section="s", change=1, changed_by="k", before="p", added=what.added,
            plan=SeatPlanPart(digest="q", zone="Stalls"), back=numbered.packed(what.back),
            gone=numbered.packed(what.gone), total_seats=len(layout),
        )  # fmt: skip
        seats = numbered.replanned(seats, total, event)
        total = len(layout)
        free = numbered.free_bits(seats, seats.places, 0)
        assert {its.order[place] for place in numbered.set_bits(free)} == set(layout.ids)
        places |= {id: place for place, id in enumerate(its.order) if id not in places}
        assert [places[id] for id in its.order] == list(range(len(its.order)))
        assert [layout.ids[bit] for bit in numbered.set_bits(its.in_plan_order(free))] == layout.ids
        assert its.picker(seats.taken).free == layout.row_bits()


def test_more_seats_than_places_can_be_told_are_refused() -> None:
    layout = layout_of(table.read(hall()), "Stalls")
    before = numbered.Hall(layout, [*layout.ids, *(f"x{n}" for n in range(MOST_PLACES - 24))])
    other = numbered.Hall(layout_of(table.read(hall("D")), "Stalls"))
    with pytest.raises(Invalid, match="65535"):
        difference(before, numbered.SeatMap(plan="p", zone="Stalls", taken=bytes(3)), other)
