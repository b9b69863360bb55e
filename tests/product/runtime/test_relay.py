"""The relay: every committed event reaches the bus, after a restart and past every trouble."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from tests.fakes import NOON, CountingIds, ManualClock
from tests.patience import until
from tests.product.runtime.ledgers import CODEC, LEDGERS, Written

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.backoff import Backoff
from cludale.kernel.events import Cause, envelop
from cludale.ports.outbox import Listener, Outgoing
from cludale.ports.records import Commit, StoreUnavailable
from cludale.runtime.relay import Relay

BACKOFF = Backoff(0.1, 1.0)


class Ear:
    """A bus that writes down what it takes, and takes only what and when the test lets it."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.batches: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.refuse: Callable[[str], bool] = lambda _: False
        self.broken: Exception | None = None

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
        self.batches.append(len(batch))
        await self.gate.wait()
        if self.broken is not None:
            error, self.broken = self.broken, None
            raise error
        notes = [CODEC.decode(entry.body).data.note for entry in batch]
        taken = [not self.refuse(note) for note in notes]
        self.heard += [note for note, ok in zip(notes, taken, strict=True) if ok]
        return taken


class Outbox:
    """The store's outbox, with a chance to meddle before and after it is read."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.before_read: list[Callable[[], Awaitable[object]]] = []
        self.after_read: list[Callable[[], Awaitable[object]]] = []

    def listen(self, listener: Listener) -> None:
        self._store.listen(listener)

    async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
        for meddle in self._taken(self.before_read):
            await meddle()
        entries = await self._store.pending(after, limit)
        for meddle in self._taken(self.after_read):
            await meddle()
        return entries

    def delivered(self, positions: Sequence[int]) -> None:
        self._store.delivered(positions)

    @staticmethod
    def _taken(meddles: list[Callable[[], Awaitable[object]]]) -> list[Callable[[], Awaitable[object]]]:
        taken, meddles[:] = list(meddles), []
        return taken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledgers.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(path, [LEDGERS.kind], CODEC)
    yield opened
    await opened.close()


@pytest.fixture
def outbox(store: SqliteStore) -> Outbox:
    return Outbox(store)


@pytest.fixture
def bus() -> Ear:
    return Ear()


Start = Callable[..., Relay]


@pytest.fixture
async def start(outbox: Outbox, bus: Ear, clock: ManualClock, ids: CountingIds) -> AsyncIterator[Start]:
    relays: list[Relay] = []

    def started(*, limit: int = 20_000, page: int = 500, look_again_seconds: float = 60.0) -> Relay:
        relay = Relay(
            outbox,
            bus,
            clock=clock,
            ids=ids,
            backoff=BACKOFF,
            limit=limit,
            page=page,
            look_again_seconds=look_again_seconds,
        )
        relay.start()
        relays.append(relay)
        return relay

    yield started
    for relay in relays:
        await relay.stop()


async def say(store: SqliteStore, *notes: str) -> None:
    """Commit one event a note, together."""
    events = [
        envelop(Written(order_id="a", note=note), id=f"event-{note}", source="ledgers", time=NOON, cause=Cause())
        for note in notes
    ]
    await store.commit([Commit("a", events=[event]) for event in events])


def words(start: int, end: int) -> list[str]:
    return [f"{i:04}" for i in range(start, end)]


async def test_what_is_committed_is_published_in_order(start: Start, store: SqliteStore, bus: Ear) -> None:
    start()
    for i in range(20):
        await say(store, f"{i:04}")
    await until(lambda: len(bus.heard) == 20)
    assert bus.heard == words(0, 20)


async def test_what_an_earlier_run_left_is_published_first(start: Start, store: SqliteStore, bus: Ear) -> None:
    await say(store, *words(0, 1200))
    start(page=100)
    await say(store, "later")
    await until(lambda: len(bus.heard) == 1201)
    assert bus.heard == [*words(0, 1200), "later"]


async def test_what_was_published_is_forgotten_across_a_restart(
    start: Start, store: SqliteStore, path: Path, bus: Ear
) -> None:
    relay = start()
    await say(store, *words(0, 5))
    await until(lambda: relay.published == 5)
    bus.gate.clear()
    await say(store, *words(5, 8))
    await until(lambda: relay.under_way == 3)
    await relay.stop()
    await store.close()
    again = SqliteStore(path, [LEDGERS.kind], CODEC)
    assert [CODEC.decode(entry.body).data.note for entry in await again.pending(0, 100)] == words(5, 8)
    await again.close()


async def test_when_too_much_is_under_way_the_rest_waits_in_the_outbox(
    start: Start, store: SqliteStore, bus: Ear
) -> None:
    relay = start(limit=10, page=4)
    await say(store, "first")
    await until(lambda: bus.heard == ["first"])
    bus.gate.clear()
    for i in range(50):
        await say(store, f"{i:04}")
    await until(lambda: relay.under_way > 0)
    assert relay.under_way <= 10 + 4
    assert relay.lag == 50
    bus.gate.set()
    await until(lambda: len(bus.heard) == 51)
    assert bus.heard == ["first", *words(0, 50)]
    await until(lambda: relay.lag == 0)


async def test_after_it_has_caught_up_it_hears_from_memory_again(start: Start, store: SqliteStore, bus: Ear) -> None:
    relay = start(limit=10, page=4)
    bus.gate.clear()
    await say(store, *words(0, 30))
    bus.gate.set()
    await until(lambda: len(bus.heard) == 30)
    await until(lambda: not relay.behind)
    await say(store, "after")
    await until(lambda: bus.heard[-1] == "after")
    assert bus.heard == [*words(0, 30), "after"]


@pytest.mark.parametrize("moment", ["before_read", "after_read"])
async def test_nothing_is_lost_or_doubled_where_reading_ends_and_hearing_begins(
    start: Start, store: SqliteStore, outbox: Outbox, bus: Ear, moment: str
) -> None:
    meddles = getattr(outbox, moment)
    meddles.append(lambda: say(store, *words(0, 3)))
    start()
    await until(lambda: len(bus.heard) >= 3)
    meddles.append(lambda: say(store, *words(3, 6)))
    await say(store, "between")
    await until(lambda: "between" in bus.heard)
    await say(store, "last")
    await until(lambda: "last" in bus.heard)
    assert len(bus.heard) == len(set(bus.heard))
    assert {*words(0, 3), "between", "last"} <= set(bus.heard)


async def test_an_event_that_was_read_before_it_was_heard_of_is_published_once(
    start: Start, store: SqliteStore, outbox: Outbox, bus: Ear
) -> None:
    """The store's thread makes it durable a moment before the event loop is told of it."""
    listeners: list[Listener] = []
    late: list[Sequence[Outgoing]] = []
    outbox.listen = listeners.append  # type: ignore[method-assign, assignment] # the news comes late in this test
    store.listen(late.append)
    await say(store, *words(0, 3))
    start()
    await until(lambda: len(bus.heard) == 3)
    for entries in late:
        listeners[0](entries)
    await say(store, "later")
    listeners[0](late[-1])
    await until(lambda: "later" in bus.heard)
    assert bus.heard == [*words(0, 3), "later"]


async def test_an_event_that_the_bus_refuses_is_published_again_alone(
    start: Start, store: SqliteStore, bus: Ear, clock: ManualClock
) -> None:
    relay = start()
    refused: list[str] = []

    def refuse(note: str) -> bool:
        if note != "b" or len(refused) == 3:
            return False
        refused.append(note)
        return True

    bus.refuse = refuse
    before = clock.now()
    await say(store, "a", "b", "c")
    await until(lambda: len(bus.heard) == 3)
    assert bus.heard == ["a", "c", "b"]
    assert bus.batches == [3, 1, 1, 1]
    assert (clock.now() - before).total_seconds() == pytest.approx(0.1 + 0.2 + 0.4)
    await until(lambda: relay.published == 3)
    assert relay.under_way == 0


async def test_for_how_long_the_bus_has_not_taken_an_event_is_known(
    start: Start, store: SqliteStore, bus: Ear, clock: ManualClock
) -> None:
    relay = start()
    assert relay.oldest_seconds == 0
    bus.gate.clear()
    await say(store, "a")
    await until(lambda: relay.under_way == 1 and bus.batches == [1])
    clock.advance(30)
    await say(store, "b")
    await until(lambda: relay.under_way == 2)
    assert relay.oldest_seconds == 30
    bus.gate.set()
    await until(lambda: relay.published == 2)
    assert relay.oldest_seconds == 0


async def test_a_bus_that_breaks_gets_all_of_it_again(start: Start, store: SqliteStore, bus: Ear) -> None:
    start()
    bus.broken = ConnectionError("broker")
    await say(store, "a", "b")
    await until(lambda: bus.heard == ["a", "b"])
    assert bus.batches == [2, 2]


async def test_an_outbox_that_can_not_be_read_for_a_while_is_read_later(
    start: Start, store: SqliteStore, outbox: Outbox, bus: Ear
) -> None:
    async def away() -> None:
        outbox.before_read.append(back)
        raise StoreUnavailable("locked")

    async def back() -> None:
        return None

    await say(store, *words(0, 3))
    outbox.before_read.append(away)
    start()
    await until(lambda: bus.heard == words(0, 3))
    await say(store, "later")
    await until(lambda: bus.heard[-1] == "later")


async def test_after_it_was_stopped_it_publishes_nothing_more(start: Start, store: SqliteStore, bus: Ear) -> None:
    relay = start()
    await say(store, "a")
    await until(lambda: bus.heard == ["a"])
    await relay.stop()
    await say(store, "b")
    await asyncio.sleep(0.05)
    assert bus.heard == ["a"]
    assert [CODEC.decode(entry.body).data.note for entry in await store.pending(0, 10)][-1] == "b"


async def test_an_event_that_nobody_told_of_is_published_all_the_same(
    start: Start, store: SqliteStore, outbox: Outbox, bus: Ear
) -> None:
    outbox.listen = lambda listener: None  # type: ignore[method-assign] # as if every commit's answer were lost
    start(look_again_seconds=0.2)
    await asyncio.sleep(0.05)  # it has caught up, and listens
    await say(store, "1", "2")
    await until(lambda: bus.heard == ["1", "2"])
    await asyncio.sleep(0.5)
    assert bus.heard == ["1", "2"]


async def test_what_is_under_way_for_long_is_not_taken_for_overlooked(
    start: Start, store: SqliteStore, bus: Ear
) -> None:
    start(look_again_seconds=0.2)
    bus.gate.clear()
    await say(store, "1", "2")
    await asyncio.sleep(0.7)
    bus.gate.set()
    await until(lambda: len(bus.heard) >= 2)
    await asyncio.sleep(0.5)
    assert bus.heard == ["1", "2"]


async def test_what_a_slower_partition_committed_first_is_published_when_it_is_told_of(
    clock: ManualClock, ids: CountingIds, bus: Ear
) -> None:
    class Partitions:
        """An outbox that tells of later positions before earlier ones."""

        def listen(self, listener: Listener) -> None:
            self.tell = listener

        async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
            return ()

        def delivered(self, positions: Sequence[int]) -> None:
            pass

    def entry(position: int) -> Outgoing:
        event = Written(order_id="o", note=f"{position}")
        envelope = envelop(event, id=f"e{position}", source="ledgers", time=NOON, cause=Cause())
        return Outgoing(position, "ledger-events", CODEC.encode(envelope))

    outbox = Partitions()
    relay = Relay(outbox, bus, clock=clock, ids=ids, backoff=BACKOFF)
    relay.start()
    await asyncio.sleep(0.01)
    for positions in ((50, 51), (10,), (52,), (20, 53)):
        outbox.tell([entry(position) for position in positions])
    await until(lambda: len(bus.heard) == 6)
    assert sorted(bus.heard) == ["10", "20", "50", "51", "52", "53"]
    assert relay.lag == 0
    await relay.stop()
