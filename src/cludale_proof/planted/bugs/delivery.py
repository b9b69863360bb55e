"""Relay, bus, sidecar and dead letters."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

from cludale.adapters.dapr import inbound
from cludale.adapters.embedded import bus as embedded_bus
from cludale.ports.bus import Acknowledgement, Delivery, Subscription
from cludale.ports.outbox import Outgoing
from cludale.ports.records import StoreUnavailable
from cludale.runtime.dead_letters import DeadLetters
from cludale_proof.planted.planting import bug, swap
from cludale_proof.planted.spoilt import SpoiltBus, SpoiltOutbox, relay_over


@bug("relay: what is in the outbox after a crash is not published")
def _(stack: ExitStack) -> None:
    class Empty(SpoiltOutbox):
        async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
            return ()

    relay_over(stack, outbox=Empty)


@bug("relay: an outbox that can't be read at the start is never read")
def _(stack: ExitStack) -> None:
    class Unread(SpoiltOutbox):
        is_given_up = False

        async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
            with suppress(StoreUnavailable):
                if not self.is_given_up:
                    return await self.right.pending(after, limit)
            self.is_given_up = True
            for_good: asyncio.Future[Sequence[Outgoing]] = asyncio.get_running_loop().create_future()
            return await for_good

    relay_over(stack, outbox=Unread)


@bug("relay: nobody looks for events whose commit got no answer")
def _(stack: ExitStack) -> None:
    relay_over(stack, look_again_seconds=1e9)


@bug("relay: takes events from the outbox before the bus has them")
def _(stack: ExitStack) -> None:
    class Hasty(SpoiltBus):
        async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
            self.outbox.delivered([entry.position for entry in batch])
            return await self.right.publish(batch)

    relay_over(stack, bus=Hasty)


@bug("relay: what the bus refuses is dropped")
def _(stack: ExitStack) -> None:
    class Careless(SpoiltBus):
        async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
            with suppress(Exception):
                await self.right.publish(batch)
            return [True] * len(batch)

    relay_over(stack, bus=Careless)


@bug("bus: an event that is to be delivered again is dropped")
def _(stack: ExitStack) -> None:
    right = embedded_bus.EmbeddedBus.start

    def taken(subscription: Subscription) -> Subscription:
        async def handler(deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
            await subscription.handler(deliveries)
            return [Acknowledgement.SUCCESS] * len(deliveries)

        return subscription._replace(handler=handler)

    def wrong(self: Any, subscriptions: Sequence[Subscription]) -> None:
        right(self, [taken(each) for each in subscriptions])

    swap(stack, embedded_bus.EmbeddedBus, "start", wrong)


@bug("dapr: an event that came too early is answered as taken")
def _(stack: ExitStack) -> None:
    right = inbound.Inbound.answers

    async def wrong(self: inbound.Inbound, events: Sequence[bytes]) -> list[Acknowledgement]:
        await right(self, events)
        return [Acknowledgement.SUCCESS] * len(events)

    swap(stack, inbound.Inbound, "answers", wrong)


@bug("dapr: a dead letter that has to wait is answered as taken")
def _(stack: ExitStack) -> None:
    right = inbound.Inbound.take_dead

    async def wrong(self: inbound.Inbound, body: bytes) -> bytes:
        return (await right(self, body)).replace(b"RETRY", b"SUCCESS")

    swap(stack, inbound.Inbound, "take_dead", wrong)


@bug("dapr: a bulk gets the answers of its events in the wrong order")
def _(stack: ExitStack) -> None:
    right = inbound.Inbound.answers

    async def wrong(self: inbound.Inbound, events: Sequence[bytes]) -> list[Acknowledgement]:
        return (await right(self, events))[::-1]

    swap(stack, inbound.Inbound, "answers", wrong)


@bug("dead letters: what is given up is not kept")
def _(stack: ExitStack) -> None:
    async def wrong(self: DeadLetters, *_: Any, **__: Any) -> None:
        pass

    swap(stack, DeadLetters, "bury", wrong)
