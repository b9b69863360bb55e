"""How events travel between processes: a broker that keeps what it took until it was handled, and handlers with
faults around them, for the broker and for the embedded bus alike.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from cludale.adapters.dapr.inbound import Inbound
from cludale.adapters.dapr.subscriptions import topics_heard
from cludale.kernel.wire import Codec
from cludale.ports.bus import Acknowledgement, Delivery, EventBus, Handler
from cludale.ports.outbox import Outgoing
from cludale.services.catalogue import HEARS
from cludale.services.notifications.manifest import BUYERS_ARE_TOLD
from cludale_proof.simulator.faults import Chaos, Fault, Situation
from cludale_proof.simulator.loop import OUTSIDE_CONTEXT, Owner, inside

FACILITY = "bus"
ANSWER_SECONDS = 8.0
"""How long the broker waits for an answer before it delivers again."""
BATCH_LIMIT = 16
RETRY_SECONDS = (0.05, 4.0)


class BusDown(Exception):
    """The bus took nothing that it knows of."""


class AnswerLost(Exception):
    """The handler did its work, but nobody heard so."""


HEARD_WITHOUT_WEBHOOKS: Mapping[str, frozenset[str]] = {**HEARS, "notifications": frozenset(BUYERS_ARE_TOLD)}
"""Service → the types that it hears where there are no webhooks, which hear nearly all."""
HEALED: Mapping[str, frozenset[str]] = {
    "concerts": frozenset({"PaymentCompleted", "OrderCancelled", "PartRefundRequested"}),
    "orders": frozenset(
        {
            "SeatsSold",
            "SaleRefused",
            "PaymentCompleted",
            "PaymentFailed",
            "PaymentRefunded",
            "PartRefunded",
            "SeatsReturned",
        }
    ),
    "payments": frozenset(
        {"TicketReserved", "PaymentRequested", "OrderCancelled", "SaleRefused", "PartRefundRequested"}
    ),
}
"""Which events each service may lose for good: comparing orders with their payments makes up for that."""


class FaultyHandler:
    """A handler as deliveries find it when the way to it is bad: late, twice, in another order, unanswered."""

    def __init__(
        self, handler: Handler, chaos: Chaos, who: str, crash: Callable[[], Awaitable[None]], *, service: str
    ) -> None:
        self._may_lose = HEALED.get(service, frozenset())
        self._service = service
        self._is_log = service == "audit"
        self._handler = handler
        self._chaos = chaos
        self._who = who
        self._crash = crash

    async def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        """Hand over what gets through; RETRY for the rest."""
        chaos, who = self._chaos, self._who
        await chaos.lag()
        answers = [Acknowledgement.RETRY] * len(deliveries)
        handed: list[tuple[int, Delivery]] = []
        for i, delivery in enumerate(deliveries):
            if chaos.strikes(Fault.DELIVERY_LOST, who, delivery.event.id):
                continue
            if delivery.event.type in self._may_lose and chaos.strikes(
                Fault.DELIVERY_LOST_FOR_GOOD, who, f"{delivery.event.type} {delivery.event.id}"
            ):
                answers[i] = Acknowledgement.SUCCESS
                continue
            if self._is_log and chaos.strikes(Fault.LOG_LOST, who, f"{delivery.event.type} {delivery.event.id}"):
                chaos.unlogged.add(delivery.event.id)
                answers[i] = Acknowledgement.SUCCESS
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

    async def _hand_over(self, deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        answers = await self._handler(deliveries)
        if len(answers) != len(deliveries):
            raise RuntimeError(f"{len(answers)} answers to {len(deliveries)} deliveries")
        for delivery, answer in zip(deliveries, answers, strict=True):
            if answer is Acknowledgement.RETRY:
                self._chaos.meets(Situation.TOO_EARLY)
            elif answer is Acknowledgement.SUCCESS:
                self._chaos.handled(self._service, delivery.event)
            if self._chaos.trace.on:
                event, attempt = delivery.event, delivery.attempt
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
    """An event on its way to one service. `dead`: by its dead-letter topic."""

    number: int
    body: bytes
    attempt: int = 1
    dead: bool = False


class Broker:
    """Takes events and delivers them at least once, in any order; a sidecar before each process takes them there.

    As with Dapr, events come in bulks, and what a process answers RETRY or DROP to, or can't be reached for, goes to
    its service's dead-letter topic and comes from there one by one. What is not answered in time comes again.
    """

    def __init__(
        self,
        codec: Codec,
        chaos: Chaos,
        hears: Mapping[str, frozenset[str]],
        find: Callable[[str], tuple[Owner, Inbound] | None],
        taken: Callable[[Sequence[Outgoing]], None],
    ) -> None:
        self._chaos = chaos
        self._topics = {service: frozenset(topics_heard(codec.catalogue, types)) for service, types in hears.items()}
        self._find = find
        self._taken = taken
        self._waiting: dict[str, list[Parcel]] = {service: [] for service in hears}
        self._dispatching: set[str] = set()
        self._open: set[tuple[str, int]] = set()
        self._number = 0

    @property
    def under_way(self) -> int:
        """Deliveries that have had no success yet."""
        return len(self._open)

    def take(self, entry: Outgoing) -> None:
        """Be responsible for this event from here on."""
        self._taken((entry,))
        self.take_from_anybody(entry.topic, entry.body)

    def take_from_anybody(self, topic: str, body: bytes) -> list[str]:
        """A broker takes what it is given, by whoever has its address; the services that get it."""
        services = [service for service, topics in self._topics.items() if topic in topics]
        for service in services:
            self._number += 1
            self._open.add((service, self._number))
            self._send(service, Parcel(self._number, body))
        return services

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
        process, inbound = found
        bulk = self._bulk(waiting)
        if waiting:
            self._dispatch_soon(service, self._chaos.some(0.005))
        if self._chaos.strikes(Fault.APP_UNREACHABLE, "broker", process.name):
            self._answered(service, bulk, [Acknowledgement.RETRY] * len(bulk))
            return
        loop = asyncio.get_running_loop()
        unanswered = loop.call_later(ANSWER_SECONDS, self._again, service, bulk, context=OUTSIDE_CONTEXT)
        inside(process, loop.create_task, self._hand_over(service, inbound, bulk, unanswered))

    def _bulk(self, waiting: list[Parcel]) -> list[Parcel]:
        """Some of what waits, in any order; a dead letter by itself."""
        random = self._chaos.choices.random
        size = 1 + int(random() * min(len(waiting), BATCH_LIMIT))
        bulk: list[Parcel] = []
        while waiting and len(bulk) < size:
            at = int(random() * len(waiting))
            if waiting[at].dead and bulk:
                break
            bulk.append(waiting.pop(at))
            if bulk[-1].dead:
                break
        return bulk

    async def _hand_over(
        self, service: str, inbound: Inbound, bulk: Sequence[Parcel], unanswered: asyncio.TimerHandle
    ) -> None:
        chaos = self._chaos
        if chaos.trace.on:
            dead = ", by the dead-letter topic" if bulk[0].dead else ""
            chaos.trace.say("broker", f"-> {service}: {len(bulk)} events{dead}")
        if bulk[0].dead:
            answers = [_only(await inbound.take_dead(bulk[0].body))]
        else:
            answers = await inbound.answers([parcel.body for parcel in bulk])
        if unanswered.cancelled() or unanswered.when() <= asyncio.get_running_loop().time():
            return  # too late: it is being delivered again
        if chaos.strikes(Fault.BULK_UNANSWERED, "broker", service):
            return
        unanswered.cancel()
        self._answered(service, bulk, answers)

    def _answered(self, service: str, bulk: Sequence[Parcel], answers: Sequence[Acknowledgement]) -> None:
        """What a sidecar does with the answers."""
        again = []
        for parcel, answer in zip(bulk, answers, strict=True):
            if answer is Acknowledgement.SUCCESS:
                self._open.discard((service, parcel.number))
            elif parcel.dead:
                again.append(parcel)
            elif (service, parcel.number) in self._open:
                self._chaos.meets(Situation.DEAD_LETTERED)
                self._send(service, parcel._replace(dead=True))
        self._again(service, again)

    def _again(self, service: str, bulk: Sequence[Parcel]) -> None:
        for parcel in bulk:
            if (service, parcel.number) not in self._open:
                continue
            first, most = RETRY_SECONDS
            wait = min(most, first * 2 ** min(parcel.attempt - 1, 16)) * self._chaos.between(0.5, 1.0)
            self._send(service, parcel._replace(attempt=parcel.attempt + 1), after=wait)


class _Status(msgspec.Struct):
    status: Acknowledgement


def _only(answer: bytes) -> Acknowledgement:
    return msgspec.json.decode(answer, type=_Status).status


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
