"""Outbox: committed events that still have to be published. The store that commits them keeps it."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from cludale.kernel.events import Envelope


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A committed event, encoded. Positions rise in the order of commits."""

    position: int
    topic: str
    body: bytes
    event: Envelope | None = None
    """What `body` says, where whoever encoded it tells of it; None for what was read from a store."""


Listener = Callable[[Sequence[Outgoing]], None]


class Outbox(Protocol):
    """The events that no one has taken yet.

    Where replicas share a store each sees its own: those it committed, and those it took over from one that is gone.
    """

    def listen(self, listener: Listener) -> None:
        """Have `listener` told of each group of events as soon as it is durable, in order, on the event loop."""
        ...

    async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
        """Up to `limit` entries past position `after`, in order."""
        ...

    def delivered(self, positions: Sequence[int]) -> None:
        """Forget these with one of the next commits; a crash before that publishes them again.

        A restart may also publish again what was written in one batch with an event that is not delivered yet.
        """
        ...
