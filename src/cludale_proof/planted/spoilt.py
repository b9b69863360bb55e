"""Pieces of the runtime that several bugs spoil: the relay's outbox and bus, and what is noted as handled."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from cludale.ports.bus import EventBus
from cludale.ports.outbox import Listener, Outbox, Outgoing
from cludale.runtime import relay
from cludale_proof.planted.planting import swap


class SpoiltOutbox:
    """An outbox that passes on what it is asked."""

    def __init__(self, outbox: Outbox) -> None:
        self.right = outbox

    def listen(self, listener: Listener) -> None:
        """Passed on."""
        self.right.listen(listener)

    async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
        """What is to be published, passed on."""
        return await self.right.pending(after, limit)

    def delivered(self, positions: Sequence[int]) -> None:
        """Passed on."""
        self.right.delivered(positions)


class SpoiltBus:
    """A bus that publishes as another one does."""

    def __init__(self, outbox: Outbox, bus: EventBus) -> None:
        self.outbox = outbox
        self.right = bus

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
        """Passed on, with what the bus took."""
        return await self.right.publish(batch)


def relay_over(
    stack: ExitStack,
    *,
    outbox: Callable[[Any], Any] = lambda outbox: outbox,
    bus: Any = lambda outbox, bus: bus,
    **kw: Any,
) -> None:
    """Every relay works over these in the place of its outbox and its bus."""
    right = relay.Relay.__init__

    def wrong(self: Any, its_outbox: Outbox, its_bus: EventBus, **kwargs: Any) -> None:
        right(self, outbox(its_outbox), bus(its_outbox, its_bus), **{**kwargs, **kw})

    swap(stack, relay.Relay, "__init__", wrong)
