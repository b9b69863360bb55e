"""What every EventBus must do: at least once, to everyone who hears it, and one bad event stops no other.

A bus may deliver in any order, in any batches, and more than once; it may take an event long before it is handled.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from tests.patience import until
from tests.product.contracts.buses import ATTEMPTS, BUSES, Make, Stand
from tests.product.contracts.samples import CODEC, NOON, PaymentNoted, noted

from cludale.kernel.events import Cause, Envelope, envelop
from cludale.ports.bus import Acknowledgement, Delivery, EventBus, Subscription
from cludale.ports.outbox import Outgoing

SECONDS = 10


class Service:
    """Hears OrderNoted, writes down what it gets, and answers by the note and the attempt."""

    def __init__(
        self, name: str, answer: Callable[[str, int], Acknowledgement] = lambda _note, _attempt: Acknowledgement.SUCCESS
    ) -> None:
        self.name = name
        self.got: list[Delivery] = []
        self._answer = answer

    async def handle(self, deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        self.got += deliveries
        return [self._answer(delivery.event.data.note, delivery.attempt) for delivery in deliveries]

    @property
    def subscription(self) -> Subscription:
        return Subscription(self.name, frozenset({"OrderNoted"}), self.handle)

    @property
    def notes(self) -> set[str]:
        return {delivery.event.data.note for delivery in self.got}

    def attempts(self, note: str) -> list[int]:
        return [delivery.attempt for delivery in self.got if delivery.event.data.note == note]


@pytest.fixture(params=BUSES)
def make(request: pytest.FixtureRequest) -> Make:
    return BUSES[request.param](request)


@pytest.fixture
async def stand(make: Make, tmp_path: Path) -> AsyncIterator[Stand]:
    opened = make(tmp_path)
    yield opened
    await opened.stop()


async def started(stand: Stand, *services: Service) -> EventBus:
    return await stand.start([service.subscription for service in services])


def outgoing(*events: Envelope) -> list[Outgoing]:
    return [Outgoing(i, "order-events", CODEC.encode(event)) for i, event in enumerate(events, 1)]


def notes(*names: str) -> list[Outgoing]:
    return outgoing(*(noted(f"event-{name}", name) for name in names))


async def buried(stand: Stand, count: int) -> Sequence[tuple[str, bytes]]:
    """The dead letters once there are `count` of them."""
    async with asyncio.timeout(SECONDS):
        while len(dead := await stand.dead()) < count:  # noqa: ASYNC110 - as in until()
            await asyncio.sleep(0.002)
    return dead


async def test_everyone_who_hears_an_event_gets_it_whole(stand: Stand) -> None:
    one, other = Service("one"), Service("other")
    bus = await started(stand, one, other)
    entries = notes("a", "b", "c")
    assert await bus.publish(entries) == [True] * 3
    await until(lambda: one.notes == other.notes == {"a", "b", "c"}, seconds=SECONDS)
    assert {delivery.body for delivery in one.got} == {entry.body for entry in entries}
    assert {delivery.event for delivery in one.got} == {CODEC.decode(entry.body) for entry in entries}
    assert {delivery.attempt for delivery in one.got} == {1}


async def test_nobody_gets_what_they_do_not_hear(stand: Stand) -> None:
    service = Service("one")
    bus = await started(stand, service)
    unheard = envelop(PaymentNoted(order_id="order-1"), id="event-0", source="payments", time=NOON, cause=Cause())
    assert await bus.publish(outgoing(unheard, noted("event-a", "a"))) == [True, True]
    await until(lambda: service.notes == {"a"}, seconds=SECONDS)
    assert [delivery.event.type for delivery in service.got] == ["OrderNoted"]


async def test_nothing_published_is_nothing_taken(stand: Stand) -> None:
    bus = await started(stand, Service("one"))
    assert await bus.publish([]) == []


async def test_what_is_published_twice_may_come_twice_and_comes(stand: Stand) -> None:
    service = Service("one")
    bus = await started(stand, service)
    for _ in range(2):
        assert await bus.publish(notes("a")) == [True]
    await until(lambda: service.notes == {"a"}, seconds=SECONDS)


async def test_a_retry_is_delivered_again_and_holds_up_no_other(stand: Stand) -> None:
    service = Service(
        "one", lambda note, attempt: Acknowledgement.RETRY if note == "b" and attempt < 3 else Acknowledgement.SUCCESS
    )
    bus = await started(stand, service)
    assert await bus.publish(notes("a", "b", "c")) == [True] * 3
    await until(lambda: service.attempts("b") == [1, 2, 3], seconds=SECONDS)
    assert service.notes == {"a", "b", "c"}
    assert await stand.dead() == []


async def test_one_services_retries_are_not_anothers(stand: Stand) -> None:
    slow = Service("slow", lambda _note, attempt: Acknowledgement.RETRY if attempt < 3 else Acknowledgement.SUCCESS)
    quick = Service("quick")
    bus = await started(stand, slow, quick)
    assert await bus.publish(notes("a")) == [True]
    await until(lambda: slow.attempts("a") == [1, 2, 3], seconds=SECONDS)
    assert quick.attempts("a") == [1]


async def test_what_is_never_handled_is_given_up_at_the_delivery_limit_and_kept(stand: Stand) -> None:
    service = Service("one", lambda note, _: Acknowledgement.RETRY if note == "b" else Acknowledgement.SUCCESS)
    bus = await started(stand, service)
    entries = notes("a", "b")
    assert await bus.publish(entries) == [True, True]
    await until(lambda: len(service.attempts("b")) == ATTEMPTS, seconds=SECONDS)
    assert await buried(stand, 1) == [("one", entries[1].body)]
    assert len(service.attempts("b")) == ATTEMPTS


async def test_what_a_handler_drops_is_kept_at_once(stand: Stand) -> None:
    service = Service("one", lambda _note, _attempt: Acknowledgement.DROP)
    bus = await started(stand, service)
    (entry,) = notes("a")
    assert await bus.publish([entry]) == [True]
    await until(lambda: service.notes == {"a"}, seconds=SECONDS)
    assert await buried(stand, 1) == [("one", entry.body)]
    assert service.attempts("a") == [1]


async def test_a_poisonous_event_stops_none_of_its_neighbours(stand: Stand) -> None:
    def answer(note: str, _: int) -> Acknowledgement:
        if note == "poison":
            raise ZeroDivisionError
        return Acknowledgement.SUCCESS

    poisoned, sound = Service("poisoned", answer), Service("sound")
    bus = await started(stand, poisoned, sound)
    entries = notes("a", "poison", "b")
    assert await bus.publish(entries) == [True] * 3
    await until(lambda: {"a", "b"} <= poisoned.notes, seconds=SECONDS)
    await until(lambda: sound.notes == {"a", "poison", "b"}, seconds=SECONDS)
    assert await buried(stand, 1) == [("poisoned", entries[1].body)]
    assert await bus.publish(notes("after")) == [True]
    await until(lambda: "after" in poisoned.notes, seconds=SECONDS)


async def test_what_is_no_event_of_ours_is_kept_and_its_neighbours_go_on(stand: Stand) -> None:
    service = Service("one")
    bus = await started(stand, service)
    first, last = notes("a", "b")
    malformed = Outgoing(7, "order-events", b'{"specversion":"1.0","type":"Unheard"}')
    assert await bus.publish([first, malformed, last]) == [True] * 3
    await until(lambda: service.notes == {"a", "b"}, seconds=SECONDS)
    ((_, body),) = await buried(stand, 1)
    assert body == malformed.body


async def test_many_events_all_arrive(stand: Stand) -> None:
    service = Service(
        "one", lambda note, attempt: Acknowledgement.RETRY if int(note) % 7 == attempt else Acknowledgement.SUCCESS
    )
    bus = await started(stand, service)
    names = [str(i) for i in range(500)]
    for start in range(0, 500, 50):
        assert all(await bus.publish(notes(*names[start : start + 50])))
    await until(lambda: service.notes == set(names), seconds=SECONDS)
