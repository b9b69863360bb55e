"""An organizer moves buyers to other seats, and has two swap: all or nothing, and never two on one seat."""

import random
from typing import Any

import pytest
from tests.events import delivered, published
from tests.fakes import CountingIds, ManualClock
from tests.product.services.concerts.larks import PRICE
from tests.product.services.concerts.test_numbered import (
    allocation,
    cancelled,
    hall,
    held,
    paid,
    scheduled,
    taken,
)

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Cause
from cludale.kernel.refusals import Invalid, NotFound
from cludale.ports.entrance import AlreadyAdmitted
from cludale.ports.seats import HoldEnded, SeatsNotFree, SeatsUnavailable
from cludale.services.concerts.events import SeatsMoved
from cludale.services.concerts.seat_moves.domain import MoveSeats, NothingToMove, SeatsOf, SwapSeats
from cludale.services.concerts.service import Concerts
from cludale.services.concerts.stock import Reservation
from cludale.services.concerts.store import RESERVATIONS
from cludale.services.orders.events import PartRefund, PartRefundRequested


class Door:
    """Says whom it let in."""

    def __init__(self) -> None:
        self.let_in: dict[str, frozenset[int]] = {}

    async def admitted(self, order_id: str) -> frozenset[int]:
        return self.let_in.get(order_id, frozenset())


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
async def concerts(store: SqliteStore, clock: ManualClock, ids: CountingIds, door: Door) -> Concerts:
    service = Concerts(store, clock=clock, ids=ids, hold_seconds=600, max_per_order=20, entrance=door)
    await scheduled(service)
    return service


async def moved(
    concerts: Concerts, order: str, *seats: str, to: tuple[str, ...] = (), id: str = "move-1", **more: Any
) -> tuple[str, ...]:
    concert = await concerts.directory.concert("concert-1")
    command = MoveSeats(
        move_id=id,
        of=SeatsOf(order_id=f"order-{order}", seats=seats),
        to=to,
        moved_by="key-1",
        reason="the sound desk",
        over_at=concert.over_at,
    )
    asked = {"even_if_admitted": False} | more
    (has,) = await concerts.seat_moves.move(concert, command, cause=Cause(), **asked)
    return ids_of(has)


async def swapped(concerts: Concerts, first: SeatsOf, second: SeatsOf, *, id: str = "swap-1") -> list[tuple[str, ...]]:
    concert = await concerts.directory.concert("concert-1")
    command = SwapSeats(
        move_id=id, first=first, second=second, moved_by="key-1", reason="as they asked", over_at=concert.over_at
    )
    found = await concerts.seat_moves.swap(concert, command, even_if_admitted=False, cause=Cause())
    return [ids_of(each) for each in found]


def ids_of(reservation: Reservation) -> tuple[str, ...]:
    return tuple(seat.id for seat in reservation.kept_seats)


def places(bits: bytes) -> int:
    return int.from_bytes(bits, "little").bit_count()


@pytest.mark.parametrize("is_paid", [False, True])
async def test_a_buyer_is_moved_and_their_seats_can_be_had(
    concerts: Concerts, store: SqliteStore, is_paid: bool
) -> None:
    seats = await held(concerts, "1", "Stalls-A-1", "Stalls-A-2")
    if is_paid:
        await paid(concerts, "1", seats)
    assert await moved(concerts, "1", to=("Stalls-C-4", "Stalls-C-5")) == ("Stalls-C-4", "Stalls-C-5")
    (event,) = [each.data for each in await published(store) if isinstance(each.data, SeatsMoved)]
    assert (event.numbers, event.allocation.moves, event.moved_by) == ((1, 2), 1, "key-1")
    assert [seat.id for seat in event.seats_before] == list(seats)
    assert await held(concerts, "2", *seats) == seats
    with pytest.raises(SeatsNotFree):
        await held(concerts, "3", "Stalls-C-4")
    known = await taken(store)
    assert (places(known.taken), dict(known.over)) == (4, {})


async def test_one_of_several_moves_and_its_ticket_keeps_its_number(concerts: Concerts) -> None:
    await held(concerts, "1", "Stalls-A-1", "Stalls-A-2", "Stalls-A-3")
    assert await moved(concerts, "1", "Stalls-A-2", to=("Stalls-C-1",)) == ("Stalls-A-1", "Stalls-C-1", "Stalls-A-3")


async def test_who_names_none_gets_the_best(concerts: Concerts) -> None:
    await held(concerts, "1", "Stalls-C-1", "Stalls-C-2")
    has = await moved(concerts, "1")
    assert has == ("Stalls-A-4", "Stalls-A-5")


async def test_seats_of_one_order_change_places_among_themselves(concerts: Concerts, store: SqliteStore) -> None:
    await held(concerts, "1", "Stalls-A-1", "Stalls-A-2", "Stalls-A-3")
    one_on = ("Stalls-A-2", "Stalls-A-3", "Stalls-A-4")
    assert await moved(concerts, "1", to=one_on) == one_on
    assert places((await taken(store)).taken) == 3


async def test_what_is_so_already_changes_nothing(concerts: Concerts, store: SqliteStore) -> None:
    seats = await held(concerts, "1", "Stalls-A-1", "Stalls-A-2")
    assert await moved(concerts, "1", to=seats) == seats
    assert not [each for each in await published(store) if isinstance(each.data, SeatsMoved)]


async def test_told_again_it_moves_nobody_twice(concerts: Concerts, store: SqliteStore) -> None:
    await held(concerts, "1", "Stalls-A-1", "Stalls-A-2")
    first = await moved(concerts, "1")
    assert await moved(concerts, "1") == first
    assert len([each for each in await published(store) if isinstance(each.data, SeatsMoved)]) == 1


async def test_two_orders_swap_or_neither_does(concerts: Concerts, store: SqliteStore) -> None:
    one = await held(concerts, "1", "Stalls-A-1", "Stalls-A-2")
    two = await held(concerts, "2", "Stalls-C-1", "Stalls-C-2")
    await paid(concerts, "2", two)
    both = await swapped(concerts, SeatsOf(order_id="order-1"), SeatsOf(order_id="order-2"))
    assert both == [two, one]
    known = await taken(store)
    assert (places(known.taken), dict(known.over), len(known.held)) == (4, {}, 1)
    first, second = [each.data for each in await published(store) if isinstance(each.data, SeatsMoved)]
    assert (first.move_id, first.swapped_with, second.swapped_with) == (second.move_id, "order-2", "order-1")
    fewer = SeatsOf(order_id="order-2", seats=("Stalls-A-1",))
    with pytest.raises(Invalid, match="are 1, and those of the first are 2"):
        await swapped(concerts, SeatsOf(order_id="order-1"), fewer, id="swap-2")
    assert await taken(store) == known


async def test_what_is_wrong_is_named(concerts: Concerts, clock: ManualClock) -> None:
    seats = await held(concerts, "1", "Stalls-A-1", "Stalls-A-2")
    other = await held(concerts, "2", "Stalls-B-1", "Stalls-B-2")
    with pytest.raises(SeatsNotFree) as taken_by_others:
        await moved(concerts, "1", to=("Stalls-B-1", "Stalls-B-3"))
    assert taken_by_others.value.values["notFree"] == ["Stalls-B-1"]
    with pytest.raises(Invalid, match=r"seats\[0\]"):
        await moved(concerts, "1", other[0])
    with pytest.raises(Invalid, match=r"to\[1\]"):
        await moved(concerts, "1", to=("Stalls-C-1", "Stalls-Z-9"))
    with pytest.raises(Invalid, match="names 1 seats, and 2"):
        await moved(concerts, "1", to=("Stalls-C-1",))
    mine = SeatsOf(order_id="mine")
    with pytest.raises(NotFound):
        await swapped(concerts, mine, SeatsOf(order_id="order-1"))
    with pytest.raises(NothingToMove):
        await moved(concerts, "9")
    await paid(concerts, "1", seats)
    await cancelled(concerts, "1", seats)
    with pytest.raises(NothingToMove):
        await moved(concerts, "1")
    clock.advance(601)
    with pytest.raises(HoldEnded):
        await moved(concerts, "2")


async def test_seats_that_are_not_there_are_not_given(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> None:
    small = Concerts(store, clock=clock, ids=ids, hold_seconds=600, max_per_order=20)
    await scheduled(small, hall("A", 4))
    await held(small, "1", quantity=3)
    with pytest.raises(SeatsUnavailable):
        await moved(small, "1")


async def test_whom_the_door_let_in_is_moved_only_with_a_word(concerts: Concerts, door: Door) -> None:
    seats = await held(concerts, "1", "Stalls-A-1", "Stalls-A-2")
    await paid(concerts, "1", seats)
    door.let_in["order-1"] = frozenset({2})
    with pytest.raises(AlreadyAdmitted) as refused:
        await moved(concerts, "1")
    assert refused.value.values["tickets"] == [2]
    assert (await moved(concerts, "1", "Stalls-A-1", to=("Stalls-C-1",)))[0] == "Stalls-C-1"
    assert len(await moved(concerts, "1", id="move-2", even_if_admitted=True)) == 2


async def test_late_money_gets_the_seats_that_the_buyer_was_moved_to(
    concerts: Concerts, store: SqliteStore, clock: ManualClock
) -> None:
    seats = await held(concerts, "1", "Stalls-A-1", "Stalls-A-2")
    has = await moved(concerts, "1", to=("Stalls-C-1", "Stalls-C-2"))
    clock.advance(700)
    await paid(concerts, "1", seats)
    found = await RESERVATIONS.load(store, ["reservation-1.1"], partition="concert-1/stalls")
    again = found["reservation-1.1"].state
    assert (ids_of(again), again.allocation.moves) == (has, again.allocation.moves)
    assert not again.moved
    assert await moved(concerts, "1", id="move-2") == ("Stalls-A-4", "Stalls-A-5")
    assert await held(concerts, "2", *has) == has


async def test_whatever_happens_nobody_has_a_seat_that_another_has(
    concerts: Concerts, store: SqliteStore, clock: ManualClock
) -> None:
    chance = random.Random(19)
    orders: dict[str, tuple[str, ...]] = {}
    free = [f"Stalls-{row}-{seat}" for row in "ABC" for seat in range(1, 9)]
    for step in range(150):
        order = str(step)
        try:
            match chance.choice(("hold", "pay", "cancel", "move", "move", "swap", "wait")):
                case "hold":
                    orders[order] = await held(concerts, order, quantity=chance.randrange(1, 4))
                case "pay" if orders:
                    order = chance.choice(list(orders))
                    await paid(concerts, order, orders[order])
                case "cancel" if orders:
                    order = chance.choice(list(orders))
                    await cancelled(concerts, order, orders.pop(order))
                case "move" if orders:
                    order = chance.choice(list(orders))
                    to = tuple(chance.sample(free, len(orders[order]))) if chance.random() < 0.5 else ()
                    await moved(concerts, order, to=to, id=f"move-{step}")
                case "swap" if len(orders) > 1:
                    one, two = chance.sample(list(orders), 2)
                    of = SeatsOf(order_id=f"order-{one}"), SeatsOf(order_id=f"order-{two}")
                    await swapped(concerts, *of, id=f"swap-{step}")
                case "wait":
                    clock.advance(chance.choice((60, 400)))
        except (Invalid, SeatsNotFree, SeatsUnavailable, NothingToMove, HoldEnded):
            pass
        ids = [f"reservation-{id}" for id in range(step + 1)]
        ids += [f"{id}.1" for id in ids]
        known = await RESERVATIONS.load(store, ids, partition="concert-1/stalls")
        live = [seat.at for each in known.values() if each.state.is_live(clock.now()) for seat in each.state.kept_seats]
        assert len(live) == len(set(live))
        counted = [
            seat.at for each in known.values() if each.state.status != "Released" for seat in each.state.kept_seats
        ]
        if known:
            section = await taken(store)
            assert sum(section.over.values()) + places(section.taken) == len(counted)


async def given_back(concerts: Concerts, order: str, seats: tuple[str, ...], number: int) -> None:
    part = PartRefund(number=1, refund_id="r", tickets=1, amount=PRICE, left=PRICE, held=2, numbers=(number,))
    asked = PartRefundRequested(order_id=f"order-{order}", part=part, allocation=allocation(order, seats))
    await concerts.handle([delivered(asked, f"part-{order}")])


async def test_a_seat_that_was_given_back_may_be_another_ticket_s_of_the_same_order(concerts: Concerts) -> None:
    seats = await held(concerts, "1", "Stalls-A-1", "Stalls-A-2", "Stalls-A-3")
    await paid(concerts, "1", seats)
    await given_back(concerts, "1", seats, 2)
    assert await moved(concerts, "1", "Stalls-A-1", to=("Stalls-A-2",)) == ("Stalls-A-2", "Stalls-A-3")
    both = ("Stalls-C-1", "Stalls-C-2")
    assert await moved(concerts, "1", to=both, id="move-2") == both
