"""EventBus: carries events to the services that hear them. At least once, in any order."""

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

import msgspec

from cludale.kernel.events import Envelope
from cludale.ports.outbox import Outgoing


class Acknowledgement(Enum):
    """A handler's result for one delivery."""

    SUCCESS = "SUCCESS"
    """Done, now or before."""
    RETRY = "RETRY"
    """Not now: too early, or something it needs is away. Deliver again later, up to the delivery limit."""
    DROP = "DROP"
    """Never: it goes to the dead letters."""


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One event on its way to one service. `body` is the event as it was on the wire."""

    event: Envelope
    body: bytes
    attempt: int = 1


Handler = Callable[[Sequence[Delivery]], Awaitable[Sequence[Acknowledgement]]]
"""Takes a batch, answers for each, in order. An exception means RETRY for all of them, one by one."""


Deliver = Callable[[str, Sequence[Delivery]], Awaitable[Sequence[Acknowledgement]]]
"""Hands deliveries to one service once more; its answers, in order. The bus has it. Raises what the handler raises."""


class Subscription(NamedTuple):
    """`service` hears these event types with `handler`."""

    service: str
    event_types: frozenset[str]
    handler: Handler


class EventBus(Protocol):
    """Publishes; delivers to the subscriptions that it was built with."""

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
        """For each entry: did the bus accept it? An entry that it did not accept is published again."""
        ...
