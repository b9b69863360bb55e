"""The embedded bus, beyond what every bus must do (tests/product/contracts): order, batches, waiting, dead letters."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from tests.fakes import CountingIds, ManualClock
from tests.letters import buried
from tests.patience import until
from tests.product.runtime.ledgers import CODEC, Meddled, asked

from cludale.adapters.embedded.bus import EmbeddedBus
from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.backoff import Backoff
from cludale.ports.bus import Acknowledgement, Delivery, Subscription
from cludale.ports.outbox import Outgoing
from cludale.ports.records import StoreUnavailable
from cludale.runtime import dead_letters
from cludale.runtime.dead_letters import DeadLetters

ATTEMPTS = 4


class Service:
    """A handler that writes down what it gets and answers as the test says: by the note and the attempt."""

    def __init__(
        self, answer: Callable[[str, int], Acknowledgement] = lambda _note, _attempt: Acknowledgement.SUCCESS
    ) -> None:
        self.answer = answer
        self.got: list[tuple[str, int]] = []
        self.batches: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def handle(self, deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        self.batches.append(len(deliveries))
        await self.gate.wait()
        self.got += [(delivery.event.data.note, delivery.attempt) for delivery in deliveries]
        return [self.answer(delivery.event.data.note, delivery.attempt) for delivery in deliveries]

    @property
    def notes(self) -> list[str]:
        return [note for note, _ in self.got]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "letters.db", dead_letters.KINDS, CODEC)
    yield opened
    await opened.close()


@pytest.fixture
def records(store: SqliteStore) -> Meddled:
    return Meddled(store)


@pytest.fixture
def letters(records: Meddled, clock: ManualClock) -> DeadLetters:
    return DeadLetters(records, clock)


Start = Callable[..., EmbeddedBus]


@pytest.fixture
async def start(letters: DeadLetters, ids: CountingIds) -> AsyncIterator[Start]:
    buses: list[EmbeddedBus] = []

    def started(*, batch_limit: int = 256, hears: str = "Asked", **services: Service) -> EmbeddedBus:
        bus = EmbeddedBus(
            CODEC,
            ids=ids,
            backoff=Backoff(0.002, 0.01),
            attempts=ATTEMPTS,
            dead_letters=letters,
            batch_limit=batch_limit,
        )
        bus.start([Subscription(name, frozenset({hears}), service.handle) for name, service in services.items()])
        buses.append(bus)
        return bus

    yield started
    for bus in buses:
        await bus.stop()


def outgoing(*notes: str) -> list[Outgoing]:
    return [Outgoing(i, "asks", asked(f"event-{note}", "a", note).body) for i, note in enumerate(notes, 1)]


async def test_every_service_gets_what_it_hears_in_order_and_no_other(start: Start) -> None:
    one, other, deaf = Service(), Service(), Service()
    bus = start(one=one, other=other)
    bus.start([Subscription("deaf", frozenset({"Written"}), deaf.handle)])
    assert await bus.publish(outgoing("a", "b", "c")) == [True] * 3
    assert one.got == other.got == [("a", 1), ("b", 1), ("c", 1)]
    assert deaf.got == []


async def test_an_event_that_nobody_hears_is_taken(start: Start) -> None:
    assert await start(one=Service(), hears="Written").publish(outgoing("a")) == [True]


async def test_it_takes_responsibility_only_once_everyone_has_answered(start: Start) -> None:
    quick, slow = Service(), Service()
    bus = start(quick=quick, slow=slow)
    slow.gate.clear()
    published = asyncio.create_task(bus.publish(outgoing("a")))
    await until(lambda: quick.notes == ["a"])
    await asyncio.sleep(0.02)
    assert not published.done()
    slow.gate.set()
    assert await published == [True]


async def test_what_gathers_while_a_service_works_is_its_next_batch(start: Start) -> None:
    service = Service()
    bus = start(service=service, batch_limit=3)
    service.gate.clear()
    first = asyncio.create_task(bus.publish(outgoing("a")))
    await until(lambda: service.batches == [1])
    rest = [asyncio.create_task(bus.publish(outgoing(note))) for note in "bcdef"]
    await until(lambda: bus.depths == {"service": 5})
    service.gate.set()
    await asyncio.gather(first, *rest)
    assert service.batches == [1, 3, 2]
    assert service.notes == list("abcdef")


async def test_a_retry_comes_later_with_its_count_while_the_others_go_on(start: Start) -> None:
    service = Service(
        lambda note, attempt: Acknowledgement.RETRY if note == "b" and attempt < 3 else Acknowledgement.SUCCESS
    )
    bus = start(service=service)
    assert await bus.publish(outgoing("a", "b", "c")) == [True] * 3
    assert service.got == [("a", 1), ("b", 1), ("c", 1), ("b", 2), ("b", 3)]
    assert bus.depths == {"service": 0}


async def test_at_the_delivery_limit_it_goes_to_the_dead_letters(
    start: Start, letters: DeadLetters, store: SqliteStore, clock: ManualClock
) -> None:
    service = Service(lambda note, _: Acknowledgement.RETRY if note == "b" else Acknowledgement.SUCCESS)
    bus = start(service=service)
    (good, bad) = outgoing("a", "b")
    assert await bus.publish([good, bad]) == [True, True]
    assert [attempt for note, attempt in service.got if note == "b"] == [1, 2, 3, 4]
    (letter,) = await buried(store)
    assert (letter.consumer, letter.event_type, letter.event_id) == ("service", "Asked", "event-b")
    assert (letter.attempts, letter.buried_at) == (ATTEMPTS, clock.now())
    assert letter.body.encode() == bad.body
    assert "delivery limit" in letter.reason
    assert letters.buried == 1


async def test_what_a_handler_drops_is_kept_as_a_dead_letter_at_once(start: Start, store: SqliteStore) -> None:
    service = Service(lambda _note, _attempt: Acknowledgement.DROP)
    assert await start(service=service).publish(outgoing("a")) == [True]
    assert service.got == [("a", 1)]
    assert [letter.reason for letter in await buried(store)] == ["refused by its handler"]


async def test_a_poisonous_event_stops_none_of_its_neighbours(
    start: Start, store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(note: str, _: int) -> Acknowledgement:
        if note == "poison":
            raise ZeroDivisionError(note)
        return Acknowledgement.SUCCESS

    poisoned, sound = Service(answer), Service()
    bus = start(poisoned=poisoned, sound=sound)
    assert await bus.publish(outgoing("a", "poison", "b")) == [True] * 3
    assert {"a", "b"} <= set(poisoned.notes)
    assert sound.notes == ["a", "poison", "b"]
    assert [(letter.consumer, letter.event_id) for letter in await buried(store)] == [("poisoned", "event-poison")]
    assert "ZeroDivisionError" in caplog.text
    assert await bus.publish(outgoing("after")) == [True]
    assert poisoned.notes[-1] == "after"


async def test_a_handler_that_forgets_an_answer_is_asked_one_by_one(start: Start) -> None:
    service = Service()

    async def forgetful(deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        return (await service.handle(deliveries))[:1]

    bus = start()
    bus.start([Subscription("forgetful", frozenset({"Asked"}), forgetful)])
    assert await bus.publish(outgoing("a", "b")) == [True, True]
    assert service.batches == [2, 1, 1]


async def test_a_store_that_is_away_costs_no_event_a_delivery(start: Start, store: SqliteStore) -> None:
    away = 3 * ATTEMPTS

    def answer(_note: str, _attempt: int) -> Acknowledgement:
        nonlocal away
        away -= 1
        if away > 0:
            raise StoreUnavailable("locked")
        return Acknowledgement.SUCCESS

    service = Service(answer)
    assert await start(service=service).publish(outgoing("a", "b")) == [True, True]
    assert {attempt for _, attempt in service.got} == {1}
    assert await buried(store) == []


async def test_what_is_no_event_of_ours_is_kept_and_its_neighbours_go_on(start: Start, store: SqliteStore) -> None:
    service = Service()
    (good, other) = outgoing("a", "b")
    broken = [Outgoing(7, "asks", b"{"), Outgoing(8, "asks", b"\xff"), Outgoing(9, "asks", b'{"type":"Unheard"}')]
    assert await start(service=service).publish([good, *broken, other]) == [True] * 5
    assert service.notes == ["a", "b"]
    assert [(letter.consumer, letter.event_id) for letter in await buried(store)] == [
        ("askers", "asks.7"),
        ("askers", "asks.8"),
        ("askers", "asks.9"),
    ]


@pytest.mark.parametrize("trouble", [StoreUnavailable("locked"), OSError("disk")])
async def test_what_can_not_be_buried_now_is_buried_later_and_the_others_go_on(
    start: Start, store: SqliteStore, records: Meddled, trouble: Exception
) -> None:
    async def away() -> None:
        raise trouble

    service = Service(lambda note, _: Acknowledgement.DROP if note == "b" else Acknowledgement.SUCCESS)
    bus = start(service=service)
    records.meddle = away
    assert await bus.publish(outgoing("a", "b", "c")) == [True] * 3
    assert service.got[-1] == ("b", 2)
    assert [letter.event_id for letter in await buried(store)] == ["event-b"]
    assert await bus.publish(outgoing("d")) == [True]


async def test_a_bus_that_is_stopped_cancels_whoever_publishes_so_the_event_is_not_taken(start: Start) -> None:
    service = Service()
    bus = start(service=service)
    service.gate.clear()
    published = asyncio.create_task(bus.publish(outgoing("a")))
    await until(lambda: service.batches == [1])
    await bus.stop()
    with pytest.raises(asyncio.CancelledError):
        await published


async def test_an_event_can_be_delivered_to_one_service_once_more(start: Start) -> None:
    one, other = Service(), Service()
    bus = start(one=one, other=other)
    assert await bus.deliver("one", [asked("event-a", "a", "a")]) == [Acknowledgement.SUCCESS]
    assert (one.notes, other.notes) == (["a"], [])
    with pytest.raises(KeyError):
        await bus.deliver("nobody", [asked("event-a", "a", "a")])
