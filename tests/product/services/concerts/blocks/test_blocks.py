"""Blocks: seats that are held back, sold out of the block alone, and let go once, by time, by rule or by hand."""

from datetime import datetime, timedelta

import pytest
from tests.events import delivered
from tests.fakes import NOON, CountingIds, ManualClock
from tests.product.services.concerts.larks import PRICE, concert_of, plan_of
from tests.seats import allocation

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Cause
from cludale.kernel.refusals import Invalid
from cludale.kernel.tills import Till, TillMethod
from cludale.ports.records import Query
from cludale.ports.seats import BlockNotFound, BlockTooSmall, CalledOff, HoldRequest, SeatsHeld, SeatsUnavailable
from cludale.services.concerts import domain
from cludale.services.concerts.blocks import block as blocks
from cludale.services.concerts.blocks import domain as block_rules
from cludale.services.concerts.blocks.domain import ChangeBlock, EndBlocks, HoldBack, LetBlockGo
from cludale.services.concerts.blocks.service import BlockWish, NewBlock, ShownBlock
from cludale.services.concerts.changes import domain as changes
from cludale.services.concerts.changes.domain import SeatsInUse
from cludale.services.concerts.changes.service import SectionWish
from cludale.services.concerts.domain import ChangeSection, Hold
from cludale.services.concerts.events import ConcertFields, LetGoReason, SeatsHeldBack, SeatsLetGo
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.service import Concerts
from cludale.services.concerts.stock import Section
from cludale.services.concerts.store import BLOCKS
from cludale.services.payments.events import PaymentCompleted

CONCERT = concert_of(plan_of("stalls", 10), date="2027-06-05T19:30:00+00:00")
HOUR = timedelta(hours=1)
SECTION = Section(concert_id="concert-1", id="stalls", price=PRICE, total=10)
EMPTY = Seating(SECTION, {})


def kept(seating: Seating = EMPTY, seats: int = 4, block: str = "b", few: int | None = None) -> Seating:
    wanted = HoldBack(block=block, purpose="Sponsors", seats=seats, ends_at=NOON + HOUR, by="key-1", few_left=few)
    return block_rules.decide(seating, wanted, NOON).state


def hold(seating: Seating, id: str, quantity: int, block: str | None = None, at: datetime = NOON) -> Seating:
    return domain.hold(seating, Hold(id, id, quantity, 600.0, block=block), at).state


def test_seats_that_are_held_back_are_nobody_elses_until_the_end_swept_or_not() -> None:
    seating = kept()
    assert (seating.section.available(NOON), seating.section.held_back(NOON)) == (6, 4)
    with pytest.raises(SeatsUnavailable) as refused:
        hold(seating, "a", 7)
    assert refused.value.values["left"] == 6
    assert hold(seating, "a", 7, at=NOON + HOUR).section.available(NOON + HOUR) == 3
    assert seating.section.next_more(NOON) == NOON + HOUR


def test_who_sells_out_of_a_block_takes_no_seat_of_the_others() -> None:
    seating = hold(kept(), "a", 3, "b")
    assert seating.section.available(NOON) == 6
    assert seating.section.held_seats(NOON) + seating.section.held_back(NOON) == 4
    with pytest.raises(BlockTooSmall) as refused:
        hold(seating, "c", 2, "b")
    assert refused.value.values["left"] == 1
    for block, at in (("x", NOON), ("b", NOON + HOUR)):
        with pytest.raises(BlockNotFound):
            hold(seating, "c", 1, block, at)


def test_a_block_never_gets_more_than_can_be_had_nor_less_than_is_sold_out_of_it() -> None:
    with pytest.raises(SeatsUnavailable):
        kept(seats=11)
    seating = hold(kept(), "a", 3, "b")
    said = blocks.BlockEntry(id="b", purpose="Sponsors", seats=4, ends_at=NOON + HOUR, made_at=NOON)
    for seats, refusal in ((2, BlockTooSmall), (11, SeatsUnavailable)):
        with pytest.raises(refusal):
            block_rules.decide(seating, ChangeBlock(block="b", by="k", seats=seats, said=said), NOON)
    grown = block_rules.decide(seating, ChangeBlock(block="b", by="k", seats=10, said=said), NOON)
    assert (grown.state.section.available(NOON), grown.state.section.held_back(NOON)) == (0, 7)
    assert not block_rules.decide(seating, ChangeBlock(block="b", by="k", seats=4, said=said), NOON).events
    with pytest.raises(SeatsInUse) as refused:
        changes.change_section(seating, ChangeSection("k", None, total=3), NOON)
    assert refused.value.values["least"] == 4


def test_it_is_let_go_once_by_hand_and_once_by_time() -> None:
    seating = hold(kept(), "a", 3, "b")
    gone = block_rules.decide(seating, LetBlockGo(block="b", by="key-2"), NOON)
    (event,) = gone.events
    assert isinstance(event, SeatsLetGo)
    assert (event.seats, event.reason, event.changed_by) == (1, LetGoReason.RELEASED, "key-2")
    with pytest.raises(BlockNotFound):
        block_rules.decide(gone.state, LetBlockGo(block="b", by="key-2"), NOON)
    assert not block_rules.decide(seating, EndBlocks(), NOON + HOUR - timedelta(seconds=1)).events
    ended = block_rules.decide(seating, EndBlocks(), NOON + HOUR)
    assert [(each.seats, each.reason) for each in ended.events if isinstance(each, SeatsLetGo)] == [
        (1, LetGoReason.ENDED)
    ]
    assert not block_rules.decide(ended.state, EndBlocks(), NOON + HOUR).events


def test_few_seats_left_let_it_go_in_the_same_moment() -> None:
    seating = kept(kept(seats=2, few=3), seats=2, block="c", few=2)
    assert seating.section.available(NOON) == 6
    three = domain.hold(seating, Hold("a", "a", 3, 600.0), NOON)
    assert len(three.events) == 1
    two = domain.hold(three.state, Hold("d", "d", 1, 600.0), NOON)
    assert [(each.block, each.reason) for each in two.events if isinstance(each, SeatsLetGo)] == [
        ("b", LetGoReason.FEW_LEFT)
    ]
    assert two.state.section.available(NOON) == 4
    assert list(two.state.section.its_blocks) == ["c"]
    with pytest.raises(Invalid):
        kept(two.state, seats=2, block="e", few=3)


def test_a_clock_that_goes_back_brings_no_block_to_life_whose_seats_others_have() -> None:
    seating = hold(kept(seats=8), "a", 8, at=NOON + HOUR)
    assert seating.section.available(NOON) == 2


def test_none_are_held_back_of_a_concert_that_is_called_off() -> None:
    closed = Seating(Section(concert_id="concert-1", id="stalls", price=PRICE, total=10, closed=True), {})
    with pytest.raises(CalledOff):
        kept(closed)


class Service(Concerts):
    def __init__(self, store: SqliteStore, clock: ManualClock, ids: CountingIds) -> None:
        super().__init__(store, clock=clock, ids=ids, hold_seconds=60, max_per_order=8)

    async def keep(self, id: str = "b", seats: int = 4, **more: object) -> ShownBlock:
        wanted = NewBlock(block=id, section="stalls", seats=seats, purpose="Sponsors", **more)  # type: ignore[arg-type]
        return await self.blocks.hold_back(await self.directory.fresh("concert-1"), wanted, by="key-1", cause=Cause())

    async def sell(self, order: str, quantity: int, block: str | None = "b") -> SeatsHeld:
        till = Till(method=TillMethod.CASH, seller="key-1", block=block)
        return await self.holding.hold(HoldRequest("concert-1", quantity, f"order-{order}", till=till))

    async def the_block(self, id: str = "b") -> ShownBlock:
        return await self.blocks.show(await self.directory.fresh("concert-1"), id)


@pytest.fixture
async def concerts(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> Service:
    service = Service(store, clock, ids)
    await service.directory.schedule(CONCERT, Cause())
    return service


async def test_a_block_is_shown_with_what_is_sold_out_of_it_and_how_it_ended(
    concerts: Service, clock: ManualClock
) -> None:
    await concerts.keep(hours_before=48.0)
    await concerts.sell("a", 3)
    paid = PaymentCompleted(
        payment_id="p", order_id="order-a", allocation=allocation("reservation-a", 3), amount=PRICE, round=1, attempts=1
    )
    await concerts.handle([delivered(paid, "paid")])
    shown = await concerts.the_block()
    assert (shown.drawn, shown.left, shown.let_go) == (3, 1, None)
    assert shown.entry.ends_at == CONCERT.begins - timedelta(hours=48)
    with pytest.raises(BlockTooSmall):
        await concerts.sell("c", 2)
    clock.advance((shown.entry.ends_at - clock.now()).total_seconds() + 1)
    unswept = await concerts.the_block()
    assert await concerts.sweep() == 1
    assert await concerts.sweep() == 0
    swept = await concerts.the_block()
    for each in (unswept, swept):
        assert each.let_go is not None
        assert (each.drawn, each.left, each.let_go.seats, each.let_go.reason) == (3, 0, 1, LetGoReason.ENDED)
    assert (await concerts.directory.standing("concert-1")).sections[0].available(clock.now()) == 7


async def test_asked_for_again_it_is_one_block_and_let_go_again_it_stays_as_it_is(concerts: Service) -> None:
    for _ in range(2):
        await concerts.keep(ends_at=NOON + HOUR)
    concert = await concerts.directory.fresh("concert-1")
    for _ in range(2):
        gone = await concerts.blocks.let_go(concert, "b", by="key-1", cause=Cause())
        assert gone.let_go is not None
    await concerts.keep(ends_at=NOON + HOUR)  # who asked has got no answer, and asks again now
    (still,) = await concerts.blocks.all_of(concert)
    assert (still.let_go, still.left) == (gone.let_go, 0)
    with pytest.raises(BlockNotFound):
        await concerts.blocks.let_go(concert, "x", by="key-1", cause=Cause())
    with pytest.raises(BlockNotFound):
        await concerts.sell("a", 1)


async def test_it_grows_and_its_end_follows_a_concert_that_is_moved(concerts: Service) -> None:
    await concerts.keep(hours_before=24.0)
    concert = await concerts.directory.fresh("concert-1")
    more = await concerts.blocks.change(concert, "b", BlockWish(seats=6), by="key-1", cause=Cause())
    assert (more.left, more.entry.hours_before) == (6, 24.0)
    moved = ConcertFields(date="2027-06-06T19:30:00+00:00")
    await concerts.changes.change("concert-1", lambda _: moved, [], tags=None, by="key-1", cause=Cause())
    assert (await concerts.the_block()).entry.ends_at == CONCERT.begins
    fixed = BlockWish(ends_at=NOON + HOUR)
    assert (await concerts.blocks.change(concert, "b", fixed, by="k", cause=Cause())).entry.hours_before is None
    wish = SectionWish("stalls", 5)
    with pytest.raises(SeatsInUse):
        await concerts.changes.change("concert-1", lambda _: ConcertFields(), [wish], tags=None, by="k", cause=Cause())


async def test_what_is_told_of_blocks_is_what_is_stored(concerts: Service, store: SqliteStore) -> None:
    await concerts.keep(ends_at=NOON + HOUR)
    page = await store.find(BLOCKS.kind, Query())
    (listed,) = [BLOCKS.decode(each.body) for each in page.items]
    told = SeatsHeldBack(
        concert_id="concert-1", section="stalls", change=1, changed_by="key-1", block="b", purpose="Sponsors",
        seats=4, ends_at=NOON + HOUR, hours_before=None, few_left=None,
    )  # fmt: skip
    empty = blocks.BlockList(concert_id="concert-1", section="stalls")
    assert blocks.listed(empty, told, at=listed.entries[0].made_at) == listed
