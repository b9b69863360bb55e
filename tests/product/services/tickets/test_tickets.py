"""Tickets over a real store: heard, shown, scanned by several at once, and rebuilt from the log."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from tests.events import REQUEST, delivered, told
from tests.fakes import NOON, CountingIds, ManualClock
from tests.seats import allocation

from cludale.adapters.ciphers import AeadSeals
from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.allocation import OrderSeats
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy, NotFound
from cludale.kernel.wire import Codec
from cludale.ports.bus import Acknowledgement
from cludale.ports.programme import ConcertDetails, ProgrammeUnreachable
from cludale.ports.ticket_keys import TicketKey
from cludale.services.catalogue import CATALOGUE
from cludale.services.orders.events import (
    CancelReason,
    ContactErased,
    ErasureReason,
    OrderCancelled,
    OrderPaid,
    PartRefund,
    PartRefundRequested,
)
from cludale.services.tickets import codes
from cludale.services.tickets.door import Result
from cludale.services.tickets.door_service import ClockAhead, DeviceScan, Scan
from cludale.services.tickets.events import Direction
from cludale.services.tickets.merging import MergeResult
from cludale.services.tickets.service import Tickets
from cludale.services.tickets.store import KINDS, TICKETS

PRICE = Money(9000, "EUR")
SUCCESS, RETRY = Acknowledgement.SUCCESS, Acknowledgement.RETRY


def paid(order_id: str = "order-1", quantity: int = 2) -> OrderPaid:
    seats = allocation(quantity=quantity)
    return OrderPaid(order_id=order_id, total=PRICE, reachable=True, allocation=seats)


def off(order_id: str = "order-1", *, was_paid: bool = True) -> OrderCancelled:
    return OrderCancelled(
        order_id=order_id,
        total=PRICE,
        reason=CancelReason.BUYER,
        was_paid=was_paid,
        reachable=True,
        seats=OrderSeats.of(allocation()),
    )


def part(number: int = 1, tickets: int = 1, *, quantity: int = 4) -> PartRefundRequested:
    given = PartRefund(
        number=number,
        refund_id=f"refund-1.{number}",
        tickets=tickets,
        amount=PRICE,
        left=PRICE,
        held=quantity - tickets,
    )
    return PartRefundRequested(order_id="order-1", part=given, allocation=allocation(quantity=quantity))


class Concerts:
    def __init__(self) -> None:
        self.away = False

    async def of(self, ids: Sequence[str], /) -> Mapping[str, ConcertDetails]:
        if self.away:
            raise ProgrammeUnreachable
        date = (NOON + timedelta(hours=2)).isoformat()
        return {id: ConcertDetails("Larks", date, "Olympia", {"stalls": "Stalls"}) for id in ids if id == "concert-1"}


class Keys:
    def __init__(self) -> None:
        self.keys = [codes.key_of(b"1" * 32)]

    def all(self) -> Sequence[TicketKey]:
        return self.keys


class Pages:
    async def pdf(self, pages: Sequence[object], /) -> bytes:
        return repr(pages).encode()

    async def svg(self, code: str, /) -> bytes:
        return code.encode()

    png = svg


class World:
    def __init__(self, store: SqliteStore) -> None:
        self.store, self.clock, self.keys, self.concerts = store, ManualClock(), Keys(), Concerts()
        self.tickets = Tickets(
            store,
            clock=self.clock,
            ids=CountingIds(),
            keys=self.keys,
            pages=Pages(),
            seals_of=AeadSeals,
            programme=self.concerts,
            opens_before=timedelta(hours=12),
            reentry=False,
        )

    async def code(self, order_id: str = "order-1", number: int = 1) -> str:
        (shown,) = await self.tickets.shown(await self.tickets.of_order(order_id), [number])
        return shown.code

    async def scan(self, code: str, scan_id: str = "s1", concert_id: str | None = None) -> Result:
        return (
            await self.tickets.doors.scan(Scan(code, "north", scan_id, concert_id=concert_id), REQUEST)
        ).scanned.result


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = SqliteStore(tmp_path / "store.db", KINDS, Codec(CATALOGUE))
    await store.start()
    yield World(store)
    await store.close()


async def test_a_paid_order_has_its_tickets_however_often_that_is_told(world: World) -> None:
    handle = world.tickets.handle
    assert await handle([delivered(paid(), "e1")]) == [SUCCESS]
    assert await handle([delivered(paid(), "e1"), delivered(paid(), "e2")]) == [SUCCESS, SUCCESS]
    assert (await world.tickets.of_order("order-1")).valid == [1, 2]
    assert await told(world.store) == ["TicketIssued"]


async def test_a_cancellation_counts_before_after_and_beside_the_payment(world: World) -> None:
    await world.tickets.handle([delivered(paid("order-1"), "e1"), delivered(off("order-1"), "e2")])
    await world.tickets.handle([delivered(off("order-2"), "e3")])
    await world.tickets.handle([delivered(paid("order-2"), "e4")])
    await world.tickets.handle([delivered(off("order-3", was_paid=False), "e5")])
    for order in ("order-1", "order-2"):
        assert not (await world.tickets.of_order(order)).valid
    with pytest.raises(NotFound):
        await world.tickets.of_order("order-3")


async def test_a_part_refund_takes_its_tickets_once_however_often_it_is_told(world: World) -> None:
    handle, of = world.tickets.handle, world.tickets.of_order
    await handle([delivered(paid(quantity=4), "e1")])
    lost = await world.code(number=4)
    assert await handle([delivered(part(), "e2"), delivered(part(), "e2"), delivered(part(), "e3")]) == [SUCCESS] * 3
    assert await handle([delivered(part(), "e2"), delivered(part(), "e4")]) == [SUCCESS] * 2
    assert (await of("order-1")).valid == [1, 2, 3]
    assert await world.scan(lost) is Result.REVOKED
    await handle([delivered(part(3, 2), "e5"), delivered(part(2, 0), "e6"), delivered(part(1), "e7")])
    assert ((await of("order-1")).valid, (await of("order-1")).parts) == ([1], (1, 3))
    assert await told(world.store) == ["TicketIssued", "TicketRevoked", "TicketRevoked"]


async def test_a_part_refund_waits_for_the_tickets_unless_it_is_of_money_alone(world: World) -> None:
    handle = world.tickets.handle
    assert await handle([delivered(part(), "e2"), delivered(part(2, 0), "e3")]) == [RETRY, SUCCESS]
    assert await handle([delivered(part(), "e2"), delivered(paid(quantity=4), "e1")]) == [RETRY, SUCCESS]
    assert await handle([delivered(part(), "e2")]) == [SUCCESS]
    assert (await world.tickets.of_order("order-1")).valid == [1, 2, 3]


async def test_a_cancellation_takes_what_part_refunds_left_and_leaves_none_to_later_ones(world: World) -> None:
    handle = world.tickets.handle
    await handle([delivered(paid(quantity=4), "e1"), delivered(part(), "e2")])
    await handle([delivered(part(), "e2")])
    await handle([delivered(off(), "e3")])
    assert await handle([delivered(part(2), "e4"), delivered(part(1), "e5")]) == [SUCCESS] * 2
    tickets = await world.tickets.of_order("order-1")
    assert not tickets.valid
    assert [tickets.ticket(number).revoked for number in (3, 4)] == ["order-cancelled", "given-back"]
    assert await told(world.store) == ["TicketIssued", "TicketRevoked", "TicketRevoked"]


async def test_a_part_refund_of_an_order_that_was_cancelled_before_its_tickets_is_done(world: World) -> None:
    await world.tickets.handle([delivered(off(), "e1")])
    assert await world.tickets.handle([delivered(part(), "e2"), delivered(paid(quantity=4), "e3")]) == [SUCCESS] * 2
    assert not (await world.tickets.of_order("order-1")).valid


async def test_of_many_who_show_one_code_at_once_one_is_let_in(world: World) -> None:
    await world.tickets.handle([delivered(paid(quantity=4), "e1")])
    code, other = await world.code(), await world.code(number=3)
    results = await asyncio.gather(
        *(world.scan(code, f"a{n}") for n in range(20)), *(world.scan(other, f"b{n}") for n in range(20))
    )
    assert results.count(Result.VALID) == 2
    assert results.count(Result.USED) == 38
    assert (await told(world.store)).count("TicketAdmitted") == 2


async def test_the_door_knows_forged_unknown_and_other_concerts(world: World) -> None:
    await world.tickets.handle([delivered(paid(), "e1")])
    code = await world.code()
    assert await world.scan("nonsense") is Result.FORGED
    assert await world.scan(code, concert_id="concert-2") is Result.WRONG_CONCERT
    (shown,) = await world.tickets.shown(await world.tickets.of_order("order-1"), [1])
    claims = codes.read(code, world.keys.keys[0])
    assert await world.scan(codes.signed(claims._replace(order_id="order-9"), world.keys.keys[0])) is Result.UNKNOWN
    assert await world.scan(codes.signed(claims._replace(number=9), world.keys.keys[0])) is Result.UNKNOWN
    assert await world.scan(codes.signed(claims, codes.key_of(b"2" * 32))) is Result.FORGED
    assert await world.scan(shown.code) is Result.VALID


async def test_codes_of_a_former_key_are_good_until_its_end(world: World) -> None:
    await world.tickets.handle([delivered(paid(), "e1")])
    before = await world.code()
    former = world.keys.keys[0]._replace(ends_at=NOON + timedelta(hours=1))
    world.keys.keys = [codes.key_of(b"2" * 32), former]
    assert await world.code() == before  # a ticket that was printed stays as it is
    assert [key.id for key, _ in world.tickets.public_keys()] == [key.id for key in world.keys.keys]
    assert await world.scan(before) is Result.VALID
    world.clock.advance(3600)
    assert await world.scan(before, "s2") is Result.FORGED
    after = await world.code(number=2)
    assert codes.key_id_of(after) == world.keys.keys[0].id
    assert await world.scan(after) is Result.VALID


async def test_the_door_goes_by_what_it_knew_while_concerts_is_away(world: World) -> None:
    await world.tickets.handle([delivered(paid(), "e1")])
    code, other = await world.code(), await world.code(number=2)
    world.concerts.away = True
    world.clock.advance(60)
    assert await world.scan(code) is Result.VALID
    fresh = World(world.store)
    fresh.concerts.away = True
    with pytest.raises(Busy):
        await fresh.scan(other)


async def test_the_name_of_a_new_holder_is_sealed_until_the_key_of_the_codes_ends(world: World) -> None:
    await world.tickets.handle([delivered(paid(), "e1")])
    after = await world.tickets.transfer("order-1", 1, holder="Zoë Planted", cause=REQUEST)
    assert "Planted" not in str(after)
    (shown,) = await world.tickets.shown(after, [1])
    assert shown.holder == "Zoë Planted"
    of_another = msgspec.structs.replace(after, changed={2: after.ticket(1)})
    assert [each.holder for each in await world.tickets.shown(of_another, [1, 2])] == [None, None]
    in_clear = msgspec.structs.replace(after.ticket(1), holder="Zoë")
    older = msgspec.structs.replace(after, changed={1: in_clear})
    assert [each.holder for each in await world.tickets.shown(older, [1])] == ["Zoë"]
    former = world.keys.keys[0]._replace(ends_at=NOON + timedelta(hours=1))
    world.keys.keys = [codes.key_of(b"2" * 32), former]
    assert [each.holder for each in await world.tickets.shown(after, [1])] == ["Zoë Planted"]
    world.clock.advance(3600)
    assert [each.holder for each in await world.tickets.shown(after, [1])] == [None]


async def test_with_the_buyer_go_the_names_that_the_buyer_gave_and_with_time_all(world: World) -> None:
    erased = ContactErased(order_id="order-1", concert_id="concert-1", reason=ErasureReason.ASKED)
    assert await world.tickets.handle([delivered(erased, "e0")]) == [Acknowledgement.SUCCESS], "there is nothing yet"
    await world.tickets.handle([delivered(paid(), "e1")])
    await world.tickets.transfer("order-1", 1, holder="Zoë", cause=REQUEST)
    for name in ("Ann", "Bob"):
        after = await world.tickets.transfer("order-1", 2, holder=name, cause=REQUEST)
    for _ in range(2):
        assert await world.tickets.handle([delivered(erased, "e2")]) == [Acknowledgement.SUCCESS]
    assert await _names(world) == [None, "Bob"], "whom Ann passed it on to is nothing of the buyer's"
    kept = await world.tickets.of_order("order-1")
    assert (kept.ticket(1).holder, kept.ticket(1).generation, kept.step) == (None, 2, after.step)
    over = ContactErased(order_id="order-1", concert_id="concert-1", reason=ErasureReason.RETENTION)
    await world.tickets.handle([delivered(over, "e3")])
    assert await _names(world) == [None, None]


async def test_an_erasure_that_is_told_again_takes_no_name_that_was_given_since(world: World) -> None:
    await world.tickets.handle([delivered(paid(), "e1")])
    erased = delivered(ContactErased(order_id="order-1", concert_id="concert-1", reason=ErasureReason.ASKED), "e2")
    await world.tickets.handle([erased])
    await world.tickets.transfer("order-1", 1, holder="Zoë", cause=REQUEST)
    assert await world.tickets.handle([erased]) == [Acknowledgement.SUCCESS]
    assert await _names(world) == ["Zoë", None]


async def _names(world: World) -> list[str | None]:
    return [each.holder for each in await world.tickets.shown(await world.tickets.of_order("order-1"), [1, 2])]


async def test_a_new_holder_has_another_code_and_the_old_one_ends(world: World) -> None:
    await world.tickets.handle([delivered(paid(), "e1")])
    before = await world.code()
    await world.tickets.transfer("order-1", 1, holder="Zoë", cause=REQUEST)
    after = await world.code()
    assert await world.scan(before) is Result.REPLACED
    assert await world.scan(after) is Result.VALID
    stored = await world.store.get(TICKETS.kind, [])
    assert stored == {}
    for event in await world.store.pending(0, 100):
        assert "Zoë".encode() not in event.body


async def test_what_a_device_tells_is_written_down_once_and_found_again(world: World) -> None:
    doors = world.tickets.doors
    await world.tickets.handle([delivered(paid(), "e1")])
    code, other = await world.code(), await world.code(number=2)
    assert await world.scan(code, "d.1") is Result.VALID  # the answer was lost, so the device decided by itself
    at = NOON + timedelta(seconds=1)
    told = [DeviceScan(code, "south", Direction.IN, 1, NOON), DeviceScan(other, "south", Direction.IN, 2, at)]
    told.append(DeviceScan("nonsense", "south", Direction.IN, 3, at))
    for results in ([MergeResult.KNOWN, MergeResult.RECORDED], [MergeResult.KNOWN, MergeResult.KNOWN]):
        merged = await doors.merge("d", told, cause=REQUEST, is_theirs=None)
        assert [result for result, _ in merged.scans] == [*results, MergeResult.FORGED]
    assert (await doors.counts("concert-1")).inside == 2
    assert [each.door for each in await doors.inside("concert-1")] == ["north", "south"]
    second = [DeviceScan(code, "west", Direction.IN, 1, at)]
    (found,) = (await doors.merge("e", second, cause=REQUEST, is_theirs=None)).conflicts
    assert (found.earlier and found.earlier.door, found.entered.door) == ("north", "west")
    assert await doors.conflicts("concert-1") == [found]


async def test_a_device_whose_clock_is_ahead_is_told_so_and_nothing_is_written_down(world: World) -> None:
    await world.tickets.handle([delivered(paid(), "e1")])
    late = [DeviceScan(await world.code(), "south", Direction.IN, 1, NOON + timedelta(hours=1))]
    with pytest.raises(ClockAhead):
        await world.tickets.doors.merge("d", late, cause=REQUEST, is_theirs=None)
    assert await told(world.store) == ["TicketIssued"]
    assert world.tickets.doors.offset(NOON - timedelta(seconds=5)) == timedelta(seconds=5)


async def test_a_snapshot_changes_when_somebody_is_let_in_and_not_before(world: World) -> None:
    doors = world.tickets.doors
    await world.tickets.handle([delivered(paid(), "e1")])
    first = await doors.snapshot("concert-1")
    world.clock.advance(10)
    assert await doors.snapshot("concert-1") == first
    await world.scan(await world.code())
    world.clock.advance(10)
    assert (await doors.snapshot("concert-1")).tag != first.tag
