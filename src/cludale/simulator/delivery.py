"""How events travel between processes: a broker that keeps what it took until it was handled, and handlers with
faults around them, for the broker and for the embedded bus alike.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from cludale.kernel.wire import Codec
from cludale.ports.bus import Answer, Delivery, EventBus, Handler
from cludale.ports.outbox import Outgoing
from cludale.simulator.faults import Chaos, Fault, Situation
from cludale.simulator.loop import OUTSIDE_CONTEXT, Owner, inside

FACILITY = "bus"
ANSWER_SECONDS = 8.0
"""How long the broker waits for an answer before it delivers again."""
BATCH_LIMIT = 16
RETRY_SECONDS = (0.05, 4.0)
DELIVERY_LIMIT = 500
"""So often without success means that somebody is stuck."""


class BusDown(Exception):
    """The bus took nothing that it knows of."""


class AnswerLost(Exception):
    """The handler did its work, but nobody heard so."""


class FaultyHandler:
    """A handler as deliveries find it when the way to it is bad: late, twice, in another order, unanswered."""

    def __init__(self, handler: Handler, chaos: Chaos, who: str, crash: Callable[[], Awaitable[None]]) -> None:
        self._handler = handler
        self._chaos = chaos
        self._who = who
        self._crash = crash

    async def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Answer]:
        """Hand over what gets through; RETRY for the rest."""
        chaos, who = self._chaos, self._who
        await chaos.lag()
        answers = [Answer.RETRY] * len(deliveries)
        handed: list[tuple[int, Delivery]] = []
        for i, delivery in enumerate(deliveries):
            if chaos.strikes(Fault.DELIVERY_LOST, who, delivery.event.id):
                continue
            handed.append((i, delivery))
            if chaos.strikes(Fault.DELIVERY_TWICE, who, delivery.event.id):
                handed.append((i, delivery))
            if chaos.strikes(Fault.DELIVERY_AGAIN, who, delivery.event.id):
                self._again(delivery)
        if len(handed) > 1 and chaos.strikes(Fault.DELIVERY_REORDERED, who):
            chaos.choices.shuffle(handed)
        if not handed:
            return answers
        got = await self._hand_over([delivery for _, delivery in handed])
        for (i, _), answer in zip(handed, got, strict=True):
            answers[i] = answer
        if chaos.strikes(Fault.CRASH_BEFORE_ACK, who):
            await self._crash()
        if chaos.strikes(Fault.ACK_LOST, who):
            raise AnswerLost
        return answers

    async def _hand_over(self, deliveries: Sequence[Delivery]) -> Sequence[Answer]:
        answers = await self._handler(deliveries)
        if len(answers) != len(deliveries):
            raise RuntimeError(f"{len(answers)} answers to {len(deliveries)} deliveries")
        for delivery, answer in zip(deliveries, answers, strict=True):
            if answer is Answer.RETRY:
                self._chaos.meets(Situation.TOO_EARLY)
            if self._chaos.trace.on:
                event, _, attempt = delivery
                again = f", attempt {attempt}" if attempt > 1 else ""
                self._chaos.trace.say(self._who, f"<- {event.type} {event.id}{again}: {answer.value}")
        return answers

    def _again(self, delivery: Delivery) -> None:
        """Deliver this one once more, long after it was handled."""
        loop = asyncio.get_running_loop()

        def once_more() -> None:
            task = loop.create_task(self._quietly(delivery))
            del task  # the loop keeps it

        loop.call_later(self._chaos.between(0.5, 20.0), once_more)

    async def _quietly(self, delivery: Delivery) -> None:
        try:
            await self._hand_over([delivery])
        except Exception as error:  # noqa: BLE001 - nobody waits for this answer; it is delivered by the bus as well
            self._chaos.trace.say(self._who, f"a second delivery of {delivery.event.id} failed: {error!r}")


class Parcel(NamedTuple):
    """An event on its way to one service."""

    number: int
    body: bytes
    attempt: int = 1


class Broker:
    """Takes events and delivers each to every service that hears it, at least once, in any order."""

    def __init__(
        self,
        codec: Codec,
        chaos: Chaos,
        hears: Mapping[str, frozenset[str]],
        find: Callable[[str], tuple[Owner, Handler] | None],
        taken: Callable[[Sequence[Outgoing]], None],
    ) -> None:
        self._codec = codec
        self._chaos = chaos
        self._hears = hears
        self._find = find
        self._taken = taken
        self._waiting: dict[str, list[Parcel]] = {service: [] for service in hears}
        self._dispatching: set[str] = set()
        self._open: set[tuple[str, int]] = set()
        self._number = 0
        self.stuck: list[tuple[str, Parcel]] = []
        """What was not handled within the delivery limit."""

    @property
    def under_way(self) -> int:
        """Deliveries that have had no success yet."""
        return len(self._open)

    def take(self, entry: Outgoing) -> None:
        """Be responsible for this event from here on."""
        self._taken((entry,))
        event = self._codec.decode(entry.body)
        for service, types in self._hears.items():
            if event.type in types:
                self._number += 1
                self._open.add((service, self._number))
                self._send(service, Parcel(self._number, entry.body))

    def _send(self, service: str, parcel: Parcel, *, after: float = 0.0) -> None:
        chaos = self._chaos
        after += chaos.some(0.01)
        if chaos.strikes(Fault.DELIVERY_LATE, "broker", service):
            after += chaos.some(3.0)
        asyncio.get_running_loop().call_later(after, self._arrive, service, parcel, context=OUTSIDE_CONTEXT)

    def _arrive(self, service: str, parcel: Parcel) -> None:
        self._waiting[service].append(parcel)
        self._dispatch_soon(service, self._chaos.some(0.005))

    def _dispatch_soon(self, service: str, after: float) -> None:
        if service not in self._dispatching:
            self._dispatching.add(service)
            asyncio.get_running_loop().call_later(after, self._dispatch, service, context=OUTSIDE_CONTEXT)

    def _dispatch(self, service: str) -> None:
        self._dispatching.discard(service)
        waiting = self._waiting[service]
        if not waiting:
            return
        found = self._find(service)
        if found is None or self._chaos.is_out(FACILITY):
            self._dispatch_soon(service, 0.5)
            return
        process, handler = found
        size = 1 + int(self._chaos.choices.random() * min(len(waiting), BATCH_LIMIT))
        batch = [waiting.pop(int(self._chaos.choices.random() * len(waiting))) for _ in range(min(size, len(waiting)))]
        if waiting:
            self._dispatch_soon(service, self._chaos.some(0.005))
        loop = asyncio.get_running_loop()
        unanswered = loop.call_later(ANSWER_SECONDS, self._again, service, batch, context=OUTSIDE_CONTEXT)
        inside(process, loop.create_task, self._hand_over(service, handler, batch, unanswered))

    async def _hand_over(
        self, service: str, handler: Handler, batch: Sequence[Parcel], unanswered: asyncio.TimerHandle
    ) -> None:
        deliveries = [Delivery(self._codec.decode(parcel.body), parcel.body, parcel.attempt) for parcel in batch]
        try:
            answers = await handler(deliveries)
        except Exception as error:  # noqa: BLE001 - a handler's failure is an answer: RETRY
            self._chaos.trace.say("broker", f"{service} failed: {error!r}")
            answers = [Answer.RETRY] * len(batch)
        if unanswered.cancelled() or unanswered.when() <= asyncio.get_running_loop().time():
            return  # too late: it is being delivered again
        unanswered.cancel()
        again = []
        for parcel, answer in zip(batch, answers, strict=True):
            if answer is Answer.SUCCESS:
                self._open.discard((service, parcel.number))
            else:
                again.append(parcel)
        self._again(service, again)

    def _again(self, service: str, batch: Sequence[Parcel]) -> None:
        for parcel in batch:
            if (service, parcel.number) not in self._open:
                continue
            if parcel.attempt >= DELIVERY_LIMIT:
                self.stuck.append((service, parcel))
                continue
            first, most = RETRY_SECONDS
            wait = min(most, first * 2 ** min(parcel.attempt - 1, 16)) * self._chaos.between(0.5, 1.0)
            self._send(service, parcel._replace(attempt=parcel.attempt + 1), after=wait)


class BrokerClient:
    """One process's connection to the broker."""

    def __init__(self, broker: Broker, chaos: Chaos, who: str) -> None:
        self._broker = broker
        self._chaos = chaos
        self._who = who

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
        """For each entry: has the broker taken it?"""
        chaos, who = self._chaos, self._who
        await chaos.lag()
        if chaos.is_out(FACILITY) or chaos.strikes(Fault.PUBLISH_REFUSED, who):
            raise BusDown("no connection")
        taken = [True] * len(batch)
        for i, entry in enumerate(batch):
            if chaos.strikes(Fault.PUBLISH_IN_PART, who):
                taken[i] = False
                if chaos.choices.random() < 0.5:
                    continue
            self._broker.take(entry)
        if chaos.strikes(Fault.PUBLISH_UNANSWERED, who):
            raise BusDown("the connection was closed")
        await chaos.lag()
        return taken


class ToldBus:
    """The embedded bus; `taken` is told of what it is given."""

    def __init__(self, bus: EventBus, taken: Callable[[Sequence[Outgoing]], None]) -> None:
        self._bus = bus
        self._taken = taken

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
        """For each entry: has the bus taken it?"""
        self._taken(batch)
        return await self._bus.publish(batch)
