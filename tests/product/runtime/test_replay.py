"""State rebuilt from a log and compared, with a small service of the test's own: tills that count their sales."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fakes import NOON

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Catalogue, Cause, Envelope, Event, Topic, envelop
from cludale.kernel.wire import Codec
from cludale.ports.records import Commit, Committed, Kind, Put, Records
from cludale.runtime.replay import CannotFold, Difference, NotEmpty, Rebuild, Ref, States, Table

TILL = Kind("tills", "till")
SALE = Kind("tills", "sale")


class Sold(Event, frozen=True):
    """A till sold something."""

    order_id: str
    till: str


class Undone(Event, frozen=True):
    """A sale was undone. Which till that was is known from the sale."""

    order_id: str
    till: str


CODEC = Codec(Catalogue([Topic("till-events", "tills", (Sold, Undone))]))


class Till(msgspec.Struct, frozen=True):
    """Counts what was sold and not undone; the note is nobody's business."""

    id: str
    sales: int = 0
    note: str = ""


class Sale(msgspec.Struct, frozen=True):
    """A sale, for as long as it is not undone; a draft was never told of."""

    id: str
    undone: bool = False
    draft: bool = False


def put_till(till: Till, expected: int) -> Put:
    return Put(TILL, till.id, msgspec.json.encode(till), expected)


def put_sale(sale: Sale, expected: int) -> Put:
    return Put(SALE, sale.id, msgspec.json.encode(sale), expected)


class TillsReplay:
    """A sale moves two records, and undoing it needs to know the one to change the other."""

    service = "tills"
    event_types = frozenset({"Sold", "Undone"})
    tables: Sequence[Table[Any]] = (
        Table(
            TILL,
            msgspec.json.Decoder(Till).decode,
            put_till,
            lambda till: till.id,
            lambda till: {"sales": till.sales},
        ),
        Table(
            SALE,
            msgspec.json.Decoder(Sale).decode,
            put_sale,
            lambda sale: sale.id,
            lambda sale: None if sale.draft else {"undone": sale.undone},
        ),
    )

    def touches(self, event: Envelope) -> Sequence[Ref]:
        return Ref("till", event.data.till, event.data.till), Ref("sale", event.data.order_id, event.data.order_id)

    def fold(self, event: Envelope, states: States) -> None:
        till_ref, sale_ref = self.touches(event)
        till = states.get(till_ref) or Till(till_ref.id)
        if isinstance(event.data, Sold):
            states.put(till_ref, Till(till.id, till.sales + 1))
            states.put(sale_ref, Sale(sale_ref.id))
        else:
            if states.get(sale_ref) is None:
                raise ValueError("nothing was sold")
            states.put(till_ref, Till(till.id, till.sales - 1))
            states.put(sale_ref, Sale(sale_ref.id, undone=True))


class ListedLog:
    """A log that a test writes."""

    def __init__(self, *events: Envelope) -> None:
        self.events = list(events)
        self._read = 0

    async def read(self) -> AsyncIterator[Sequence[Envelope]]:
        while self._read < len(self.events):
            page = self.events[self._read : self._read + 2]
            self._read += len(page)
            yield page


def event(data: Event, number: int) -> Envelope:
    return envelop(data, id=f"e{number}", source="tills", time=NOON, cause=Cause())


SALES = (
    event(Sold(order_id="o1", till="left"), 1),
    event(Sold(order_id="o2", till="right"), 2),
    event(Sold(order_id="o3", till="left"), 3),
    event(Undone(order_id="o1", till="left"), 4),
    event(Sold(order_id="o4", till="left"), 5),
)

TILLS = (Till("left", 2), Till("right", 1))
SOLD = (Sale("o1", undone=True), Sale("o2"), Sale("o3"), Sale("o4"))


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Callable[[str], SqliteStore]]:
    stores: list[SqliteStore] = []

    def open_(name: str) -> SqliteStore:
        stores.append(SqliteStore(tmp_path / name, (TILL, SALE), CODEC))
        return stores[-1]

    yield open_
    for store in stores:
        await store.close()


Opened = Callable[[str], SqliteStore]


async def filled(records: Records, tills: Sequence[Till] = TILLS, sales: Sequence[Sale] = SOLD) -> Records:
    puts = [put_till(till, 0) for till in tills] + [put_sale(sale, 0) for sale in sales]
    outcomes = await records.commit([Commit(put.id, (put,)) for put in puts])
    assert all(isinstance(outcome, Committed) for outcome in outcomes)
    return records


@pytest.mark.parametrize("cache_limit", [1, 1000])
async def test_a_log_folded_into_an_empty_store_gives_the_live_store(opened: Opened, cache_limit: int) -> None:
    rebuild = Rebuild(ListedLog(*SALES), [TillsReplay()], opened("rebuilt"), cache_limit=cache_limit)
    seen: list[int] = []
    await rebuild.run(seen.append)
    assert seen == [2, 4, 5]
    assert await rebuild.counts() == {"tills/till": 2, "tills/sale": 4}
    assert await rebuild.compare(await filled(opened("live"))) == []


async def differences(opened: Opened, tills: Sequence[Till], sales: Sequence[Sale]) -> set[Difference]:
    rebuild = Rebuild(ListedLog(*SALES), [TillsReplay()], opened("rebuilt"))
    await rebuild.run()
    return set(await rebuild.compare(await filled(opened("live"), tills, sales), settle_seconds=0))


async def test_a_field_that_differs_is_named(opened: Opened) -> None:
    found = await differences(opened, (Till("left", 3), Till("right", 1)), SOLD)
    assert found == {Difference("tills", "till", "left", "sales", 3, 2)}


async def test_what_no_event_tells_of_is_not_compared(opened: Opened) -> None:
    noted = (Till("left", 2, note="sticks"), Till("right", 1))
    assert await differences(opened, noted, (*SOLD, Sale("o9", draft=True))) == set()


async def test_a_record_that_only_one_of_them_has_is_named(opened: Opened) -> None:
    rebuild = Rebuild(ListedLog(*SALES), [TillsReplay()], opened("rebuilt"))
    await rebuild.run()
    live = await filled(opened("live"), TILLS, (*SOLD[1:], Sale("o9")))
    found = await rebuild.compare(live, settle_seconds=0)
    assert found == [
        Difference("tills", "sale", "o9", None, {"undone": False}, None),
        Difference("tills", "sale", "o1", None, None, {"undone": True}),
    ]


async def test_no_more_differences_are_listed_than_asked_for(opened: Opened) -> None:
    rebuild = Rebuild(ListedLog(*SALES), [TillsReplay()], opened("rebuilt"))
    await rebuild.run()
    assert len(await rebuild.compare(opened("live"), limit=3, settle_seconds=0)) == 3


async def test_a_live_store_that_is_ahead_of_its_log_gets_time_to_settle(opened: Opened) -> None:
    log = ListedLog(*SALES[:-1])
    rebuild = Rebuild(log, [TillsReplay()], opened("rebuilt"))
    await rebuild.run()
    live = await filled(opened("live"))
    asyncio.get_running_loop().call_later(0.05, log.events.append, SALES[-1])
    assert await rebuild.compare(live, settle_rounds=100, settle_seconds=0.01) == []


async def test_a_store_that_is_not_empty_is_not_rebuilt_into(opened: Opened) -> None:
    store = opened("rebuilt")
    await Rebuild(ListedLog(*SALES), [TillsReplay()], store).run()
    again = Rebuild(ListedLog(*SALES), [TillsReplay()], store)
    with pytest.raises(NotEmpty):
        await again.run()


async def test_an_event_that_does_not_follow_is_named(opened: Opened) -> None:
    rebuild = Rebuild(ListedLog(SALES[3]), [TillsReplay()], opened("rebuilt"))
    with pytest.raises(CannotFold, match="tills: Undone e4"):
        await rebuild.run()


class Careless(TillsReplay):
    """Forgets to say that it changes the sale."""

    def touches(self, event: Envelope) -> Sequence[Ref]:
        return super().touches(event)[:1]

    def fold(self, event: Envelope, states: States) -> None:
        states.put(Ref("sale", event.data.order_id, event.data.order_id), Sale(event.data.order_id))


async def test_a_fold_may_touch_only_what_it_said(opened: Opened) -> None:
    with pytest.raises(CannotFold):
        await Rebuild(ListedLog(*SALES), [Careless()], opened("rebuilt")).run()
